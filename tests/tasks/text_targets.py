# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tiny targets that read any text, and facts and questions to put to them."""

import json
import pathlib
import tempfile
from typing import Any

from selfexplain_jax.tasks import target as target_lib
from tests.models import text_tokenizers
from tests.models import tiny

LAYERS, WIDTH = 3, 16
_FOLDER = pathlib.Path(tempfile.mkdtemp())

TOKENIZERS = {
  'llama': text_tokenizers.write_llama(_FOLDER / 'llama'),
  'llama_chat': text_tokenizers.write_llama(_FOLDER / 'llama_chat', chat=True),
  'qwen': text_tokenizers.write_qwen(_FOLDER / 'qwen'),
}


def target(family: str, weight_hash: str = 'a hash') -> target_lib.Target:
  """Returns a random model of the vocabulary of one of `TOKENIZERS`."""
  tokenizer = TOKENIZERS[family]
  model = tiny.model(
    layers=LAYERS,
    width=WIDTH,
    vocabulary=tokenizer.vocab_size,
    query_key_norm=family == 'qwen',
  )
  return target_lib.Target.of(model, tokenizer, f'a {family}', weight_hash)


_OBJECTS = {
  'P103': ('French', 'English', 'Russian', 'Dutch', 'Finnish', 'Basque'),
  'P19': ('Paris', 'Rome', 'Madrid', 'Berlin', 'Vienna', 'New York', 'Oslo'),
}
_PROMPTS = {
  'P103': ('The mother tongue of {} is', '{} is a native speaker of'),
  'P19': ('{} was born in',),
}


def facts() -> list[dict[str, Any]]:
  """Returns 48 records of CounterFact's form; each subject is in two."""
  records: list[dict[str, Any]] = []
  for n in range(24):
    first = ('Anna', 'Karla', 'Jean-Luc', 'Zoë')[n % 4]
    last = ('Keller', 'Gruber', 'van der Berg', "O'Neill", 'Ito', 'Li')[n // 4]
    for relation, prompts in _PROMPTS.items():
      objects = _OBJECTS[relation]
      at = (5 * n + len(relation)) % len(objects)
      records.append(
        {
          'case_id': len(records),
          'pararel_idx': 7,
          'requested_rewrite': {
            'prompt': prompts[n % len(prompts)],
            'relation_id': relation,
            'target_new': {'str': objects[at - 1], 'id': 'Q1'},
            'target_true': {'str': objects[at], 'id': 'Q2'},
            'subject': f'{first} {last}',
          },
          'paraphrase_prompts': ['not read'],
        }
      )
  return records


def questions() -> list[dict[str, Any]]:
  """Returns 40 records of MMLU's form."""
  return [
    {
      'question': f'Which of these is number {n}?',
      'subject': ('counting', 'naming')[n % 2],
      'choices': [f'the {word} of {n}' for word in ('a', 'be', 'see', 'dee')],
      'answer': n % 4,
    }
    for n in range(40)
  ]


def write_json(name: pathlib.Path, records: Any) -> pathlib.Path:
  """Writes records as an array, or one a line where the name says so."""
  name.parent.mkdir(parents=True, exist_ok=True)
  lines = ''.join(json.dumps(record) + '\n' for record in records)
  name.write_text(lines if name.suffix == '.jsonl' else json.dumps(records))
  return name

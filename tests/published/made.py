# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes small files of published formats about tiny random models.

What they say of the models is true: every effect is what the model does.
"""

import gzip
import json
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import activity
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.published import conversion
from selfexplain_jax.published import tokens
from tests.models import text_tokenizers
from tests.models import tiny

LAYERS, WIDTH = 2, 16
_BLOCKS = ((0, 0), (1, 1))
_OPTIONS = '\n\nRespond with one of Paris or Rome or unknown and nothing else'
_PEOPLE = ('Anna', 'Karla', 'Keller', 'Gruber', 'Paul', 'Lena', 'Otto', 'Mia')
_SYSTEM = 'These are questions. Give the letter alone.'
_LETTERS = ('A', 'B', 'C', 'D')

Model = tuple[decoder.Decoder, tokenizer_lib.Tokenizer]


def write_target(folder: pathlib.Path, family: str) -> Model:
  """Writes a tiny model of `llama` or `qwen3`, which answers with letters.

  Returns:
    The model and its tokenizer.
  """
  if family == 'llama':
    tokenizer = text_tokenizers.write_llama(folder, chat=True)
  else:
    tokenizer = text_tokenizers.write_qwen(folder)
  model = tiny.model(
    seed=3,
    vocabulary=tokenizer.vocab_size,
    layers=LAYERS,
    width=WIDTH,
    query_key_norm=family == 'qwen3',
    max_positions=1024,
  )
  # Whatever the state, one of the letters is far more likely than all others.
  assert model.unembedding is not None
  table = np.array(model.unembedding.get_value())
  a, b, c, d = (tokens.output(tokenizer, f' {c}') for c in _LETTERS)
  table[a], table[b] = 20 * table[a], 20 * table[b]
  table[c], table[d] = -table[a], -table[b]
  model.unembedding.set_value(jnp.asarray(table))
  artefact.save(model, tokenizer, folder)
  if family == 'qwen3':
    text_tokenizers.write_qwen(folder)
  return model, tokenizer


def _runs(model: decoder.Decoder, ids: list[list[int]]) -> effects_lib.Effects:
  rows, lengths = prompts_lib.pad(ids)
  return effects_lib.run_clean(model, rows, lengths, 32)


def write_patching(folder: pathlib.Path, target: Model, chat: bool) -> None:
  """Writes `train-0.parquet` and `test-0.parquet` of activation patching.

  Args:
    folder: where to.
    target: what they are about.
    chat: whether prompts are a user's turn, as those of Qwen3 are.
  """
  model, tokenizer = target
  folder.mkdir(parents=True, exist_ok=True)
  texts = [
    f'The mother tongue of {name} {last} is{_OPTIONS}'
    for name in _PEOPLE
    for last in ('Keller', 'Gruber', 'river')
  ]
  if chat:
    texts = [
      tokenizer.render([{'role': 'user', 'content': t}], answering=True)
      for t in texts
    ]
  else:
    texts = [f'{text}.\n\nResponse:' for text in texts]
  ids = [tokenizer.encode_prompt(text) for text in texts]
  rows, lengths = prompts_lib.pad(ids)
  ((_, resid),) = activity.residuals(
    model, rows, 'resid_post', tuple(range(LAYERS)), len(rows)
  )
  rng = np.random.default_rng(0)
  drawn = []
  for own in range(len(texts)):
    for _ in range(4):
      another = int(rng.integers(len(texts) - 1))
      another += another >= own
      most = min(lengths[own], lengths[another]) - 1
      places = [int(rng.integers(1, most)), int(lengths[own]) - 1]
      place, block = rng.integers(2, size=2).tolist()
      drawn.append((own, another, places[place], block))
  base, other, position, blocks = np.array(drawn).T
  first, last = np.array(_BLOCKS)[blocks].T
  from_where = np.minimum(position, lengths[other] - 1)
  vectors = np.stack(
    [
      resid[a : b + 1, o, t].mean(0)
      for a, b, o, t in zip(first, last, other, from_where, strict=True)
    ]
  )
  cells = effects_lib.Cells(
    tokens=rows[base],
    length=lengths[base],
    first=first.astype(np.int32),
    last=last.astype(np.int32),
    position=position.astype(np.int32),
    vector=vectors,
    site='resid_post',
  )
  clean = _runs(model, [ids[b] for b in base])
  treated = effects_lib.run_patched(model, cells, 32)
  start = 0 if tokenizer.bos_id is None else 1
  made = []
  for n, (b, o, at, _) in enumerate(drawn):
    before, after = int(clean.token[n]), int(treated.token[n])
    made.append(
      {
        'layer': list(range(first[n], last[n] + 1)),
        'input_tokens': [tokenizer.token(i) for i in ids[b][start:]],
        'original_continuation': [tokenizer.text(before)],
        'ablated_continuation': [tokenizer.text(after)],
        'is_different': before != after,
        'patch_position': {
          'orig_pos': at,
          'counterfact_pos': int(from_where[n]),
          'orig_text_token': tokenizer.text(ids[b][at]),
          'counterfact_text_token': tokenizer.text(ids[o][from_where[n]]),
          'intervention_vector': vectors[n].tolist(),
        },
        'counterfactual_text': texts[o],
        'token_type': 'last' if at == lengths[b] - 1 else 'relation',
        'layer_hashable': list(range(first[n], last[n] + 1)),
      }
    )
  # The last quarter of the texts is for test.
  cut = len(made) * 3 // 4
  for name, part in (('train', made[:cut]), ('test', made[cut:])):
    _write(folder / f'{name}-0.parquet', part)


def write_ablation(folder: pathlib.Path, target: Model) -> None:
  """Writes `train-0.parquet` and `test-0.parquet` of input ablation."""
  model, tokenizer = target
  folder.mkdir(parents=True, exist_ok=True)
  made: list[dict[str, Any]] = []
  for n in range(40):
    name, last = _PEOPLE[n % 8], _PEOPLE[n // 8]
    question = f'Which of these does {name} {last} play? {n}'
    choices = ['river', 'stone', 'cloud', 'piano']
    options = '\n'.join(f'{a}) {b}' for a, b in zip(_LETTERS, choices))
    plain = f'{question}\n{options}'
    hint = f'I think it is {_LETTERS[n % 4]}.'
    users = {'original': plain, 'hint': f'{plain}\nHint: {hint}'}
    chats = {
      kind: tokenizer.render(
        [
          {'role': 'system', 'content': _SYSTEM},
          {'role': 'user', 'content': user},
        ],
        answering=True,
      )
      for kind, user in users.items()
    }
    made.append(
      {
        'index': n,
        'question': question,
        'choices': choices,
        'correct_answer': 'D',
        'hint_token_ids': tokenizer.encode(hint),
        'original_prompt_full': chats['original'],
        'hint_prompt_full': chats['hint'],
        'system_prompt': _SYSTEM,
        'original_user_prompt': users['original'],
        'hint_user_prompt': users['hint'],
        'hint': hint,
      }
    )
  for column, kind in (
    ('zeroshot_prediction', 'original'),
    ('random_hint_prediction', 'hint'),
  ):
    ids = [
      tokenizer.encode(f'{row[f"{kind}_prompt_full"]}Answer:') for row in made
    ]
    for row, token in zip(made, _runs(model, ids).token, strict=True):
      row[column] = tokenizer.text(int(token)).strip()
  for n, row in enumerate(made):
    changed = row['zeroshot_prediction'] != row['random_hint_prediction']
    row['changed_pred_bc_hint'] = None if n % 4 == 0 else changed
    row['ablation_prompt'] = 'Output changes from C to C'
  for name, part in (('train', made[:30]), ('test', made[30:])):
    _write(folder / f'{name}-0.parquet', part)


def _write(name: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  table = pa.Table.from_pylist(rows)
  if 'patch_position' in table.column_names:
    # Vectors are of 32 bits.
    fields = table.schema.field('patch_position').type
    position = pa.struct(
      [
        pa.field(f.name, pa.list_(pa.float32()))
        if f.name == 'intervention_vector'
        else f
        for f in fields
      ]
    )
    index = table.schema.get_field_index('patch_position')
    column = table.column(index).cast(position)
    table = table.set_column(index, 'patch_position', column)
  parquet.write_table(table, name)


def write_features(folder: pathlib.Path, target: Model) -> None:
  """Writes a converted layout of features, with exemplars of test features."""
  source = pathlib.Path(__file__).parent / 'data' / 'features'
  for path, name in conversion.inputs(source):
    conversion.convert(path, name, files.path(folder))
  documents = _documents(target[1])
  for layer in range(LAYERS):
    features = range(0, 24, 4)
    ids = np.stack([np.roll(documents, f, 0)[:4] for f in features])
    ids[0, 0] = target[1].eos_id  # As if padded.
    (folder / f'test/layer{layer}').mkdir(parents=True, exist_ok=True)
    np.save(folder / f'test/layer{layer}/max_seq_ids.npy', ids)


def _documents(tokenizer: tokenizer_lib.Tokenizer) -> np.ndarray:
  """Some documents of 12 tokens without BOS, i32[N, 12]."""
  texts = [
    f'{a} and {b} of the river, {a} said.' for a in _PEOPLE for b in _PEOPLE
  ]
  rows = [tokenizer.encode(text)[:12] for text in texts]
  return np.array([row for row in rows if len(row) == 12], np.int32)


def write_neuronpedia(
  folder: pathlib.Path, layers: int = LAYERS, vectors: bool = True
) -> None:
  """Writes an export of explanations, and `texts.jsonl` to check them on."""
  folder.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(0)
  lines = []
  for layer in range(layers):
    for index in range(20):
      line: dict[str, Any] = {
        'modelId': 'tiny',
        'layer': f'{layer}-res-test',
        'index': str(index),
        'description': f' words about {("ships", "bread")[index % 2]}',
        'typeName': 'oai_token-act-pair',
        'explanationModelName': 'gpt-4o-mini',
      }
      if vectors:
        line['vector'] = rng.normal(size=WIDTH).round(3).tolist()
      lines.append(line)
  content = ''.join(f'{json.dumps(line)}\n' for line in lines).encode()
  (folder / 'batch-0.jsonl.gz').write_bytes(gzip.compress(content))
  texts = [
    f'{a} and {b} are by the river, it is said.'
    for a in _PEOPLE
    for b in _PEOPLE
  ]
  text = ''.join(f'{json.dumps({"text": t})}\n' for t in texts)
  (folder / 'texts.jsonl').write_text(text)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What is wrong with input of each published format, and what is said of it."""

from collections.abc import Callable
import gzip
import json
import pathlib
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from safetensors import numpy as safetensors_numpy

from tests.data import corpora_damaged_test as corpora_cases
from tests.dictionary import damaged_test as dictionary_cases
from tests.launch import damaged_formats

Damage = Callable[[pathlib.Path], Any]

_WEIGHTS, _ADAPTER = 'model.safetensors', 'adapter_model.safetensors'


# What damages them.


def _without(name: str) -> Damage:
  return lambda folder: (folder / name).unlink()


def _cut(name: str, share: float = 0.5) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])

  return damage


def _put(name: str, content: bytes) -> Damage:
  return lambda folder: (folder / name).write_bytes(content)


def _fields(name: str, **fields: Any) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **fields}))

  return damage


def _tensors(name: str, change: Callable[[dict[str, Any]], Any]) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    tensors = safetensors_numpy.load_file(folder / name)
    change(tensors)
    safetensors_numpy.save_file(tensors, folder / name, {'format': 'pt'})

  return damage


def _drop_first(tensors: dict[str, Any]) -> None:
  del tensors[min(tensors)]


def _narrow_first(tensors: dict[str, Any]) -> None:
  tensors[min(tensors)] = np.ascontiguousarray(tensors[min(tensors)][..., :-1])


def _rows(change: Callable[[list[Any]], Any]) -> Damage:
  """Changes rows of the training file."""

  def damage(folder: pathlib.Path) -> None:
    table = parquet.read_table(folder / 'train-0.parquet')
    rows = table.to_pylist()
    change(rows)
    changed = pa.Table.from_pylist(rows, table.schema)
    parquet.write_table(changed, folder / 'train-0.parquet')

  return damage


def _no_column(column: str) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    name = folder / 'train-0.parquet'
    parquet.write_table(parquet.read_table(name).drop_columns([column]), name)

  return damage


def _as_text(column: str) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    name = folder / 'train-0.parquet'
    table = parquet.read_table(name)
    index = table.schema.get_field_index(column)
    texts = pa.array(['x'] * table.num_rows)
    parquet.write_table(table.set_column(index, column, texts), name)

  return damage


def _renamed(name: str, other: str) -> Damage:
  return lambda folder: (folder / name).rename(folder / other)


def _change_lines(change: Callable[[list[Any]], Any]) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    name = folder / 'batch-0.jsonl.gz'
    lines = gzip.decompress(name.read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows)
    text = ''.join(f'{json.dumps(row)}\n' for row in rows)
    name.write_bytes(gzip.compress(text.encode()))

  return damage


class _Call:
  def __reduce__(self) -> Any:
    return print, ('called',)


_DIRECTIONS = 'features/layer_0.safetensors'
_PICKLE = 'explanations/train_explanations.pkl'
_POSITION = 'patch_position'

# Format, what is wrong, what makes it so, and a pattern of what is said.
CASES: tuple[tuple[str, str, Damage, str], ...] = (
  ('Hugging Face model', 'no config', _without('config.json'), 'config.json'),
  ('Hugging Face model', 'config cut', _cut('config.json'), 'not valid JSON'),
  ('Hugging Face model', 'no weights', _without(_WEIGHTS), 'safetensors'),
  ('Hugging Face model', 'cut', _cut(_WEIGHTS), 'safetensors'),
  (
    'Hugging Face model',
    'missing tensor',
    _tensors(_WEIGHTS, _drop_first),
    'lm_head.weight',
  ),
  (
    'Hugging Face model',
    'wrong width',
    _tensors(_WEIGHTS, _narrow_first),
    'lm_head.weight has shape',
  ),
  (
    'Hugging Face model',
    'unknown attribute',
    _fields('config.json', attention_sinks=4),
    'attention_sinks',
  ),
  (
    'Hugging Face model',
    'unknown family',
    _fields('config.json', model_type='mamba'),
    'mamba',
  ),
  ('Hugging Face model', 'tokenizer cut', _cut('tokenizer.json'), 'JSON'),
  ('PEFT adapter', 'no config', _without('adapter_config.json'), 'config'),
  ('PEFT adapter', 'cut', _cut(_ADAPTER), 'safetensors'),
  ('PEFT adapter', 'missing tensor', _tensors(_ADAPTER, _drop_first), 'lora_A'),
  ('PEFT adapter', 'wrong width', _tensors(_ADAPTER, _narrow_first), 'lora_A'),
  (
    'PEFT adapter',
    'unknown attribute',
    _fields('adapter_config.json', new_kind=True),
    'new_kind',
  ),
  (
    'PEFT adapter',
    'another kind',
    _fields('adapter_config.json', use_dora=True),
    'use_dora',
  ),
  ('activation patching', 'cut', _cut('train-0.parquet'), 'is damaged'),
  ('activation patching', 'empty', _put('train-0.parquet', b''), 'is damaged'),
  (
    'activation patching',
    'missing column',
    _no_column('layer'),
    'has no column layer',
  ),
  (
    'activation patching',
    'wrong type',
    _as_text('is_different'),
    'column is_different is of type string: expected bool',
  ),
  (
    'activation patching',
    'wrong width',
    _rows(lambda r: r[1][_POSITION].update(intervention_vector=[1.0])),
    'row 1: intervention_vector has 1 numbers: expected 16',
  ),
  (
    'activation patching',
    'wrong BOS',
    _rows(
      lambda rows: [
        r[_POSITION].update(orig_pos=r[_POSITION]['orig_pos'] - 1) for r in rows
      ]
    ),
    'row 0: orig_pos is .*: expected positions of this model, BOS counted',
  ),
  (
    'activation patching',
    'unknown token',
    _rows(lambda r: r[2]['input_tokens'].append('Ġzebra')),
    "row 2: input_tokens: token 'Ġzebra'",
  ),
  (
    'activation patching',
    'unknown layers',
    _rows(lambda r: r[3].update(layer=[8, 9])),
    r'row 3: layer is \[8, 9\]: expected consecutive ones of the 2 layers',
  ),
  (
    'activation patching',
    'pickle',
    _renamed('train-0.parquet', 'train-0.pkl'),
    'no file matches',
  ),
  ('input ablation', 'cut', _cut('train-0.parquet'), 'is damaged'),
  (
    'input ablation',
    'missing column',
    _no_column('hint_user_prompt'),
    'has no column hint_user_prompt',
  ),
  (
    'input ablation',
    'wrong type',
    _as_text('changed_pred_bc_hint'),
    'column changed_pred_bc_hint is of type string: expected bool',
  ),
  (
    'input ablation',
    'null',
    _rows(lambda r: r[4].update(question=None)),
    'row 4: question is null',
  ),
  (
    'input ablation',
    'wrong BOS',
    _rows(
      lambda r: r[2].update(
        hint_prompt_full='<|begin_of_text|>' + r[2]['hint_prompt_full']
      )
    ),
    'row 2: the prompt has BOS inside, or twice',
  ),
  (
    'input ablation',
    'another chat',
    _rows(lambda r: r[3].update(original_prompt_full='Hello')),
    'row 3: original_prompt_full does not hold original_user_prompt',
  ),
  ('features', 'no directions', _without(_DIRECTIONS), 'layer_0.safetensors'),
  ('features', 'directions cut', _cut(_DIRECTIONS), 'not a whole safetensors'),
  (
    'features',
    'wrong width',
    _tensors(_DIRECTIONS, _narrow_first),
    r'directions has shape \(24, 15\): expected \[features, 16\]',
  ),
  (
    'features',
    'unknown tensor',
    _tensors(_DIRECTIONS, lambda t: t.update(x=np.zeros(1, np.float32))),
    'holds .*: expected directions',
  ),
  (
    'features',
    'pickle',
    _renamed(_DIRECTIONS, 'features/layer_0.pkl'),
    'convert it first with python -m launch.convert_published',
  ),
  (
    'features',
    'labels cut',
    _cut('explanations/test_explanations.parquet'),
    'is damaged',
  ),
  (
    'features',
    'exemplars cut',
    _cut('test/layer1/max_seq_ids.npy'),
    'is damaged',
  ),
  ('Neuronpedia', 'cut', _cut('batch-0.jsonl.gz'), 'is damaged after'),
  (
    'Neuronpedia',
    'no gzip',
    _put('batch-0.jsonl.gz', b'{}'),
    'is damaged after 0 lines',
  ),
  (
    'Neuronpedia',
    'no JSON',
    _put('batch-0.jsonl.gz', gzip.compress(b'{"modelId"')),
    'line 1 is no JSON',
  ),
  (
    'Neuronpedia',
    'missing field',
    _change_lines(lambda rows: rows[6].pop('index')),
    'line 7 has no index',
  ),
  (
    'Neuronpedia',
    'wrong width',
    _change_lines(lambda rows: rows[6].update(vector=[0.5] * 15)),
    r'line 7: vector has shape \(15,\)',
  ),
  (
    'Neuronpedia',
    'unknown layer',
    _change_lines(lambda rows: rows[6].update(layer='31-res-test')),
    "line 7: layer is '31-res-test'",
  ),
  ('phrasings', 'no file', _without('authors.yaml'), 'authors.yaml'),
  ('phrasings', 'no YAML', _put('authors.yaml', b'a: [b'), 'not valid YAML'),
  ('phrasings', 'no text', _put('authors.yaml', b'\xff'), 'not valid YAML'),
  ('phrasings', 'no phrasings', _put('authors.yaml', b'train: 1'), 'expected'),
  (
    'phrasings',
    'unknown field',
    _put(
      'authors.yaml',
      damaged_formats.YAML.replace('{layer}', '{neuron}').encode(),
    ),
    '{neuron}',
  ),
  ('pickles', 'cut', _cut(_PICKLE), 'is damaged'),
  ('pickles', 'cut zip', _cut('test_vectors.pt', 0.9), 'is damaged'),
  ('pickles', 'no pickle', _put(_PICKLE, b'text'), 'is damaged'),
  (
    'pickles',
    'calls',
    _put(_PICKLE, pickle.dumps([_Call()])),
    'names builtins.print: expected nothing but tensors',
  ),
  (
    'pickles',
    'something else',
    _put(_PICKLE, pickle.dumps(3)),
    'holds a int: expected an array',
  ),
  *dictionary_cases.CASES,
  *(
    (f'text {ending}', what, damage, said)
    for ending, what, damage, said in corpora_cases.CASES
  ),
)

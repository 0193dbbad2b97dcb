# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Every published format: what writes a small one, and who reads it."""

from collections.abc import Callable
import functools
import pathlib
import shutil
from typing import Any, NamedTuple

from absl.testing import absltest
import jax
import ml_collections

from experiments import conversion
from experiments import published_explainer
from experiments.ablation import published as ablation
from experiments.features import dump
from experiments.features import published as features
from experiments.patching import published as patching
from launch import convert_published
from launch import dump_activations
from launch import import_explainer
from launch import make_explanations
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.data import text_sources
from tests.dictionary import damaged_test as dictionary_cases
from tests.published import made

Damage = Callable[[pathlib.Path], Any]
Stage = tuple[Any, ml_collections.ConfigDict]

_PICKLES = pathlib.Path(__file__).parents[1] / 'published/data'
_TEXTS = tuple(f'the mill stands {i}' for i in range(6))
YAML = """
continuous_tokens:
  begin_continuous: "<|reserved_special_token_10|>"
  end_continuous: "<|reserved_special_token_11|>"
  continuous_rep: "<|reserved_special_token_12|>"
train:
  tasks:
    features_explain:
      question_types:
        generative_explanation:
          prompts:
            - "At {layer}, {begin_continuous}{feature}{end_continuous} is "
"""


# What writes whole ones, and which binary with which config reads them.


@functools.cache
def _root() -> pathlib.Path:
  return pathlib.Path(absltest.get_default_test_tmpdir()) / 'damaged'


@functools.cache
def _target() -> made.Model:
  return made.write_target(_root() / 'target', 'llama')


def _data(name: str, write: Callable[[pathlib.Path], Any]) -> Damage:
  """Copies data that are written once, beside a target."""

  def copy(folder: pathlib.Path) -> None:
    _target()
    source = _root() / name
    if not source.exists():
      write(source)
    shutil.copytree(source, folder, dirs_exist_ok=True)

  return copy


def _model(folder: pathlib.Path) -> None:
  _target()
  shutil.copytree(_root() / 'target', folder, dirs_exist_ok=True)


def _adapter(folder: pathlib.Path) -> None:
  model, _ = _target()
  made_ = lora.Lora(model, 2, jax.random.key(0), False)
  peft.save(made_, model, folder, str(_root() / 'target'))
  for name in ('tokenizer.json', 'special_tokens_map.json'):
    shutil.copy(_root() / 'target' / name, folder / name)


def _texts(ending: str) -> Damage:
  return lambda folder: text_sources.write(folder / f'part{ending}', _TEXTS)


def _dump_of(target: pathlib.Path, texts: str) -> Stage:
  config = dump.get_config()
  config.target, config.dtype = str(target), 'float32'
  config.prompts.text.update(dict(files=texts, count=6, length=6))
  config.prompts_per_shard = 6
  return dump_activations, config


def _dump(folder: pathlib.Path) -> Stage:
  texts = _root() / 'whole.jsonl'
  text_sources.write(texts, _TEXTS)
  return _dump_of(folder, str(texts))


def _read_texts(folder: pathlib.Path) -> Stage:
  _target()
  return _dump_of(_root() / 'target', f'{folder}/part*')


def _explanations(config: ml_collections.ConfigDict) -> Stage:
  config.target = str(_root() / 'target')
  return make_explanations, config


def _of_splits(module: Any) -> Callable[[pathlib.Path], Stage]:
  def stage(folder: pathlib.Path) -> Stage:
    config = module.get_config()
    config.published.train = f'{folder}/train-0.parquet'
    config.published.test = f'{folder}/test-0.parquet'
    config.validation_share = 0.2
    return _explanations(config)

  return stage


def _layout(folder: pathlib.Path) -> Stage:
  config = features.get_config('layout')
  config.published.folder = str(folder)
  config.validation_share = 0.2
  return _explanations(config)


def _export(folder: pathlib.Path, kind: str = 'vectors') -> Stage:
  config = features.get_config(kind)
  config.published.explanations = f'{folder}/batch-0.jsonl.gz'
  config.corpus.files = f'{folder}/texts.jsonl'
  config.documents = dict(scores=8, length=6)
  config.shares = dict(validation=0.2, test=0.2)
  return _explanations(config)


def _dictionary(folder: pathlib.Path) -> Stage:
  """Features of layer 0 of a dictionary."""
  _target()
  made.write_neuronpedia(_root() / 'of_layer_0', layers=1, vectors=False)
  module, config = _export(_root() / 'of_layer_0', 'neuronpedia')
  config.dictionary = str(folder)
  return module, config


def _convert(folder: pathlib.Path) -> Stage:
  config = conversion.get_config()
  config.source = str(folder)
  return convert_published, config


def _phrasings(folder: pathlib.Path) -> Stage:
  _target()
  config = published_explainer.get_config()
  config.checkpoint = str(_root() / 'target')
  config.phrasings = f'{folder}/authors.yaml'
  return import_explainer, config


class Format(NamedTuple):
  """A published format.

  Attributes:
    write: writes a whole one into a folder; returns what is damaged, if that
      is not the folder.
    stage: the binary that reads it, with a config.
  """

  write: Damage
  stage: Callable[[pathlib.Path], Stage]


FORMATS: dict[str, Format] = {
  'Hugging Face model': Format(_model, _dump),
  'PEFT adapter': Format(_adapter, _dump),
  'activation patching': Format(
    _data('patching', lambda f: made.write_patching(f, _target(), False)),
    _of_splits(patching),
  ),
  'input ablation': Format(
    _data('ablation', lambda f: made.write_ablation(f, _target())),
    _of_splits(ablation),
  ),
  'features': Format(
    _data('layout', lambda f: made.write_features(f, _target())), _layout
  ),
  'Neuronpedia': Format(_data('export', made.write_neuronpedia), _export),
  'phrasings': Format(
    lambda folder: (folder / 'authors.yaml').write_text(YAML), _phrasings
  ),
  'pickles': Format(
    lambda f: shutil.copytree(_PICKLES / 'features', f, dirs_exist_ok=True),
    _convert,
  ),
  **{
    form: Format(functools.partial(write, width=made.WIDTH), _dictionary)
    for form, write in dictionary_cases.WRITERS.items()
  },
  **{
    f'text {ending}': Format(_texts(ending), _read_texts)
    for ending in ('.jsonl', '.jsonl.gz', '.txt', '.parquet', '.array_record')
  },
}


def write(form: str, folder: pathlib.Path) -> pathlib.Path:
  """Writes a whole one; returns what is damaged."""
  written = FORMATS[form].write(folder)
  return written if isinstance(written, pathlib.Path) else folder

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what every stage says to damaged and wrong input."""

from collections.abc import Callable
import os
import pathlib
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections

from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import train_dictionary
from launch import train_explainer
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from tests.launch import whole

_STAGES = {
  'store': dump_activations,
  'dictionary': train_dictionary,
  'features': make_explanations,
  'patching': make_explanations,
  'ablation': make_explanations,
  'self_explainer': train_explainer,
  'features_evaluation': evaluate_fidelity,
  'patching_evaluation': evaluate_fidelity,
  'ablation_evaluation': evaluate_fidelity,
}
Damage = Callable[[pathlib.Path], None]


def _without(name: str) -> Damage:
  return lambda folder: (folder / name).unlink()


def _cut(name: str) -> Damage:
  """Cuts a file in the middle."""

  def damage(folder: pathlib.Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])

  return damage


def _flipped(name: str) -> Damage:
  """Flips a bit in the middle of the largest file below a folder or file."""

  def damage(folder: pathlib.Path) -> None:
    below = (folder / name, *(folder / name).rglob('*'))
    largest = max(
      (f for f in below if f.is_file()), key=lambda f: f.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)

  return damage


_SET = 'explanations.patching'  # A field of explainers.

# Stage, field, the folder of the run that a damaged copy is made of, the
# damage, and what the error names besides the copy.
_DAMAGED: tuple[tuple[str, str, str, Damage, str], ...] = (
  ('store', 'target', 'target/model', _without('config.json'), 'config.json'),
  ('store', 'target', 'target/model', _cut('config.json'), 'config.json'),
  ('store', 'target', 'target/model', _cut('model.safetensors'), 'safetensors'),
  (
    'store',
    'target',
    'target/model',
    _without('model.safetensors'),
    'safetensors',
  ),
  ('store', 'target', 'target/model', _cut('tokenizer.json'), 'tokenizer.json'),
  (
    'store',
    'target',
    'target/model',
    _without('pretraining.json'),
    'pretraining.json',
  ),
  ('patching', 'store', 'store', _without('manifest.json'), 'manifest'),
  ('patching', 'store', 'store', _cut('manifest.json'), 'manifest.json'),
  ('patching', 'store', 'store', _without('prompts.parquet'), 'prompts'),
  ('patching', 'store', 'store', _cut('prompts.parquet'), 'prompts'),
  ('patching', 'store', 'store', _flipped('resid_post'), 'resid_post'),
  ('self_explainer', _SET, 'patching', _without('manifest.json'), 'manifest'),
  (
    'self_explainer',
    _SET,
    'patching',
    _flipped('records.parquet'),
    'records.parquet',
  ),
  ('self_explainer', _SET, 'patching', _flipped('vectors'), 'vectors'),
  (
    'self_explainer',
    'initial',
    'target/model',
    _without('config.json'),
    'config.json',
  ),
  (
    'patching_evaluation',
    'explanations',
    'patching',
    _without('manifest.json'),
    'manifest.json',
  ),
  (
    'features_evaluation',
    'explanations',
    'features',
    _flipped('documents.parquet'),
    'documents.parquet',
  ),
  (
    'features_evaluation',
    'dictionary',
    'dictionary',
    _without('metrics.json'),
    'metrics.json',
  ),
  (
    'features',
    'dictionary',
    'dictionary',
    _cut('dictionaries/blocks.0.hook_resid_post/sae_weights.safetensors'),
    'sae_weights.safetensors',
  ),
  (
    'patching_evaluation',
    'explainers.self',
    'self_explainer/model',
    _without('explainer.json'),
    'explainer.json',
  ),
  (
    'patching_evaluation',
    'explainers.self',
    'self_explainer/model',
    _cut('model.safetensors'),
    'safetensors',
  ),
)

# Stage, fields, where {run} is the workdir of the run, and what the error says.
_WRONG: tuple[tuple[str, dict[str, object], str], ...] = (
  ('store', {'sites': ('resid',)}, 'resid'),
  ('store', {'layers': (0, 2)}, 'layer 2'),
  ('store', {'dtype': 'float'}, "dtype='float': expected float32 or"),
  ('dictionary', {'target': '{run}/stranger/model'}, 'of another model'),
  ('dictionary', {'layers': (0, 5)}, 'config.layers is (0, 5)'),
  ('features', {'target': '{run}/stranger/model'}, 'of another model'),
  ('features', {'dictionary': '{run}/target'}, 'holds no dictionaries'),
  ('features', {'documents.length': 9999}, 'length is 9999: expected at most'),
  ('features', {'threshold': 0.0}, 'threshold'),
  ('features', {'unlabelled': 0}, 'unlabelled is 0: expected at least 1'),
  ('features', {'task': 'feature'}, "unknown task 'feature'"),
  ('patching', {'target': '{run}/stranger/model'}, 'of another model'),
  ('patching', {'store': '{run}/documents'}, 'has no position kinds'),
  ('patching', {'blocks': ((0, 2),)}, 'config.blocks has'),
  ('patching', {'site': 'mlp_out'}, 'mlp_out'),
  ('patching', {'dtype': 'bfloat16'}, 'is float32: expected bfloat16'),
  ('ablation', {'dtype': 'float16'}, "dtype='float16': expected float32 or"),
  ('patching', {'blocks': (1, 2)}, 'expected pairs of a first'),
  ('patching', {'quota.train': 0}, 'quota.train is 0: expected at least 1'),
  ('ablation', {'rounds': 0}, 'rounds is 0: expected at least 1'),
  ('ablation', {'prompts.source': 'books'}, "prompts.source is 'books'"),
  ('self_explainer', {'injection': 'add'}, "'add'"),
  ('self_explainer', {'injection_block': 2}, 'block 2: expected 0 to 1'),
  ('self_explainer', {'frozen.blocks': 3}, 'blocks is 3: expected 0 to 2'),
  ('self_explainer', {'evaluate_every': 0}, 'evaluate_every=0'),
  ('self_explainer', {'row_length': 8}, 'at most 8'),
  (
    'self_explainer',
    {'explanations.patching': '{run}/ablation'},
    "a set of task 'ablation': expected 'patching'",
  ),
  ('self_explainer', {'task_weights.patching': -1.0}, 'a number above 0'),
  ('self_explainer', {'projection.start': 'ridge'}, 'config.target is missing'),
  ('self_explainer', {'projection.start': 'pca'}, "unknown projection 'pca'"),
  ('self_explainer', {'projection.rows': 0}, 'rows=0: expected at least 1'),
  (
    'self_explainer',
    {'projection.start': 'ridge', 'target': '{run}/stranger/model'},
    'is not the model that the sets explain',
  ),
  (
    'self_explainer',
    {f'explanations.{task}': '' for task in whole.TASKS},
    'config.explanations names no set',
  ),
  (
    'patching_evaluation',
    {'target': '{run}/stranger/model'},
    'explains another model',
  ),
  (
    'patching_evaluation',
    {'initial': '{run}/stranger/model'},
    'expected the model that',
  ),
  ('patching_evaluation', {'split': 'exam'}, "no records of split 'exam'"),
  ('patching_evaluation', {'explainers.self': '{run}/nobody'}, '/nobody'),
  ('patching_evaluation', {'arms': ('mind_reader',)}, "'mind_reader'"),
  ('patching_evaluation', {'examples': -3}, 'examples=-3: expected at least 0'),
  ('features_evaluation', {'dictionary': ''}, '--config.dictionary is missing'),
)


class BadInputTest(parameterized.TestCase):
  run_: pathlib.Path

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_, _ = whole.run()

  def assert_refused(
    self, stage: str, config: ml_collections.ConfigDict, *said: str
  ) -> None:
    workdir = self.create_tempdir().full_path
    with self.assertRaises(errors.InputError) as caught:
      _STAGES[stage].run(config, workdir)
    # Or else the right config would be refused here as another one.
    self.assertFalse(os.path.exists(f'{workdir}/config.json'))
    message = str(caught.exception)
    self.assertLen(message.splitlines(), 1)
    for text in said:
      self.assertIn(text, message)

  @parameterized.parameters(*_DAMAGED)
  def test_damaged_input(self, stage, field, source, damage, named):
    copy = pathlib.Path(self.create_tempdir().full_path) / 'copy'
    shutil.copytree(self.run_ / source, copy)
    damage(copy)
    config = whole.stage_config(stage)
    config.update_from_flattened_dict({field: str(copy)})
    self.assert_refused(stage, config, str(copy), named)

  @parameterized.parameters(*_WRONG)
  def test_wrong_field(self, stage, fields, said):
    config = whole.stage_config(stage)
    config.update_from_flattened_dict(
      {
        name: value.format(run=self.run_) if isinstance(value, str) else value
        for name, value in fields.items()
      }
    )
    self.assert_refused(stage, config, said)

  def test_explainer_of_another_set_is_refused(self):
    copy = pathlib.Path(self.create_tempdir().full_path) / 'copy'
    shutil.copytree(self.run_ / 'self_explainer/model', copy)
    note = files.read_json(copy / 'explainer.json', 'note')
    train = explanations.read(self.run_ / 'patching').split('train')
    self.assertEqual(note['training']['examples']['patching'], len(train))
    note['training']['records_digests']['patching'] = 'of another'
    files.write_json(copy / 'explainer.json', note)
    config = whole.stage_config('patching_evaluation')
    config.explainers.stranger = str(copy)
    self.assert_refused(
      'patching_evaluation', config, str(copy), 'another explanation'
    )


if __name__ == '__main__':
  absltest.main()

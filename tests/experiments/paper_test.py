# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the paper's experiments: what follows from what, and what runs."""

import importlib
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from experiments import paper
from launch import flow
from selfexplain_jax import estimate
from selfexplain_jax.data import phrasings
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import sizes
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.tasks import table
from tests.models import real

_FOLDER = pathlib.Path(__file__).parents[2] / 'experiments'
# Every file of a task that is named after a model.
_FILES = sorted(
  f'experiments.{path.parent.name}.{path.stem}'
  for task in ('features', 'patching', 'ablation')
  for path in (_FOLDER / task).glob('*[0-9]b_*.py')
)


def _told(config, folder):
  """What a dry run of `train_explainer` prints of minutes and memory."""
  tuned = config.copy_and_resolve_references().explainer
  real.write(tuned.initial, pathlib.Path(folder))
  tuned.initial = folder
  return sizes.text(tuned, sizes.shape(tuned))


class PaperTest(parameterized.TestCase):
  def test_there_is_one_for_each_pair_of_the_paper(self):
    self.assertLen(_FILES, 7 + 4 + 4)

  @parameterized.parameters(*_FILES)
  def test_stages_follow_what_it_is_about(self, name):
    module = importlib.import_module(name)
    config = module.get_config()
    self.assertIn('-m launch.flow', module.__doc__)
    self.assertIn(f'{name.replace(".", "/")}.py', module.__doc__)
    own = config.evaluation.initial == config.evaluation.target
    self.assertEqual(own, name.endswith('_self'))

    config.target, config.initial, config.dtype = 'T', 'I', 'float32'
    config.mesh.tensor = 4
    found = config.copy_and_resolve_references()
    self.assertEqual(found.explanations.target, 'T')
    self.assertEqual(found.evaluation.target, 'T')
    self.assertEqual(found.explainer.initial, 'I')
    self.assertEqual(found.evaluation.initial, 'I')
    for stage in ('explanations', 'explainer', 'evaluation'):
      self.assertEqual(found[stage].dtype, 'float32')
      self.assertEqual(found[stage].mesh.tensor, 4)

  @parameterized.parameters(*_FILES)
  def test_names_what_there_is(self, name):
    config = importlib.import_module(name).get_config()
    stages = flow._stages(config)
    self.assertEqual(list(stages), ['explanations', 'explainer', 'evaluation'])
    inputs = list(flow._inputs(config))
    task = config.explanations.task
    self.assertIn(('explainer', f'explanations.{task}', 'explanations'), inputs)
    self.assertIn(config.explanations.maker, table.task(task).makers)
    self.assertIn(config.explainer.injection, injection.MODES)
    language = table.task(task).language
    self.assertNotEmpty(phrasings.find(config.explainer.phrasings, language))

  @parameterized.parameters(*_FILES)
  def test_says_what_a_dry_run_prints(self, name):
    module = importlib.import_module(name)
    told = _told(module.get_config(), self.create_tempdir().full_path)
    said = ' '.join(module.__doc__.split())
    self.assertIn(f'prints that the tuning takes {told}', said)

  def test_real_models_have_their_published_sizes(self):
    for name, expected in (
      (paper.LLAMA, 8_030_261_248),
      (paper.LLAMA_70B, 70_553_706_496),
      (paper.QWEN, 8_190_735_360),
      (paper.GEMMA, 9_241_705_984),
    ):
      folder = pathlib.Path(self.create_tempdir().full_path)
      real.write(name, folder)
      model = decoder.abstract(huggingface.read_config(folder))
      found = estimate.memory(model, mesh_lib.plan_mesh())
      self.assertEqual(found.parameters, expected, name)

  def test_chat_models_are_asked_in_chats(self):
    for name in _FILES:
      config = importlib.import_module(name).get_config()
      asked = config.explainer.initial in (
        paper.QWEN,
        paper.LLAMA_INSTRUCT,
        paper.GEMMA_INSTRUCT,
      )
      self.assertEqual(config.explainer.chat, asked, name)


if __name__ == '__main__':
  absltest.main()

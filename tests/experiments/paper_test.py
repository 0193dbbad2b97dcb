# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the paper's experiments: what follows from what, and what runs."""

import importlib
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from experiments import paper
from launch import flow
from selfexplain_jax.data import phrasings
from selfexplain_jax.explainer import injection
from selfexplain_jax.tasks import table

_FOLDER = pathlib.Path(__file__).parents[2] / 'experiments'
# Every file of a task that is named after a model.
_FILES = sorted(
  f'experiments.{path.parent.name}.{path.stem}'
  for task in ('features', 'patching', 'ablation')
  for path in (_FOLDER / task).glob('*[0-9]b_*.py')
)


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

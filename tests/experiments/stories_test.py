# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that a model without a tokenizer needs nothing but configurations."""

import pathlib
import re

from absl.testing import absltest
import numpy as np

from experiments import quickstart
from experiments.patching import stories
from launch import dump_activations
from launch import evaluate_fidelity
from launch import flow
from launch import make_explanations
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interview import examples
from selfexplain_jax.interview import interview
from selfexplain_jax.interview import places
from selfexplain_jax.interview import request

_MODEL = pathlib.Path(__file__).parents[3] / 'shared/data/stories260k'
_LAYERS = 5


class StoriesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    if not _MODEL.exists():
      self.skipTest(f'the model is not beside the project: no {_MODEL}')
    self.out = self.create_tempdir().full_path

  def dump(self, count: int):
    config = stories.get_config('dump')
    config.target = str(_MODEL)
    config.prompts.samples = dict(count=count, length=12)
    config.prompts_per_shard = 32
    dump_activations.run(config, f'{self.out}/store')

  def test_one_prompt(self):
    self.dump(1)
    made = stories.get_config('explanations')
    made.target = str(_MODEL)
    made.store = f'{self.out}/store'
    with self.assertRaisesRegex(errors.InputError, 'nothing to ask in split'):
      make_explanations.run(made, f'{self.out}/set')

  def test_dump_explanations_and_evaluation(self):
    self.dump(60)
    prompts = prompts_lib.read(f'{self.out}/store')
    self.assertLen(prompts, 60)
    for ids, text in zip(prompts.ids, prompts.text, strict=True):
      self.assertLen(ids, 12)
      self.assertEqual(ids[0], 1)
      self.assertEqual(text, ' '.join(f't{i}' for i in ids[1:]))

    made = stories.get_config('explanations')
    made.target = str(_MODEL)
    made.store = f'{self.out}/store'
    made.quota = dict(train=4, validation=1, test=2)
    made.floor.unchanged = 1.0  # A tenth of so small a quota is nothing.
    make_explanations.run(made, f'{self.out}/set')
    explained = explanations.read(f'{self.out}/set')
    blocks = {(r['first_layer'], r['last_layer']) for r in explained.rows}
    self.assertEqual(blocks, set(stories.BLOCKS))
    self.check_effects(explained)

    evaluated = stories.get_config('evaluation')
    evaluated.target = str(_MODEL)
    evaluated.explanations = f'{self.out}/set'
    evaluate_fidelity.run(evaluated, f'{self.out}/evaluation')
    figures = files.read_json(f'{self.out}/evaluation/metrics.json', 'figures')
    self.assertEqual(figures['disagreements_with_store'], 0)
    self.assertSameElements(
      figures['rows'], ('nearest_neighbour', 'metadata', 'majority')
    )

  def test_a_world_model_explains_it_by_ids(self):
    config = stories.get_config('flow')
    config.target = str(_MODEL)
    small = quickstart.get_config('test')
    tiny = small.target
    tiny.quoted_ids = config.initial.quoted_ids
    tiny.model.layers = 5  # Their numbers have to be words.
    config.initial = tiny
    config.store.prompts.samples = dict(count=60, length=12)
    config.store.prompts_per_shard = 32
    config.explanations.quota = dict(train=4, validation=1, test=2)
    config.explanations.floor.unchanged = 1.0
    trained = small.self_explainer
    for name in ('explanations', 'initial'):
      trained[name] = config.explainer[name]
    trained.projection.start = config.explainer.projection.start
    config.explainer = trained
    flow.run(config, f'{self.out}/flow')

    opened = interview.open_interview(
      places.find(f'{self.out}/flow/explainer'), mesh_lib.make_mesh()
    )
    shown = opened.explainer.injection.parameters.projection
    self.assertEqual(shown.shape[1:], (32, 64))
    asked = request.Request(
      prompt_ids=(1, 403, 407, 261),
      position='2',
      layer='1',
      question='patching',
      source_ids=(1, 403, 411, 300),
    )
    (finding,) = asked.findings(opened)
    self.assertEqual(finding.tokens[2], 't407')
    self.assertIn('<t411> of <<<t403 t411 t300>>>', finding.answer.shown)
    self.assertIn('<<<t403 V t261>>>', finding.question)
    self.assertIsNotNone(finding.control)
    for example in examples.questions(opened):
      made = request.Request(
        **{
          name: str(value) if isinstance(value, int) else value
          for name, value in example.items()
        }
      )
      self.assertLen(made.findings(opened), 1)

  def check_effects(self, explained: explanations.ExplanationSet):
    """Checks what must be so where the patch is after the last block.

    There the last token's vector is all that the output is made from, and any
    other token's is read no more.
    """
    own = {}
    for row in explained.rows:
      own[row['text']] = row['clean_token']
    seen = set()
    for row in explained.rows:
      self.assertTrue(re.fullmatch(r't\d+', row['treated_token']), row)
      if row['first_layer'] != _LAYERS - 1:
        continue
      if row['place'] != 'last_token':
        self.assertFalse(row['changed'], row)
        seen.add('elsewhere')
      elif row['counterfactual_text'] in own:
        self.assertEqual(row['treated_token'], own[row['counterfactual_text']])
        seen.add('last_token')
    self.assertEqual(seen, {'elsewhere', 'last_token'})
    self.assertBetween(
      np.mean([r['changed'] for r in explained.rows]), 0.2, 0.8
    )


class ConfigTest(absltest.TestCase):
  def test_unknown_stage(self):
    with self.assertRaisesRegex(ValueError, "no stage 'train': expected dump"):
      stories.get_config('train')

  def test_no_model_is_named(self):
    for stage in ('dump', 'explanations', 'evaluation'):
      self.assertEqual(stories.get_config(stage).target, '')

  def test_no_explainers(self):
    explainers = stories.get_config('evaluation').explainers
    self.assertFalse(any(explainers.values()))


if __name__ == '__main__':
  absltest.main()

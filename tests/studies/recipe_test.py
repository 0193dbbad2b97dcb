# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what a recipe's digest depends on, and of where its inputs lie."""

import dataclasses

from absl.testing import absltest
import ml_collections

from selfexplain_jax.studies import recipe
from tests.studies import runs


def _explainer(pretraining_seed=0, rate=0.5, part='model') -> recipe.Recipe:
  model = runs.make_recipe('pretrain', seed=pretraining_seed)
  config = ml_collections.ConfigDict(
    dict(rate=rate, blocks=((0, 1),), initial='', sets=dict(patching=''))
  )
  made = runs.make_recipe('explain', {'target': model})
  return recipe.Recipe(
    'explainer',
    'train',
    config,
    {
      'initial': recipe.Source(model, part),
      'sets.patching': recipe.Source(made),
    },
  )


class RecipeTest(absltest.TestCase):
  def test_equal_recipes_have_equal_digests(self):
    self.assertEqual(_explainer().digest, _explainer().digest)
    renamed = dataclasses.replace(_explainer(), name='another')
    self.assertEqual(renamed.digest, _explainer().digest)

  def test_whatever_is_different_gives_another_digest(self):
    digests = {
      made.digest
      for made in (
        _explainer(),
        _explainer(pretraining_seed=1),  # Two steps before.
        _explainer(rate=0.25),
        _explainer(part='other'),
        dataclasses.replace(_explainer(), stage='evaluate'),
        dataclasses.replace(_explainer(), inputs={}),
      )
    }
    self.assertLen(digests, 6)

  def test_inputs_are_in_folders_of_the_workdir(self):
    made = _explainer()
    config = made.resolved('/somewhere')
    model = made.inputs['initial'].recipe
    self.assertEqual(config.initial, f'/somewhere/{model.folder}/model')
    self.assertEqual(
      config.sets.patching,
      f'/somewhere/{made.inputs["sets.patching"].recipe.folder}',
    )
    self.assertEqual(made.config.initial, '')  # Left as it was.
    self.assertEqual(made.resolved('/elsewhere').rate, 0.5)

  def test_folders_of_different_recipes_differ(self):
    self.assertNotEqual(_explainer().folder, _explainer(rate=1.0).folder)

  def test_what_is_needed_comes_first(self):
    self.assertEqual(
      [made.stage for made in _explainer().all()],
      ['pretrain', 'pretrain', 'explain', 'train'],
    )


if __name__ == '__main__':
  absltest.main()

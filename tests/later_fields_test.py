# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that fields of later change neither results nor folders of before."""

import copy

from absl.testing import absltest

from experiments import evaluation
from experiments import explainer
from experiments import quickstart
from experiments.patching import explanations
from selfexplain_jax import files
from selfexplain_jax import later_fields
from selfexplain_jax.studies import recipe

_CONFIGS = {
  'evaluate_fidelity': evaluation.get_config(),
  'make_explanations': explanations.get_config(),
  'train_explainer': explainer.get_config(),
}


def _recipe(stage, config):
  return recipe.Recipe('name', stage, config)


class LaterFieldsTest(absltest.TestCase):
  def test_defaults_are_what_was_done_before(self):
    for stage, config in _CONFIGS.items():
      made = _recipe(stage, config).digest
      before = copy.deepcopy(config)
      del before.dtype
      if 'keep_unstable' in before:
        del before.keep_unstable
      self.assertEqual(_recipe(stage, before).digest, made)
      other = copy.deepcopy(config)
      other.dtype = 'bfloat16'
      self.assertNotEqual(_recipe(stage, other).digest, made)

  def test_of_a_field_with_parts_those_that_decide_count(self):
    config = evaluation.get_config()
    made = _recipe('evaluate_fidelity', config).digest
    before = copy.deepcopy(config)
    del before.judge, before.simulator, before.simulator_convention
    self.assertEqual(_recipe('evaluate_fidelity', before).digest, made)
    other = copy.deepcopy(config)
    other.judge.deadline = 1.0  # Of what words do not need.
    self.assertEqual(_recipe('evaluate_fidelity', other).digest, made)
    now = files.as_json(other.to_dict())
    old = files.as_json(before.to_dict())
    self.assertEqual(later_fields.put_in(old, now), now)
    other.judge.kind = 'endpoint'
    self.assertNotEqual(_recipe('evaluate_fidelity', other).digest, made)
    now = files.as_json(other.to_dict())
    self.assertNotEqual(later_fields.put_in(old, now), now)

  def test_a_field_that_is_not_later_stays(self):
    # Stores have always had a dtype.
    store = quickstart.get_config('test').store.to_dict()
    self.assertEqual(later_fields.left_out('dump_activations', store), store)

  def test_an_old_config_is_that_of_now(self):
    for config in _CONFIGS.values():
      now = files.as_json(config.to_dict())
      old = {
        n: v for n, v in now.items() if n not in ('dtype', 'keep_unstable')
      }
      self.assertEqual(later_fields.put_in(old, now), now)
      other = {**now, 'dtype': 'bfloat16'}
      self.assertEqual(later_fields.put_in(other, now), other)
      self.assertEqual(later_fields.put_in(old, old), old)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that the results that are kept are those of the present configs."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from experiments.privileged_access import study as privileged_access
from experiments.scaling import examples
from selfexplain_jax.studies import study

_RESULTS = pathlib.Path(__file__).parents[2] / 'experiments' / 'results'


class ResultsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('privileged_access', privileged_access, 'all'),
    ('longer', privileged_access, 'longer'),
    ('scaling', examples, None),
  )
  def test_nothing_is_undone(self, module, part):
    config = module.get_config(*([part] if part else []))
    results = study.Results(_RESULTS / 'runs')
    plan = module.plan(config, results)
    self.assertNotEmpty(plan.runs)
    self.assertEqual(plan.undone(results), {'undone': [], 'later': 0})


if __name__ == '__main__':
  absltest.main()

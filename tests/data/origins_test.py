# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of where vectors are from."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import origins
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching
from tests.data import fixtures

ONE = origins.Origin([1, 5, 6, 7], 2, 'resid_post', 0, 1)
OTHER = origins.Origin([1, 8], 0, 'resid_post', 1, 1)


class OriginsTest(absltest.TestCase):
  def test_arrays_hold_what_is_read_and_nothing_after_it(self):
    found = origins.arrays([ONE, OTHER], 3, 4)
    np.testing.assert_array_equal(
      found['origin_tokens'], [[1, 5, 6, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(found['origin_positions'], [2, 0, 0])
    np.testing.assert_array_equal(
      found['origin_layers'], [[0, 1], [1, 1], [0, -1]]
    )
    for value in found.values():
      self.assertEqual(value.dtype, np.int32)

  def test_there_is_one_site(self):
    self.assertEqual(origins.site([ONE, OTHER]), 'resid_post')
    self.assertEqual(origins.site([]), '')
    third = origins.Origin([1], 0, 'mlp_out', 0, 0)
    with self.assertRaisesRegex(errors.InputError, 'mlp_out, resid_post'):
      origins.site([ONE, third])


class RecordsTest(absltest.TestCase):
  def test_patching_says_the_counterfactual_prompt(self):
    record = fixtures.record(3)
    (origin,) = patching.origins(record)
    self.assertEqual(
      origin,
      origins.Origin(
        fixtures.TOKENIZER.encode_prompt(record['counterfactual_text']),
        record['counterfactual_position'],
        *('resid_post', record['first_layer'], record['last_layer']),
      ),
    )

  def test_records_that_do_not_say_are_refused(self):
    older = {**fixtures.record(0)}
    published = {**older, 'counterfactual_ids': None}
    del older['counterfactual_ids']
    for record in (older, published):
      with self.assertRaisesRegex(errors.InputError, 'no counterfactual_ids'):
        patching.origins(record)

  def test_directions_are_refused(self):
    record = {'place': 'feature', 'layer': 1, 'source': 'feature 7'}
    with self.assertRaisesRegex(
      errors.InputError, 'feature 1 feature 7 is a direction'
    ):
      features.origins(record)

  def test_ablation_shows_none(self):
    self.assertEmpty(ablation.origins(fixtures.ablation_record(0)))


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the table of question types."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import table
from tests.data import fixtures

NAMES = ('features', 'patching', 'ablation')


class TableTest(parameterized.TestCase):
  def test_knows_each_type_by_its_name(self):
    self.assertEqual(tuple(table.TASKS), NAMES)
    for language in (features, patching, ablation):
      self.assertIs(table.task(language.NAME).language, language)

  def test_refuses_another(self):
    with self.assertRaisesRegex(errors.InputError, "'pathcing'.*patching"):
      table.task('pathcing')

  @parameterized.parameters(*NAMES)
  def test_records_begin_with_the_columns_that_all_have(self, name):
    schema = table.task(name).language.SCHEMA
    common = explanations.COMMON
    self.assertEqual(list(schema)[: len(common)], list(common))
    self.assertLen(set(schema.names), len(schema.names))

  def test_only_ablations_can_be_put_to_the_target_itself(self):
    asked = [n for n in NAMES if table.task(n).evaluation.black_box is not None]
    self.assertEqual(asked, ['ablation'])

  @parameterized.parameters(
    (patching.NAME, fixtures.explanation_set),
    (ablation.NAME, fixtures.ablation_set),
  )
  def test_predictions_copy_columns_of_the_records(self, name, made):
    evaluation = table.task(name).evaluation
    self.assertContainsSubset(evaluation.copied, made(1).rows[0])

  def test_words_are_those_of_every_type(self):
    expected = set()
    for language in (features, patching, ablation):
      expected |= set(language.words(3))
    self.assertEqual(table.words(3), tuple(sorted(expected)))
    self.assertIn('2', table.words(3))
    self.assertNotIn('3', table.words(3))


if __name__ == '__main__':
  absltest.main()

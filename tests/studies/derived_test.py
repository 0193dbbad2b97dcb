# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of sets with fewer training records."""

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.studies import derived
from selfexplain_jax.tasks import patching
from tests.data import fixtures


class SubsetTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.source = self.create_tempdir().full_path
    made = fixtures.explained([fixtures.record(i) for i in range(40)])
    explanations.write(
      self.source, made.rows, patching.SCHEMA, made.vectors, made.manifest
    )
    self.whole = explanations.read(self.source)

  def subset(self, examples):
    workdir = self.create_tempdir().full_path
    config = ml_collections.ConfigDict(
      dict(source=self.source, examples=examples)
    )
    derived.subset(config, workdir)
    derived.subset(config, workdir)  # The second time it is there.
    return explanations.read(workdir)

  def test_the_first_training_records_are_kept(self):
    train = self.whole.split('train')
    self.assertGreater(len(train), 5)
    made = self.subset(5)
    kept = made.split('train')
    self.assertEqual(
      [made.rows[i] for i in kept], [self.whole.rows[i] for i in train[:5]]
    )
    np.testing.assert_array_equal(made.shown(kept), self.whole.shown(train[:5]))
    for split in ('validation', 'test'):
      self.assertEqual(
        [made.rows[i] for i in made.split(split)],
        [self.whole.rows[i] for i in self.whole.split(split)],
      )

  def test_all_of_them(self):
    made = self.subset(len(self.whole.split('train')))
    self.assertEqual(made.rows, self.whole.rows)

  def test_more_than_there_are(self):
    for examples in (0, 41):
      with self.assertRaisesRegex(errors.InputError, 'training records'):
        self.subset(examples)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that re-running shows what happens and not what was noted."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import rerun
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import target as target_lib
from tests.data import fixtures
from tests.models import oracle
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
MODEL = tiny.model(
  layers=fixtures.LAYERS,
  width=fixtures.WIDTH,
  vocabulary=TOKENIZER.vocab_size,
)
TARGET = target_lib.Target.of(MODEL, TOKENIZER, 'a folder', 'a hash')
RECORDS = [fixtures.record(i) for i in range(16)]
CHOSEN = np.array([11, 3, 4, 5, 14, 0, 9])


def _rerun(records, chosen=CHOSEN):
  explained = fixtures.explained(records)
  return rerun.rerun(TARGET, patching_effects.rerun, explained, chosen)


def _true(shown):
  """Returns the records with the effects that re-running showed."""
  records = [dict(record) for record in RECORDS]
  for n, index in enumerate(CHOSEN):
    records[index]['clean_id'] = int(shown.clean.token[n])
    records[index]['treated_id'] = int(shown.treated.token[n])
  return records


class RerunTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.shown = _rerun(RECORDS)

  def test_equals_single_slow_runs(self):
    vectors = fixtures.explained(RECORDS).vectors
    for n, index in enumerate(CHOSEN):
      record = RECORDS[index]
      block = range(record['first_layer'], record['last_layer'] + 1)

      def edit(site, layer, x, block=block, index=index):
        if site == 'resid_post' and layer in block:
          x[RECORDS[index]['position']] = vectors[index]
        return x

      tokens = []
      for name, editing in (('clean', None), ('treated', edit)):
        ids = np.array(record['prompt_ids'])
        logits = oracle.forward(MODEL, ids, editing)[0][-1]
        second, first = np.argsort(logits)[-2:]
        tokens.append(TOKENIZER.token(int(first)))
        effects = getattr(self.shown, name)
        self.assertEqual(effects.token[n], first)
        self.assertAlmostEqual(
          effects.margin[n], logits[first] - logits[second], delta=1e-4
        )
        told = getattr(self.shown, f'{name}_token')
        self.assertEqual(told[n], tokens[-1])
      expected = claims.Claim(tokens[0] != tokens[1], tokens[1])
      self.assertEqual(self.shown.effects[n], expected)
    self.assertLen({effect.changed for effect in self.shown.effects}, 2)

  def test_never_reads_stored_effects(self):
    false = [
      {
        **record,
        'clean_id': 0,
        'treated_id': 1,
        'clean_token': 'x',
        'treated_token': 'y',
        'clean_margin': 9.0,
        'treated_margin': 9.0,
        'changed': not record['changed'],
        'answer': claims.render(True, 'y'),
      }
      for record in RECORDS
    ]
    again = _rerun(false)
    self.assertEqual(again.effects, self.shown.effects)
    for name in ('clean', 'treated'):
      for field in ('token', 'margin'):
        np.testing.assert_array_equal(
          getattr(getattr(again, name), field),
          getattr(getattr(self.shown, name), field),
        )
    self.assertEqual(again.disagreements, len(CHOSEN))

  def test_counts_the_records_that_disagree(self):
    records = _true(self.shown)
    self.assertEqual(_rerun(records).disagreements, 0)
    records[3]['clean_id'] += 1
    records[14]['treated_id'] += 1
    # Both are wrong in one record.
    records[9]['clean_id'] += 1
    records[9]['treated_id'] += 1
    # Not one that was asked for.
    records[1]['treated_id'] += 1
    self.assertEqual(_rerun(records).disagreements, 3)

  def test_shows_each_record_its_own_vector(self):
    # The rows of the vectors are in another order than the records.
    records = [dict(record) for record in RECORDS]
    for index, record in enumerate(records):
      record['vectors'] = [len(records) - 1 - index]
    explained = fixtures.explained(records)
    seen = []

    def intervene(target, rows, vectors, batch, length_step):
      self.assertIs(target, TARGET)
      self.assertEqual(rows, [records[index] for index in CHOSEN])
      seen.append(vectors)
      return patching_effects.rerun(target, rows, vectors, batch)

    rerun.rerun(TARGET, intervene, explained, CHOSEN)
    np.testing.assert_array_equal(
      seen[0], explained.vectors[len(records) - 1 - CHOSEN]
    )


if __name__ == '__main__':
  absltest.main()

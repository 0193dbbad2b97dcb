# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the figures and the table of an evaluation."""

import json

from absl.testing import absltest
import numpy as np

from selfexplain_jax.fidelity import arms
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import evaluation
from selfexplain_jax.fidelity import rerun
from tests.data import fixtures

EXPLAINED = fixtures.explanation_set(30)
CHOSEN = np.arange(4, 28)
ROWS = [EXPLAINED.rows[i] for i in CHOSEN]
COUNT = len(ROWS)
BALANCED = np.array([row['balanced'] for row in ROWS])


def _shown():
  """What re-running shows: not what one record says, which is unchanged."""
  ids = {
    name: np.array([row[f'{name}_id'] for row in ROWS], np.int32)
    for name in ('clean', 'patched')
  }
  unchanged = [row['changed'] for row in ROWS].index(False)
  ids['patched'][unchanged] = ids['clean'][unchanged] + 1
  changed = ids['clean'] != ids['patched']
  return rerun.Rerun(
    clean_id=ids['clean'],
    patched_id=ids['patched'],
    clean_margin=np.linspace(1, 2, COUNT, dtype=np.float32),
    patched_margin=np.linspace(3, 4, COUNT, dtype=np.float32),
    effects=[
      claims.Claim(bool(c), fixtures.TOKENIZER.token(int(token)))
      for c, token in zip(changed, ids['patched'], strict=True)
    ],
    disagreements=1,
  )


SHOWN = _shown()
TRUE = [claims.render(e.changed, e.content) for e in SHOWN.effects]


def _said(right):
  """Returns right answers to some questions and nonsense to the others."""
  return arms.Said(
    [TRUE[n] if right[n] else 'what ?' for n in range(COUNT)],
    -np.arange(COUNT, dtype=np.float32),
  )


SAID = {
  'self': _said(np.ones(COUNT, bool)),
  'stranger': _said(BALANCED),
  'majority': _said(~BALANCED),
}


class ScoreTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.figures = evaluation.score(SAID, SHOWN, EXPLAINED, CHOSEN, 0)

  def test_has_what_others_read(self):
    figures = self.figures
    self.assertEqual(figures['n'], COUNT)
    self.assertEqual(figures['groups'], len({row['group'] for row in ROWS}))
    self.assertEqual(figures['disagreements_with_store'], 1)
    for prefix in ('', 'balanced_'):
      self.assertEqual(list(figures[f'{prefix}rows']), list(SAID))
      self.assertSameElements(
        figures[f'{prefix}tests'],
        ['self_minus_stranger', 'self_minus_majority'],
      )
    for scores in figures['rows'].values():
      self.assertContainsSubset(
        ['exact_match', 'macro_f1', 'content_match', 'valid_rate'], scores
      )
      for estimate in scores.values():
        self.assertSameElements(estimate, ['value', 'ci95'])
        self.assertLen(estimate['ci95'], 2)
    for test in figures['tests'].values():
      self.assertBetween(test['exact_match']['p'], 0, 1)
    # metrics.json refuses NaN.
    json.dumps(figures, allow_nan=False)

  def value(self, rows, arm, metric='exact_match'):
    return self.figures[rows][arm][metric]['value']

  def test_answers_are_held_against_what_re_running_showed(self):
    self.assertEqual(self.value('rows', 'self'), 1.0)
    stored = arms.Said(
      [row['answer'] for row in ROWS], np.zeros(COUNT, np.float32)
    )
    figures = evaluation.score({'self': stored}, SHOWN, EXPLAINED, CHOSEN, 0)
    self.assertAlmostEqual(
      figures['rows']['self']['exact_match']['value'], (COUNT - 1) / COUNT
    )

  def test_balanced_figures_are_of_balanced_records_alone(self):
    share = BALANCED.mean()
    self.assertBetween(share, 0.1, 0.9)
    for arm, everywhere, balanced in (
      ('self', 1, 1),
      ('stranger', share, 1),
      ('majority', 1 - share, 0),
    ):
      self.assertAlmostEqual(self.value('rows', arm), everywhere)
      self.assertAlmostEqual(self.value('balanced_rows', arm), balanced)
    tests = self.figures['balanced_tests']
    gaps = [tests[name]['exact_match']['value'] for name in sorted(tests)]
    self.assertEqual(gaps, [1.0, 0.0])

  def test_without_balanced_records_there_are_no_such_figures(self):
    records = [{**row, 'balanced': False} for row in EXPLAINED.rows]
    figures = evaluation.score(
      SAID, SHOWN, fixtures.explained(records), CHOSEN, 0
    )
    self.assertEqual(figures['rows'], self.figures['rows'])
    self.assertNotIn('balanced_rows', figures)
    self.assertNotIn('balanced_tests', figures)

  def test_confusion_counts_every_record(self):
    changed = sum(effect.changed for effect in SHOWN.effects)
    self.assertEqual(
      self.figures['confusion']['self'],
      [[COUNT - changed, 0, 0], [0, changed, 0]],
    )
    self.assertEqual(
      np.sum(self.figures['confusion']['stranger'], 0)[2],
      COUNT - BALANCED.sum(),
    )

  def test_is_a_function_of_the_seed(self):
    again, other = (
      evaluation.score(SAID, SHOWN, EXPLAINED, CHOSEN, seed) for seed in (0, 1)
    )
    self.assertEqual(again, self.figures)
    self.assertNotEqual(
      other['rows']['stranger'], self.figures['rows']['stranger']
    )

  def test_names_versions(self):
    self.assertContainsSubset(['jax', 'numpy'], evaluation.versions())


class PredictionsTest(absltest.TestCase):
  def test_a_row_for_each_arm_and_record(self):
    table = evaluation.predictions(
      SAID, SHOWN, EXPLAINED, CHOSEN, fixtures.TOKENIZER
    )
    rows = table.to_pylist()
    self.assertLen(rows, len(SAID) * COUNT)
    pairs = [(arm, n) for arm in SAID for n in range(COUNT)]
    for row, (arm, n) in zip(rows, pairs, strict=True):
      record, effect = ROWS[n], SHOWN.effects[n]
      first, last = record['first_layer'], record['last_layer']
      said = SAID[arm].output[n]
      claim = claims.parse(said)
      expected = {
        **{
          name: record[name]
          for name in (
            'group',
            'counterfactual_group',
            'position_kind',
            'first_layer',
            'last_layer',
            'balanced',
            'text',
          )
        },
        'arm': arm,
        'record': CHOSEN[n],
        'block': str(first) if first == last else f'{first} to {last}',
        'output': said,
        'log_probability': -n,
        'claimed': -1 if claim is None else effect.changed,
        'claimed_content': '' if claim is None else effect.content,
        'changed': effect.changed,
        'clean_token': fixtures.TOKENIZER.token(int(SHOWN.clean_id[n])),
        'patched_token': fixtures.TOKENIZER.token(int(SHOWN.patched_id[n])),
        'clean_margin': float(SHOWN.clean_margin[n]),
        'patched_margin': float(SHOWN.patched_margin[n]),
        'expected': TRUE[n],
        'exact': claim is not None,
        'content': claim is not None,
      }
      self.assertEqual({name: row[name] for name in expected}, expected)

  def test_a_wrong_verdict_with_the_right_content(self):
    said = [
      claims.render(not effect.changed, effect.content)
      for effect in SHOWN.effects
    ]
    answers = arms.Said(said, np.zeros(COUNT, np.float32))
    table = evaluation.predictions(
      {'self': answers}, SHOWN, EXPLAINED, CHOSEN, fixtures.TOKENIZER
    )
    self.assertEqual(set(table['exact'].to_pylist()), {False})
    self.assertEqual(set(table['content'].to_pylist()), {True})


if __name__ == '__main__':
  absltest.main()

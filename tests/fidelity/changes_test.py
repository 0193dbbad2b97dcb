# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the figures and the table of questions about changed outputs."""

import dataclasses
import json

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import asked
from selfexplain_jax.fidelity import changes
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import rerun
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import target as target_lib
from tests.data import fixtures
from tests.models import tiny

EXPLAINED = fixtures.explanation_set(30)
CHOSEN = np.arange(4, 28)
ROWS = [EXPLAINED.rows[i] for i in CHOSEN]
COUNT = len(ROWS)
BALANCED = np.array([row['balanced'] for row in ROWS])


MODEL = tiny.model(
  layers=fixtures.LAYERS,
  width=fixtures.WIDTH,
  vocabulary=fixtures.TOKENIZER.vocab_size,
)


def _intervene(target, rows, vectors, batch, length_step):
  """Makes the target say one word, whatever the record."""
  del target, vectors, batch, length_step
  return effects_lib.Effects(
    np.full(len(rows), 20, np.int32),
    np.full(len(rows), 2.5, np.float32),
    np.zeros(len(rows), np.int32),
  )


CHANGES = changes.Changes(_intervene, patching.COPIED)
CONFIG = ml_collections.ConfigDict({'keep_unstable': False})


def _shown():
  """What re-running shows: not what one record says, which is unchanged."""
  ids = {
    name: np.array([row[f'{name}_id'] for row in ROWS], np.int32)
    for name in ('clean', 'treated')
  }
  unchanged = [row['changed'] for row in ROWS].index(False)
  ids['treated'][unchanged] = ids['clean'][unchanged] + 1
  changed = ids['clean'] != ids['treated']
  tokens = {
    name: [fixtures.TOKENIZER.token(int(token)) for token in own]
    for name, own in ids.items()
  }
  none = np.zeros(COUNT, np.int32)
  return rerun.Rerun(
    clean=effects_lib.Effects(
      ids['clean'], np.linspace(1, 2, COUNT, dtype=np.float32), none
    ),
    treated=effects_lib.Effects(
      ids['treated'], np.linspace(3, 4, COUNT, dtype=np.float32), none
    ),
    effects=[
      claims.Claim(bool(c), token)
      for c, token in zip(changed, tokens['treated'], strict=True)
    ],
    clean_token=tokens['clean'],
    treated_token=tokens['treated'],
    disagreements=1,
  )


SHOWN = _shown()
TRUE = [claims.render(e.changed, e.content) for e in SHOWN.effects]


def _said(right):
  """Returns right answers to some questions and nonsense to the others."""
  return said_lib.Said(
    [TRUE[n] if right[n] else 'what ?' for n in range(COUNT)],
    -np.arange(COUNT, dtype=np.float32),
  )


SAID = {
  'self': _said(np.ones(COUNT, bool)),
  'stranger': _said(BALANCED),
  'majority': _said(~BALANCED),
}


class UnstableTest(absltest.TestCase):
  FLIPS = np.arange(COUNT) % 5 == 2

  def check(self, **changes):
    shown = dataclasses.replace(SHOWN, flips=self.FLIPS, **changes)
    return CHANGES.check(SAID, shown, EXPLAINED, CHOSEN, 0)

  def test_verdicts_that_flip_are_left_out_and_counted(self):
    kept = np.flatnonzero(~self.FLIPS)
    checked = self.check()
    expected = CHANGES.check(
      {arm: said.take(kept) for arm, said in SAID.items()},
      SHOWN.take(kept),
      EXPLAINED,
      CHOSEN[kept],
      0,
    )
    unstable = checked.figures.pop('unstable')
    self.assertEqual(checked.figures, expected.figures)
    self.assertEqual(checked.tables, expected.tables)
    self.assertEqual(checked.figures['n'], len(kept))
    flips = int(self.FLIPS.sum())
    self.assertEqual((unstable['run_again'], unstable['count']), (COUNT, flips))
    self.assertEqual(unstable['left_out'], flips)
    self.assertEqual(unstable['disagreement_share'], 1 / COUNT)

  def test_they_are_scored_if_so_asked(self):
    checked = self.check(keep_unstable=True)
    unstable = checked.figures.pop('unstable')
    whole = CHANGES.check(SAID, SHOWN, EXPLAINED, CHOSEN, 0)
    self.assertEqual(checked.figures, whole.figures)
    self.assertEqual(unstable['left_out'], 0)
    self.assertEqual(unstable['count'], int(self.FLIPS.sum()))

  def test_refuses_to_score_nothing(self):
    shown = dataclasses.replace(SHOWN, flips=np.ones(COUNT, bool))
    with self.assertRaisesRegex(errors.InputError, 'none of 24 verdicts holds'):
      CHANGES.check(SAID, shown, EXPLAINED, CHOSEN, 0)


class ScoreTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.figures = CHANGES.check(SAID, SHOWN, EXPLAINED, CHOSEN, 0).figures

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
    stored = said_lib.Said(
      [row['answer'] for row in ROWS], np.zeros(COUNT, np.float32)
    )
    figures = CHANGES.check(
      {'self': stored}, SHOWN, EXPLAINED, CHOSEN, 0
    ).figures
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
    figures = CHANGES.check(
      SAID, SHOWN, fixtures.explained(records), CHOSEN, 0
    ).figures
    self.assertEqual(figures['rows'], self.figures['rows'])
    self.assertNotIn('balanced_rows', figures)
    self.assertNotIn('balanced_tests', figures)

  def test_figures_of_known_facts_and_of_others(self):
    known = ~BALANCED

    def figures(column, schema=ablation.SCHEMA):
      rows = zip(EXPLAINED.rows, column, strict=True)
      records = [{**row, 'known': is_known} for row, is_known in rows]
      explained = fixtures.explained(records, schema=schema)
      return CHANGES.check(SAID, SHOWN, explained, CHOSEN, 0).figures

    def column(values):
      full = np.full(len(EXPLAINED.rows), None)
      full[CHOSEN] = values
      return full.tolist()

    # `stranger` is right about the others, and `majority` about known ones.
    found = figures(column(known))
    for arm, right in (
      ('self', (1, 1)),
      ('stranger', (0, 1)),
      ('majority', (1, 0)),
    ):
      for part, share in zip(('known_', 'unknown_'), right, strict=True):
        value = found[f'{part}rows'][arm]['exact_match']['value']
        self.assertEqual(value, share)
    self.assertEqual(
      found['unknown_tests']['self_minus_majority']['exact_match']['value'], 1
    )
    self.assertEqual(found['rows'], self.figures['rows'])
    # Of prompts that ask for no fact, and where nothing is said of it.
    for told in (figures(column(None)), figures(column(None), patching.SCHEMA)):
      self.assertFalse([name for name in told if 'known' in name])

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
      CHANGES.check(SAID, SHOWN, EXPLAINED, CHOSEN, seed).figures
      for seed in (0, 1)
    )
    self.assertEqual(again, self.figures)
    self.assertNotEqual(
      other['rows']['stranger'], self.figures['rows']['stranger']
    )

  def test_without_self_nothing_is_compared(self):
    said = {name: SAID[name] for name in ('stranger', 'majority')}
    figures = CHANGES.check(said, SHOWN, EXPLAINED, CHOSEN, 0).figures
    self.assertEqual(figures['tests'], {})
    self.assertEqual(
      figures['rows']['stranger'], self.figures['rows']['stranger']
    )


class PredictionsTest(absltest.TestCase):
  def test_a_row_for_each_arm_and_record(self):
    tables = CHANGES.check(SAID, SHOWN, EXPLAINED, CHOSEN, 0).tables
    self.assertEqual(list(tables), ['predictions'])
    rows = tables['predictions'].to_pylist()
    self.assertLen(rows, len(SAID) * COUNT)
    pairs = [(arm, n) for arm in SAID for n in range(COUNT)]
    for row, (arm, n) in zip(rows, pairs, strict=True):
      record, effect = ROWS[n], SHOWN.effects[n]
      said = SAID[arm].output[n]
      claim = claims.parse(said)
      expected = {
        **{name: record[name] for name in patching.COPIED},
        'arm': arm,
        'record': CHOSEN[n],
        'output': said,
        'log_probability': -n,
        'claimed': -1 if claim is None else effect.changed,
        'claimed_content': '' if claim is None else effect.content,
        'changed': effect.changed,
        'clean_token': fixtures.TOKENIZER.token(int(SHOWN.clean.token[n])),
        'treated_token': fixtures.TOKENIZER.token(int(SHOWN.treated.token[n])),
        'clean_margin': float(SHOWN.clean.margin[n]),
        'treated_margin': float(SHOWN.treated.margin[n]),
        'expected': TRUE[n],
        'exact': claim is not None,
        'content': claim is not None,
      }
      self.assertEqual(row, expected)
      # These the report reads.
      for name in ('group', 'place', 'treatment', 'balanced', 'text'):
        self.assertIn(name, row)

  def test_a_wrong_verdict_with_the_right_content(self):
    said = [
      claims.render(not effect.changed, effect.content)
      for effect in SHOWN.effects
    ]
    answers = said_lib.Said(said, np.zeros(COUNT, np.float32))
    table = CHANGES.check(
      {'self': answers}, SHOWN, EXPLAINED, CHOSEN, 0
    ).tables['predictions']
    self.assertEqual(set(table['exact'].to_pylist()), {False})
    self.assertEqual(set(table['content'].to_pylist()), {True})

  def test_of_ablations_copies_what_was_ablated(self):
    explained, chosen = fixtures.ablation_set(8), np.array([5, 2])
    target = target_lib.Target.of(
      MODEL, fixtures.TOKENIZER, 'a folder', 'a hash'
    )
    checked = changes.Changes(_intervene, ablation.COPIED)
    shown = checked.observe(target, explained, chosen, CONFIG)
    answers = said_lib.fixed(['what ?', 'what ?'])
    tables = checked.check(
      {'self': answers}, shown, explained, chosen, 0
    ).tables
    for row, index in zip(
      tables['predictions'].to_pylist(), chosen.tolist(), strict=True
    ):
      record = fixtures.ablation_record(index)
      self.assertEqual(row['record'], index)
      for name in ('span_text', 'replacement_text', 'start', 'end'):
        self.assertEqual(row[name], record[name])


class ObserveTest(absltest.TestCase):
  def test_runs_what_the_questions_are_about(self):
    target = target_lib.Target.of(
      MODEL, fixtures.TOKENIZER, 'a folder', 'a hash'
    )
    shown = CHANGES.observe(target, EXPLAINED, CHOSEN, CONFIG)
    token = fixtures.TOKENIZER.token(20)
    self.assertEqual(shown.treated_token, [token] * COUNT)
    for effect in shown.effects:
      self.assertEqual(effect.content, token)
    self.assertEqual(
      shown.disagreements,
      sum(
        row['treated_id'] != 20 or row['clean_id'] != clean
        for row, clean in zip(ROWS, shown.clean.token, strict=True)
      ),
    )


class ControlsTest(absltest.TestCase):
  def test_answer_from_training_records_alone(self):
    chosen = EXPLAINED.split('train')
    train = asked.columns(EXPLAINED, chosen)
    evaluated = {
      name: column
      for name, column in asked.columns(EXPLAINED, CHOSEN).items()
      if name not in ('answer', 'changed', 'group')
    }
    made = CHANGES.controls(train, evaluated)
    self.assertSameElements(made, ['metadata', 'majority'])
    for answer in made.values():
      said = answer()
      self.assertLen(said, COUNT)
      self.assertContainsSubset(said, train['answer'])


if __name__ == '__main__':
  absltest.main()

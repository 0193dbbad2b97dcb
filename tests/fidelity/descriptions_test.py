# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of scores of descriptions on features whose labels are known."""

import dataclasses

from absl.testing import absltest
import ml_collections
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import published_figures
from selfexplain_jax.fidelity import descriptions
from selfexplain_jax.fidelity import firing
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.fidelity import similarity
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import features_effects
from tests.fidelity import planted_features as planted

_WRONG = 'the start of a question'


def _set():
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.documents = dict(start=50, labels=150, scores=70, length=48)
  config.shares = dict(test_labels=0.4, validation=0.2, test=0.2)
  config.unlabelled = 3
  config.expected = published_figures.config()
  made = features_effects.Maker(
    planted.target(),
    planted.dictionary(),
    planted.CORPUS,
    planted.labeller(),
    planted.LABELS,
    config,
  ).make()
  return explanations.ExplanationSet(
    {'task': features.NAME, 'notes': made.notes},
    pa.Table.from_pylist(made.records, features.SCHEMA),
    made.vectors,
    made.documents,
  )


class FiringTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.explained = _set()
    cls.chosen = cls.explained.split('test')
    cls.rows = [cls.explained.rows[i] for i in cls.chosen]
    cls.found = firing.observe(
      planted.model(),
      planted.dictionary(),
      cls.rows,
      cls.explained.shown(cls.chosen)[:, 0],
      cls.explained.documents,
      seed=0,
    )

  def test_activations_are_those_of_whole_documents(self):
    (_, resid), *_ = activity.residuals(
      planted.model(), self.explained.documents, 'resid_post', (0,), 70
    )
    sae = planted.dictionary().by_layer[0]
    vectors = self.explained.shown(self.chosen)[:, 0]
    for n, row in enumerate(self.rows):
      if row['place'] == features.FEATURE:
        column = np.asarray(sae.encoder_DxS)[:, row['feature']]
        whole = resid[0] @ column
        whole = np.where(whole > 0.5, whole, 0)
      else:
        whole = np.maximum(resid[0] @ vectors[n], 0)
      whole[:, 0] = 0
      documents = self.found.documents[n]
      self.assertLen(set(documents.tolist()), 20)
      np.testing.assert_allclose(
        self.found.activations[n], whole[documents], atol=1e-6
      )
      # The ten best of all come first.
      peaks = np.sort(whole.max(1))[::-1][:10]
      np.testing.assert_allclose(
        self.found.activations[n].max(1)[: np.sum(peaks > 0)],
        peaks[peaks > 0],
        atol=1e-6,
      )

  def test_what_is_drawn_depends_on_the_vector_alone(self):
    again = firing.observe(
      planted.model(),
      planted.dictionary(),
      self.rows[:3],
      self.explained.shown(self.chosen)[:3, 0],
      self.explained.documents,
      seed=0,
    )
    np.testing.assert_array_equal(again.documents, self.found.documents[:3])


class DescriptionsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.explained = _set()
    cls.chosen = cls.explained.split('test')
    cls.rows = [cls.explained.rows[i] for i in cls.chosen]
    cls.evaluation = descriptions.Descriptions()
    cls.shown = descriptions.Shown(
      firing.observe(
        planted.model(),
        planted.dictionary(),
        cls.rows,
        cls.explained.shown(cls.chosen)[:, 0],
        cls.explained.documents,
        seed=0,
      ),
      [
        [planted.TOKENIZER.token(int(t)) for t in row]
        for row in cls.explained.documents
      ],
      simulation.executing(
        cls.explained.manifest['notes']['labels'],
        planted.TOKENIZER,
        cls.explained.documents,
      ),
      similarity.Words(),
    )
    labels = [row['answer'] for row in cls.rows]
    cls.said = {
      'self': said_lib.fixed([f' {label.upper()} . ' for label in labels]),
      'stranger': said_lib.fixed([_WRONG] * len(labels)),
      'untrained': said_lib.fixed(['nothing of the kind'] * len(labels)),
      'label': said_lib.fixed(labels),
    }
    cls.checked = cls.evaluation.check(
      cls.said, cls.shown, cls.explained, cls.chosen, 0
    )
    cls.figures = cls.checked.figures

  def _value(self, arm, measure, prefix=''):
    return self.figures[f'{prefix}rows'][arm][measure]['value']

  def test_right_descriptions_are_perfect(self):
    for arm in ('self', 'label'):
      for measure in (
        *('exact_match', 'simulator', 'simulator_per_sequence', 'detection'),
        *('fuzzing', 'similarity', 'valid_rate'),
      ):
        self.assertAlmostEqual(self._value(arm, measure), 1, places=5)

  def test_wrong_descriptions_are_worth_nothing(self):
    self.assertEqual(self._value('stranger', 'exact_match'), 0)
    self.assertLess(self._value('stranger', 'simulator'), 0.05)
    self.assertLess(self._value('stranger', 'fuzzing'), 0.55)
    self.assertEqual(self._value('stranger', 'valid_rate'), 1)

  def test_what_means_nothing_is_at_chance(self):
    self.assertEqual(self._value('untrained', 'valid_rate'), 0)
    self.assertEqual(self._value('untrained', 'simulator'), 0)
    self.assertEqual(self._value('untrained', 'detection'), 0.5)
    self.assertEqual(self._value('untrained', 'fuzzing'), 0.5)

  def test_features_with_new_labels_are_scored_again(self):
    learnt = {
      self.explained.rows[i]['answer'] for i in self.explained.split('train')
    }
    of_features = [r for r in self.rows if r['place'] == features.FEATURE]
    new = [r for r in of_features if r['answer'] not in learnt]
    self.assertNotEmpty(new)
    silent = self.figures['silent']
    self.assertLessEqual(len(new) - silent, self.figures['new_label_n'])
    self.assertLessEqual(self.figures['new_label_n'], len(new))
    self.assertLessEqual(self.figures['n'], len(of_features))

  def test_vectors_without_labels_have_no_exact_match(self):
    for prefix in ('activation_', 'difference_'):
      rows = self.figures[f'{prefix}rows']
      self.assertNotIn('label', rows)
      self.assertNotIn('exact_match', rows['self'])
      self.assertIn('simulator', rows['self'])

  def test_gaps_are_tested(self):
    test = self.figures['tests']['self_minus_stranger']
    self.assertEqual(test['exact_match']['value'], 1)
    self.assertLess(test['exact_match']['p'], 0.05)

  def test_predictions_and_exemplars(self):
    tables = self.checked.tables
    rows = tables['predictions'].to_pylist()
    self.assertLen(rows, len(self.said) * len(self.chosen))
    own = {r['record']: r for r in rows if r['arm'] == 'self'}
    seen = set()
    for exemplar in tables['exemplars'].to_pylist():
      label = own[exemplar['record']]['label']
      if not label:
        continue
      seen.add(exemplar['record'])
      fires = [activation > 0 for activation in exemplar['activations']]
      self.assertEqual(fires, exemplar['claimed'])
    self.assertNotEmpty(seen)

  def test_figures_say_who_judged(self):
    missing = dict.fromkeys(self.said, 0)
    self.assertEqual(
      self.figures['similarity'], {'kind': 'words', 'missing': missing}
    )
    self.assertEqual(self.figures['simulator'], {'kind': 'executed'})

  def test_without_a_simulator_there_are_no_figures_of_one(self):
    shown = dataclasses.replace(self.shown, simulator=None)
    checked = self.evaluation.check(
      self.said, shown, self.explained, self.chosen, 0
    )
    figures = checked.figures
    self.assertNotIn('simulator', figures)
    self.assertEqual(
      figures['rows']['self'].keys(),
      {'exact_match', 'similarity', 'valid_rate'},
    )
    self.assertEqual(figures['rows']['self']['exact_match']['value'], 1)
    self.assertEqual(
      figures['tests']['self_minus_stranger'].keys(), {'exact_match'}
    )
    self.assertEqual(figures['activation_rows']['self'].keys(), {'valid_rate'})
    # Nobody can tell that this means nothing.
    self.assertEqual(figures['rows']['untrained']['valid_rate']['value'], 1)
    claimed = checked.tables['exemplars']['claimed'].to_pylist()
    self.assertFalse(any(claimed))
    self.assertNotEmpty(claimed)

  def test_who_judges_is_asked_about_labelled_vectors_alone(self):
    asked = []

    class Judge:
      settings = {'kind': 'endpoint', 'model': 'mute'}

      def __call__(self, said, expected):
        asked.extend(expected)
        return np.where(np.arange(len(said)) == 0, np.nan, 0.5)

    shown = dataclasses.replace(self.shown, similar=Judge())
    figures = self.evaluation.check(
      self.said, shown, self.explained, self.chosen, 0
    ).figures
    self.assertNotIn('', asked)
    # What is missing is left out, and counted.
    self.assertEqual(figures['rows']['self']['similarity']['value'], 0.5)
    self.assertEqual(
      figures['similarity'],
      {
        'kind': 'endpoint',
        'model': 'mute',
        'missing': dict.fromkeys(self.said, 1),
      },
    )

  def test_needs_the_sets_own_dictionary(self):
    config = ml_collections.ConfigDict(
      {
        'dictionary': '',
        'seed': 0,
        'judge': {'kind': 'words'},
        'simulator': '',
      }
    )
    with self.assertRaisesRegex(errors.InputError, 'dictionary is missing'):
      self.evaluation.observe(
        planted.target(), self.explained, self.chosen, config
      )


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of labels on planted features, whose concepts are known."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import sparse

from selfexplain_jax import errors
from selfexplain_jax.tasks import labels as labels_lib
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import labels
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(2, people=60)
KNOWN = facts.known_facts(WORLD, 1)
TOKENIZER = vocabulary.build_tokenizer(WORLD, [])
TOKENS = np.stack(
  [
    corpus.row(WORLD, KNOWN, TOKENIZER, 1, index, 64)['tokens']
    for index in range(240)
  ]
)
EXECUTOR = descriptions.Executor(WORLD, TOKENIZER, TOKENS)
LABELLER = labels.ConceptLabeller(WORLD, TOKENIZER)
# A causal model knows a person from the last name on.
BAKERS = 'a name of a person whose profession is baker'
BAKER = f'a last name and also {BAKERS}'


def _noisy(marks, rng, scale=1.0):
  """Returns a feature that fires where marked, more or less, and elsewhere."""
  strength = rng.uniform(0.5, 1.5, marks.shape)
  silent = rng.random(marks.shape) < 0.02
  spurious = (rng.random(marks.shape) < 0.003) * rng.uniform(0, 0.5)
  return scale * np.where(marks & ~silent, strength, spurious)


def _batches(activations, *splits):
  parts = zip(
    np.split(TOKENS, splits), np.split(activations, splits), strict=True
  )
  return [labels_lib.Batch(tokens, part) for tokens, part in parts]


def _label(*features, labeller=LABELLER):
  return labeller.label(_batches(np.stack(features, -1)))


def _pearson(activations, marks):
  """Returns the correlation over all tokens but BOS."""
  pairs = activations[:, 1:].ravel(), marks[:, 1:].ravel()
  return np.corrcoef(*pairs)[0, 1]


def _slow_average_precision(activations, marks):
  """Returns the sum of precision times recall gained, one threshold a time."""
  scores, right = activations[:, 1:].ravel(), marks[:, 1:].ravel()
  total, recall = 0.0, 0.0
  for threshold in sorted(set(scores.tolist()), reverse=True):
    chosen = scores >= threshold
    gained = (chosen & right).sum() / right.sum()
    total += (gained - recall) * (chosen & right).sum() / chosen.sum()
    recall = gained
  return total


class LabelsTest(parameterized.TestCase):
  def test_a_feature_that_is_a_concept_gets_it(self):
    rng = np.random.default_rng(0)
    chosen = [
      c
      for c in concepts.all_concepts(WORLD)
      if EXECUTOR.holds(c.description).sum() >= 60
    ]
    self.assertGreater(len(chosen), 100)
    # Concepts that hold at the same tokens are told apart by their length.
    held = {}
    for c in sorted(chosen, key=lambda c: len(c.description.split())):
      held.setdefault(EXECUTOR.holds(c.description).tobytes(), c)
    features = [
      _noisy(EXECUTOR.holds(c.description), rng, 10.0 ** (i % 5 - 2))
      for i, c in enumerate(held.values())
    ]
    found = _label(*features)
    self.assertEqual(found.text, tuple(c.description for c in held.values()))
    self.assertEqual(found.concept, tuple(c.name for c in held.values()))
    self.assertTrue(found.labelled.all())
    for i in (0, 40, len(features) - 1):
      marks = EXECUTOR.holds(found.text[i])
      self.assertAlmostEqual(
        found.correlation[i],
        _pearson(features[i].astype(np.float32), marks),
        places=6,
      )
    self.assertGreater(found.average_precision.min(), 0.9)

  def test_a_conjunction(self):
    rng = np.random.default_rng(1)
    aside = 'a name in an aside and also the first name anna'
    found = _label(
      _noisy(EXECUTOR.holds(BAKER), rng), _noisy(EXECUTOR.holds(aside), rng, 30)
    )
    self.assertEqual(found.text, (BAKER, aside))
    self.assertEqual(
      found.concept,
      ('last_name+person:profession:baker', 'aside+first_name:anna'),
    )

  def test_a_conjunction_wins_by_a_margin_alone(self):
    one, both = EXECUTOR.holds(BAKERS), EXECUTOR.holds(BAKER)
    weights = np.linspace(0, 1, 41)
    features = [both + weight * (one & ~both) for weight in weights]
    gains = [_pearson(f, both) - _pearson(f, one) for f in features]
    self.assertTrue(any(0 < gain < 0.02 for gain in gains))
    self.assertTrue(any(gain > 0.02 for gain in gains))
    expected = tuple(BAKER if gain > 0.02 else BAKERS for gain in gains)
    self.assertEqual(_label(*features).text, expected)

  def test_equal_fits_are_told_by_their_length_and_order(self):
    # Rows that are all the same, so that many descriptions hold alike.
    hints = TOKENIZER.encode_prompt('hint : i think harp answer : harp .')
    rows = np.array([hints] * 12)
    activations = np.zeros((*rows.shape, 2), np.float32)
    activations[:, 1, 0] = 1
    activations[:, [4, 7], 1] = 1
    found = LABELLER.label([labels_lib.Batch(rows, activations)])
    self.assertEqual(
      found.text,
      ('the start of a hint', 'the word right before the instrument'),
    )
    # "a word that names the instrument" holds there too, but is longer.
    activations[...] = 0
    activations[:, [5, 8], 0] = 1
    found = LABELLER.label([labels_lib.Batch(rows, activations)])
    self.assertEqual(found.text[0], 'the instrument harp')
    np.testing.assert_allclose(found.correlation, [1, 0])

  def test_a_random_feature_has_no_label(self):
    rng = np.random.default_rng(2)
    shape = TOKENS.shape
    dense = rng.exponential(size=shape)
    few = dense * (rng.random(shape) < 0.01)
    rare = dense * (rng.random(shape) < 3e-4)
    silent = np.zeros(shape)
    constant = np.full(shape, 0.3)
    wrong_way = 1.0 - EXECUTOR.holds('a name')
    with np.errstate(all='raise'):
      found = _label(dense, few, rare, silent, constant, wrong_way)
    self.assertEqual(found.text, (None,) * 6)
    self.assertEqual(found.concept, (None,) * 6)
    self.assertEqual((~found.labelled).sum(), 6)
    np.testing.assert_array_equal(found.correlation[3:5], 0)
    np.testing.assert_array_equal(found.average_precision[3:5], 0)
    self.assertLess(found.correlation[:3].max(), 0.3)

  def test_the_threshold(self):
    feature = _noisy(EXECUTOR.holds(BAKER), np.random.default_rng(3))
    r = _label(feature).correlation[0]
    for threshold, text in ((r - 1e-6, BAKER), (r + 1e-6, None)):
      labeller = labels.ConceptLabeller(WORLD, TOKENIZER, threshold)
      found = _label(feature, labeller=labeller)
      self.assertEqual(found.text, (text,))
      # What was not good enough is told all the same.
      self.assertEqual(found.correlation[0], r)

  def test_batches_do_not_matter(self):
    rng = np.random.default_rng(4)
    activations = np.stack(
      [
        _noisy(EXECUTOR.holds(BAKER), rng),
        _noisy(rng.random(TOKENS.shape) < 0.1, rng),
      ]
      + [_noisy(EXECUTOR.holds('a name'), rng, s) for s in (1e-3, 1, 1e3)],
      axis=-1,
    )
    whole = LABELLER.label(_batches(activations))
    for splits in ((120,), (1, 7, 200)):
      parts = LABELLER.label(iter(_batches(activations, *splits)))
      self.assertEqual(parts.text, whole.text)
      np.testing.assert_array_equal(parts.correlation, whole.correlation)
      np.testing.assert_array_equal(
        parts.average_precision, whole.average_precision
      )

  def test_special_tokens_do_not_count(self):
    feature = _noisy(EXECUTOR.holds(BAKER), np.random.default_rng(5))
    bare = _label(feature)
    feature[:, 0] = 1e3
    with_bos = _label(feature)
    self.assertEqual(bare.text, with_bos.text)
    np.testing.assert_array_equal(bare.correlation, with_bos.correlation)

    padded = np.pad(feature, ((0, 0), (0, 5)), constant_values=7)[..., None]
    pad = TOKENIZER.special_id('pad_token')
    tokens = np.pad(TOKENS, ((0, 0), (0, 5)), constant_values=pad)
    found = LABELLER.label([labels_lib.Batch(tokens, padded)])
    np.testing.assert_array_equal(bare.correlation, found.correlation)

  def test_average_precision_of_ties_and_silent_tokens(self):
    rng = np.random.default_rng(6)
    marks = EXECUTOR.holds('a last name')
    # Few values, so that there are ties; some tokens are missed altogether.
    coarse = rng.integers(0, 4, TOKENS.shape) * (
      marks | (rng.random(TOKENS.shape) < 0.1)
    )
    faint = _noisy(marks, rng) * (rng.random(TOKENS.shape) < 0.3)
    labeller = labels.ConceptLabeller(WORLD, TOKENIZER, 0.2)
    features = [coarse, np.round(faint, 1), 2.0 * marks]
    found = _label(*features, labeller=labeller)
    self.assertEqual(found.text, ('a last name',) * 3)
    for i, feature in enumerate(features):
      self.assertAlmostEqual(
        found.average_precision[i],
        _slow_average_precision(feature.astype(np.float32), marks),
      )
    self.assertLess(found.average_precision[0], 0.8)
    self.assertEqual(found.average_precision[2], 1)

  def test_the_search_finds_the_best_of_all_pairs(self):
    # Every concept and every pair is tried, the slow way.
    rng = np.random.default_rng(7)
    holds = rng.random((9, 400)) < np.linspace(0.1, 0.6, 9)[:, None]
    features = rng.random((400, 30)) * (rng.random((400, 30)) < 0.4)
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    for f in range(15):
      i, j = pairs[f]
      features[:, f] += 2 * (holds[i] & holds[j])
    r, pair = labels._search(holds, sparse.csr_array(features), np.ones(9, int))
    rare = [(holds[i] & holds[j]).sum() < 10 for i, j in pairs]
    self.assertGreater(sum(rare), 2)
    for f in range(30):
      one = [np.corrcoef(features[:, f], h)[0, 1] for h in holds]
      two = np.where(
        rare,
        0,
        [
          np.corrcoef(features[:, f], holds[i] & holds[j])[0, 1]
          for i, j in pairs
        ],
      )
      if max(two) > max(one) + 0.02:
        expected, best = pairs[int(np.argmax(two))], max(two)
      else:
        expected, best = (int(np.argmax(one)),) * 2, max(one)
      self.assertEqual(tuple(sorted(pair[:, f].tolist())), expected)
      self.assertAlmostEqual(r[f], best, places=8)
    self.assertGreater((pair[0] != pair[1]).sum(), 10)
    self.assertGreater((pair[0] == pair[1]).sum(), 2)

  @parameterized.parameters(
    (lambda a: -a, 'at least 0'),
    (lambda a: a * np.nan, 'finite'),
    (lambda a: a + np.inf, 'finite'),
    (lambda a: a[:, 1:], r'activations \[B, T, F\]'),
    (lambda a: a[..., 0], r'activations \[B, T, F\]'),
  )
  def test_refuses_activations(self, change, message):
    with self.assertRaisesRegex(errors.InputError, message):
      LABELLER.label(
        [labels_lib.Batch(TOKENS, change(np.ones((*TOKENS.shape, 2))))]
      )

  def test_refuses_nothing_and_other_features(self):
    with self.assertRaisesRegex(errors.InputError, 'at least one token'):
      LABELLER.label([])
    one, two = np.ones((*TOKENS.shape, 1)), np.ones((*TOKENS.shape, 2))
    with self.assertRaisesRegex(errors.InputError, r'equally many.*\[1, 2\]'):
      LABELLER.label([*_batches(one), *_batches(two)])

  @parameterized.parameters(0.0, -1.0, 1.1, float('nan'))
  def test_refuses_thresholds(self, threshold):
    with self.assertRaisesRegex(errors.InputError, 'threshold'):
      labels.ConceptLabeller(WORLD, TOKENIZER, threshold)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of verdicts in another batch shape, on a model that flips some."""

import dataclasses

from absl.testing import absltest
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.fidelity import rerun
from selfexplain_jax.interventions import effects
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import target as target_lib
from tests.data import fixtures
from tests.models import tiny

_COUNT = 600
_VOCABULARY = fixtures.TOKENIZER.vocab_size


def _tied():
  """A model in bfloat16 whose tokens come in pairs that all but tie."""
  config = dict(vocabulary=_VOCABULARY, width=32, layers=2)
  model = tiny.model(**config, dtype='bfloat16', parameter_dtype='bfloat16')
  model = jax.tree.map(lambda x: x.astype(jnp.bfloat16), model)
  table = np.array(model.unembedding[...], np.float32)
  pairs = 2 * (_VOCABULARY // 2)
  # The second of a pair is the first, but turned in four coordinates.
  table[1:pairs:2] = table[0:pairs:2]
  table[1:pairs:2, :4] += 0.05 * np.array([1, -1, 1, -1])
  model.unembedding = model.unembedding.replace(
    jnp.asarray(table, jnp.bfloat16)
  )
  return model


def _effects(token, margin=1.0):
  token = np.array(token, np.int32)
  return effects.Effects(
    token, np.full(len(token), margin, np.float32), 0 * token
  )


class StabilityTest(absltest.TestCase):
  def test_either_run_flips_a_verdict(self):
    clean, treated = _effects([1, 1, 1, 1]), _effects([2, 2, 2, 2])
    found = stability.flipped(
      clean, treated, _effects([1, 9, 1, 9]), _effects([2, 2, 9, 9])
    )
    self.assertEqual(found.tolist(), [False, True, True, True])

  def test_only_narrow_verdicts_are_doubtful_in_float32(self):
    margin = np.array([0.0, 9e-3, 1e-2, 5.0], np.float32)
    found = stability.doubtful(margin, 'float32')
    self.assertEqual(found.tolist(), [True, True, False, False])
    self.assertTrue(np.all(stability.doubtful(margin, 'bfloat16')))

  def test_counts_flips_by_margin(self):
    margin = np.array([0.0, 0.01, 0.02, 0.5, 7.0])
    flips = np.array([True, True, False, True, False])
    found = stability.notes(margin, flips)
    counts = {
      name: (own['count'], own['run_again'])
      for name, own in found['by_margin'].items()
    }
    self.assertEqual(
      counts,
      {
        'below 0.01': (1, 1),
        'below 0.03': (1, 2),
        'below 0.1': (0, 0),
        'below 0.3': (0, 0),
        'below 1': (1, 1),
        'below inf': (0, 1),
      },
    )
    self.assertEqual(found['share'], 0.6)


class FlipsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    random = np.random.default_rng(0)
    base = fixtures.record(0)
    cls.rows = []
    for i in range(_COUNT):
      ids = [1, *random.integers(3, _VOCABULARY, 7).tolist()]
      cls.rows.append(
        {
          **base,
          'prompt_ids': ids,
          'position': 7,
          'first_layer': i % 2,
          'last_layer': i % 2,
          'vectors': [i],
        }
      )
    vectors = random.normal(size=(_COUNT, 32)).astype(np.float32)
    cls.explained = dataclasses.replace(
      fixtures.explained(cls.rows), vectors=vectors
    )

  def rerun(self, model):
    target = target_lib.Target.of(
      model, fixtures.TOKENIZER, 'a folder', 'a hash'
    )
    return rerun.rerun(
      target, patching_effects.rerun, self.explained, np.arange(_COUNT)
    )

  def test_finds_the_verdicts_that_two_batch_shapes_disagree_on(self):
    model = _tied()
    shown = self.rerun(model)
    target = target_lib.Target.of(
      model, fixtures.TOKENIZER, 'a folder', 'a hash'
    )
    tokens = np.array([row['prompt_ids'] for row in self.rows], np.int32)
    length = np.full(_COUNT, 8, np.int32)
    said = [
      np.stack(
        [
          effects.run_clean(model, tokens, length, batch).token,
          patching_effects.rerun(
            target, self.rows, self.explained.vectors, batch
          ).token,
        ]
      )
      for batch in (stability.BATCH, stability.OTHER_BATCH)
    ]
    expected = np.any(said[0] != said[1], 0)
    np.testing.assert_array_equal(shown.flips, expected)
    # Otherwise this test would say nothing.
    self.assertBetween(int(expected.sum()), 1, _COUNT // 2)
    np.testing.assert_array_equal(shown.scored, np.flatnonzero(~expected))
    kept = dataclasses.replace(shown, keep_unstable=True)
    self.assertLen(kept.scored, _COUNT)

  def test_in_float32_none_is_run_again(self):
    model = tiny.model(vocabulary=_VOCABULARY, width=32, layers=2)
    shown = self.rerun(model)
    self.assertIsNone(shown.flips)
    self.assertLen(shown.scored, _COUNT)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of attention, by blocks and at once, against the plain formula."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import attention
from tests.models import tiny


def _plain(config, query, key, value, visible):
  """Softmax first and division in it, one head after the other, in float64."""
  batch, length, heads, width = query.shape
  mixed = np.zeros((batch, length, heads, width))
  for b in range(batch):
    for h in range(heads):
      n = h // (heads // key.shape[2])
      scores = query[b, :, h] @ key[b, :, n].T
      scores = scores * (config.query_scale or width) ** -0.5
      if config.score_cap:
        scores = config.score_cap * np.tanh(scores / config.score_cap)
      scores = np.where(visible[b], scores, -np.inf)
      weights = np.exp(scores - scores.max(-1, keepdims=True))
      weights /= weights.sum(-1, keepdims=True)
      mixed[b, :, h] = weights @ value[b, :, n]
  return mixed.reshape(batch, length, heads * width)


class AttentionTest(parameterized.TestCase):
  @parameterized.product(
    length=(1, 63, 129, 300),
    changes=({}, {'score_cap': 3.0, 'query_scale': 5.0}),
  )
  def test_equals_the_plain_formula(self, length, changes):
    config = tiny.config(**changes)
    random = np.random.default_rng(0)
    query, key, value = (
      random.normal(size=(2, length, heads, 8)) for heads in (4, 2, 2)
    )
    segments = np.sort(random.integers(0, 3, (2, length)), 1)
    seen = attention.visible(jnp.asarray(segments), 2, length)
    place = jnp.arange(length)[None]
    near = attention.within(100, seen, place, place)
    given = [jnp.asarray(x, jnp.float32) for x in (query, key, value)]
    expected = _plain(config, query, key, value, np.asarray(near))
    for mix in (attention.attend, attention.attend_causal):
      np.testing.assert_allclose(mix(config, *given, near), expected, 0, 1e-5)

    def total(mix):
      turned = jnp.asarray(random.normal(size=expected.shape), jnp.float32)
      return jax.grad(
        lambda *a: jnp.sum(mix(config, *a, near) * turned), (0, 1, 2)
      )

    random = np.random.default_rng(1)
    whole = total(attention.attend)(*given)
    random = np.random.default_rng(1)
    blocks = total(attention.attend_causal)(*given)
    for a, b in zip(whole, blocks, strict=True):
      np.testing.assert_allclose(a, b, 0, 2e-5)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the decoder against a slow one, and of packing."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.models import attention
from selfexplain_jax.models import decoder
from selfexplain_jax.models import sites as sites_lib
from tests.models import oracle
from tests.models import tiny

_RANDOM = np.random.default_rng(0)

_FAMILIES: tuple[tuple[str, dict], ...] = (
  ('llama', {}),
  ('tied_and_scaled', dict(tied=True, rope_scaling=tiny.SCALING)),
  ('query_key_norm', dict(query_key_norm=True)),
  ('one_key_head', dict(kv_heads=1)),
  ('gemma2', tiny.gemma2(3)),
)


@jax.jit
def _run(model, tokens, kwargs):
  """Logits and captures; compiled, since single operations take longer."""
  hidden, kept = decoder.forward(model, tokens, **kwargs)
  return decoder.unembed(model, hidden), kept


def _logits(model, tokens, **kwargs):
  return _run(model, jnp.asarray(tokens, jnp.int32), kwargs)[0]


def _equations(jaxpr):
  """Yields the equations of a program and of those that it calls."""
  for equation in jaxpr.eqns:
    yield equation
    for inner in jax.extend.core.jaxprs_in_params(equation.params):
      yield from _equations(inner)


class DecoderTest(parameterized.TestCase):
  @parameterized.named_parameters(*_FAMILIES)
  def test_equals_slow_decoder(self, changes):
    model = tiny.model(**changes)
    tokens = _RANDOM.integers(0, 40, (3, 11))
    tap = capture_lib.build(
      model.config,
      tuple(site.name for site in sites_lib.SITES),
      (0, 1, 2),
      np.broadcast_to(np.arange(11), (3, 11)),
    )
    logits, kept = _run(model, jnp.asarray(tokens, jnp.int32), dict(tap=tap))
    for row in range(3):
      expected, sites = oracle.forward(model, tokens[row])
      bound = 1e-5 * np.abs(expected).max()
      np.testing.assert_allclose(logits[row], expected, 0, bound)
      for (site, layer), value in sites.items():
        found = kept[site]
        if sites_lib.site(site).layered:
          found = found[layer]
        np.testing.assert_allclose(
          found[row], value, 0, 1e-5 * np.abs(value).max(), err_msg=site
        )

  @parameterized.parameters({}, tiny.gemma2(2))
  def test_packed_segments_equal_rows_of_their_own(self, **changes):
    model = tiny.model(**changes)
    a, b = _RANDOM.integers(0, 40, 5), _RANDOM.integers(0, 40, 7)
    packed = _logits(
      model,
      np.concatenate([a, b])[None],
      positions_BxT=jnp.asarray([[*range(5), *range(7)]], jnp.int32),
      segments_BxT=jnp.asarray([[1] * 5 + [2] * 7], jnp.int32),
    )[0]
    for found, tokens in ((packed[:5], a), (packed[5:], b)):
      expected, _ = oracle.forward(model, tokens)
      bound = 1e-5 * np.abs(expected).max()
      np.testing.assert_allclose(found, expected, 0, bound)

  def test_later_tokens_change_nothing_before_them(self):
    model = tiny.model()
    tokens = _RANDOM.integers(0, 40, (1, 9))
    changed = tokens.copy()
    changed[0, 6:] = (changed[0, 6:] + 1) % 40
    a, b = _logits(model, tokens)[0], _logits(model, changed)[0]
    np.testing.assert_array_equal(a[:6], b[:6])
    self.assertTrue(np.all(np.any(a[6:] != b[6:], -1)))

  def test_embeddings_replace_those_of_the_tokens(self):
    model = tiny.model()
    given = _RANDOM.normal(size=(1, 6, 16)).astype(np.float32)
    found = _logits(model, np.zeros((1, 6)), embeddings_BxTxD=given)[0]
    expected, _ = oracle.forward(
      model, np.zeros(6, np.int32), embeddings_TxD=given[0].astype(np.float64)
    )
    np.testing.assert_allclose(found, expected, 0, 1e-5 * expected.max())

  def test_rms_norm_by_hand(self):
    # Mean square of (3, 4) is 12.5; with epsilon 3.5 its root is 4.
    x = jnp.asarray([[3.0, 4.0]])
    for offset, weight in ((False, [1.0, 2.0]), (True, [0.0, 1.0])):
      config = tiny.config(norm_epsilon=3.5, norm_offset=offset)
      found = decoder.rms_norm(config, x, jnp.asarray(weight))
      np.testing.assert_allclose(found, [[0.75, 2.0]], 1e-6)

  def test_a_token_beyond_the_windows_of_all_layers_changes_nothing(self):
    # Two layers of windows 3 and 2 reach back 2 + 1 positions.
    model = tiny.model(**{**tiny.gemma2(2), 'windows': (3, 2)})
    tokens = _RANDOM.integers(0, 40, (1, 9))
    changed = tokens.copy()
    changed[0, 2] = (changed[0, 2] + 1) % 40
    same = np.all(_logits(model, tokens)[0] == _logits(model, changed)[0], -1)
    self.assertEqual(same.tolist(), [i not in (2, 3, 4, 5) for i in range(9)])

  def test_the_scale_of_embeddings_is_rounded_as_activations_are(self):
    # The root of 3072 is 55.4256; bfloat16 has 55.25 and 55.5 there.
    for dtype, scale in (('bfloat16', 55.5), ('float32', 55.4256)):
      config = tiny.config(width=3072, embedding_scaled=True, dtype=dtype)
      self.assertAlmostEqual(decoder.embedding_scale(config), scale, 4)
    self.assertEqual(decoder.embedding_scale(tiny.config(width=3072)), 1.0)

  def test_rope_scaling_keeps_blends_and_stretches(self):
    plain = np.asarray(attention.rope_frequencies(tiny.config()))
    scaled = np.asarray(
      attention.rope_frequencies(tiny.config(rope_scaling=tiny.SCALING))
    )
    # Turns within 128 positions: 20.4, 2.04, 0.204 and 0.0204. Four or more
    # are kept, one or less stretched by 8, and 2.04 is 0.3457 of the way.
    blend = 0.3457 + (1 - 0.3457) / 8
    np.testing.assert_allclose(
      scaled / plain, [1, blend, 0.125, 0.125], rtol=1e-4
    )

  def test_activations_of_bfloat16_keep_float32_logits(self):
    model = tiny.model(dtype='bfloat16')
    tokens = _RANDOM.integers(0, 40, 9)
    found = _logits(model, tokens[None])
    self.assertEqual(found.dtype, jnp.float32)
    expected, _ = oracle.forward(model, tokens)
    error = np.abs(found[0] - expected).max() / np.abs(expected).max()
    self.assertBetween(error, 1e-5, 0.05)

  @parameterized.parameters('float32', 'bfloat16')
  def test_gradient_of_logits_is_of_their_own_dtype(self, dtype):
    model = tiny.model(dtype=dtype)
    shape = (5, model.config.width)
    hidden = jnp.asarray(_RANDOM.normal(size=shape), dtype)
    weight = jnp.asarray(_RANDOM.normal(size=(5, 40)), jnp.float32)

    def loss(model, hidden):
      logits = decoder.unembed(model, hidden)
      self.assertEqual(logits.dtype, jnp.float32)
      return jnp.sum(logits * weight)

    gradient = jax.grad(loss, (0, 1))
    to_model, to_hidden = gradient(model, hidden)
    table = np.asarray(model.unembedding[...].astype(dtype), np.float64)
    bound = 1e-5 if dtype == 'float32' else 0.02
    for found, expected in (
      (to_hidden, np.asarray(weight, np.float64) @ table),
      (to_model.unembedding[...], weight.T @ np.asarray(hidden, np.float64)),
    ):
      self.assertEqual(found.shape, expected.shape)
      np.testing.assert_allclose(
        np.asarray(found, np.float64), expected, 0, bound * abs(expected).max()
      )
    products = [
      variable.aval.dtype
      for equation in _equations(jax.make_jaxpr(gradient)(model, hidden).jaxpr)
      if equation.primitive.name == 'dot_general'
      for variable in equation.invars
    ]
    self.assertLen(products, 6)
    self.assertSameElements(products, [jnp.dtype(dtype)])

  @parameterized.parameters(dict(query_key_norm=True), tiny.gemma2(2))
  def test_gradient_reaches_every_parameter(self, **changes):
    model = tiny.model(**changes)
    tokens = jnp.asarray(_RANDOM.integers(0, 40, (2, 8)), jnp.int32)
    # The sum of all logits would not do: norms fix much of it.
    loss = lambda m: jnp.sum(jnp.sin(_logits(m, tokens)))  # noqa: E731
    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(model)):
      self.assertGreater(np.abs(leaf).max(), 0.0)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of captures against the slow decoder."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import run
from selfexplain_jax.models import sites as sites_lib
from tests.models import oracle
from tests.models import tiny

_POSITIONS = np.array([[0, 4], [2, 2], [7, 1]])


class CaptureTest(parameterized.TestCase):
  def test_equals_slow_decoder_in_the_order_asked_for(self):
    model = tiny.model()
    tokens = np.random.default_rng(0).integers(0, 40, (3, 8))
    sites = ('resid_mid', 'embed', 'final_norm', 'mlp_out')
    captured = run.run(
      model,
      jnp.asarray(tokens, jnp.int32),
      jnp.full(3, 8, jnp.int32),
      capture=capture_lib.build(model.config, sites, (2, 0), _POSITIONS),
    ).captured
    self.assertEqual(set(captured), set(sites))
    for row in range(3):
      _, seen = oracle.forward(model, tokens[row])
      for site in sites:
        for slot, layer in enumerate((2, 0)):
          if site in ('embed', 'final_norm'):
            self.assertEqual(captured[site].shape, (3, 2, 16))
            found, layer = captured[site][row], 0
          else:
            self.assertEqual(captured[site].shape, (2, 3, 2, 16))
            found = captured[site][slot, row]
          expected = seen[site, layer][_POSITIONS[row]]
          bound = 1e-5 * np.abs(expected).max()
          np.testing.assert_allclose(found, expected, 0, bound, err_msg=site)

  @parameterized.parameters(
    (('resid_post', 'embed'), (1, 0), 2),
    (('attn_out',), (0,), 1),
    (('resid_pre',), (2,), 3),
    (('embed',), (0, 1, 2), 0),
    (('final_norm', 'resid_mid'), (0,), 3),
  )
  def test_runs_no_layer_after_the_last_that_is_read(self, sites, layers, ran):
    model = tiny.model()
    tokens = np.random.default_rng(0).integers(0, 40, (3, 8)).astype(np.int32)
    every = np.tile(np.arange(8), (3, 1))
    capture = capture_lib.build(model.config, sites, layers, every)
    whole = run.run(model, tokens, jnp.full(3, 8, jnp.int32), capture=capture)
    # What is run of the broken layers shows.
    broken = jax.tree.map(lambda x: x, model)
    broken.layers = jax.tree.map(
      lambda p: p.at[ran:].set(jnp.nan), model.layers
    )
    found = capture_lib.run(broken, tokens, capture)
    self.assertEqual(set(found), set(sites))
    for site, values in found.items():
      np.testing.assert_array_equal(values, whole.captured[site], site)

  @parameterized.product(
    layers=((1, 0), (0,), (2,)), changes=({}, tiny.gemma2(3))
  )
  def test_of_few_positions_equals_that_of_all(self, layers, changes):
    model = tiny.model(**changes)
    sites = tuple(site.name for site in sites_lib.SITES)
    tokens = np.random.default_rng(0).integers(0, 40, (3, 8)).astype(np.int32)
    every = np.tile(np.arange(8), (3, 1))
    few, all_ = (
      capture_lib.run(
        model, tokens, capture_lib.build(model.config, sites, layers, positions)
      )
      for positions in (_POSITIONS, every)
    )
    for site, values in few.items():
      expected = np.take_along_axis(
        np.asarray(all_[site]),
        _POSITIONS.reshape(*(1,) * (values.ndim - 3), 3, 2, 1),
        -2,
      )
      bound = 1e-5 * np.abs(expected).max()
      np.testing.assert_allclose(values, expected, 0, bound, err_msg=site)

  def test_layers_and_positions_are_data(self):
    model = tiny.model()
    tokens, length = jnp.ones((3, 8), jnp.int32), jnp.full(3, 8, jnp.int32)
    before = None
    for layers in ((0, 1), (2, 0), (1, 2)):
      capture = capture_lib.build(
        model.config, ('resid_post',), layers, _POSITIONS * (layers[0] > 0)
      )
      run.run(model, tokens, length, capture=capture)
      capture_lib.run(model, tokens, capture)
      sizes = run.run._cache_size(), capture_lib.run._cache_size()
      before = before or sizes
    self.assertEqual(sizes, before)

  @parameterized.parameters(
    ((0, 3), ('resid_post',), 'layer 3: expected 0 to 2'),
    ((-1,), ('resid_post',), 'layer -1'),
    ((1, 0, 1), ('resid_post',), 'layer 1 twice'),
    ((0,), ('resid',), "unknown site 'resid'"),
  )
  def test_refuses(self, layers, sites, pattern):
    with self.assertRaisesRegex(errors.InputError, pattern):
      capture_lib.build(tiny.config(), sites, layers, _POSITIONS)


if __name__ == '__main__':
  absltest.main()

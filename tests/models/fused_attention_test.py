# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of kernels of attention against what they stand for."""

import dataclasses
import functools
import types
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax._src.cudnn import fused_attention_stablehlo as cudnn
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import attention
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import fused_attention

_CONFIG = config_lib.DecoderConfig(
  *(32, 64, 1, 4, 2, 128, 64), attention='splash', dtype='bfloat16'
)


def _inputs(length, dtype=jnp.float32):
  keys = jax.random.split(jax.random.key(0), 3)
  query, key, value = (
    jax.random.normal(k, (2, length, heads, 128), dtype)
    for k, heads in zip(keys, (4, 2, 2), strict=True)
  )
  segments = np.repeat([[1, 2], [1, 3]], [100, length - 100], 1)
  segments = segments.astype(np.int32)
  return query, key, value, jnp.asarray(segments)


def _plain(config, query, key, value, segments):
  seen = attention.visible(segments, *query.shape[:2])
  return attention.attend(config, query, key, value, seen)


class FusedAttentionTest(parameterized.TestCase):
  @parameterized.parameters(
    *((256, None, True), (512, None, True), (640, 2.0, True)),
    *((640, None, False), (1024, None, True)),
  )
  def test_equals_plain_attention(self, length, cap, packed):
    config = dataclasses.replace(_CONFIG, score_cap=cap, query_scale=100.0)
    query, key, value, segments = _inputs(length)
    given = segments if packed else None
    fused = functools.partial(fused_attention.attend, config, interpret=True)

    def weighed(run):
      def total(query, key, value):
        out = run(query, key, value, given)
        weights = jnp.cos(jnp.arange(out.size, dtype=jnp.float32))
        return jnp.sum(out * weights.reshape(out.shape)), out

      return jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))

    with jax.set_mesh(mesh_lib.make_mesh()):
      found, out = weighed(fused)(query, key, value)
    plain = functools.partial(_plain, config)
    expected, whole = weighed(plain)(query, key, value)
    np.testing.assert_allclose(out, whole, 1e-5, 1e-5)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, 1e-4, 1e-4 * float(jnp.abs(b).max()))

  def test_lowers_for_gpus(self):
    config = dataclasses.replace(_CONFIG, attention='cudnn')
    run = jax.jit(functools.partial(fused_attention.attend, config))
    # There is neither the library nor a GPU to ask for.
    with (
      mock.patch.object(cudnn, 'check_cudnn_version', lambda: 91100),
      mock.patch.object(cudnn, 'check_compute_capability', lambda _: True),
    ):
      lowered = run.trace(*_inputs(256, jnp.bfloat16)).lower(
        lowering_platforms=('cuda',)
      )
    self.assertIn('cudnn', lowered.as_text())

  def test_where_it_applies(self):
    applies = fused_attention.applies
    changed = functools.partial(dataclasses.replace, _CONFIG)
    self.assertTrue(applies(_CONFIG, 1024))
    self.assertFalse(applies(_CONFIG, 512))
    self.assertFalse(applies(_CONFIG, 896))
    self.assertFalse(applies(_CONFIG, 1100))
    self.assertFalse(applies(changed(attention='plain'), 1024))
    self.assertFalse(applies(changed(dtype='float32'), 1024))
    self.assertFalse(applies(changed(head_width=64), 1024))
    self.assertFalse(applies(changed(windows=(1000,)), 1024))
    self.assertTrue(applies(changed(windows=(1024,)), 1024))
    self.assertTrue(applies(changed(attention='cudnn'), 1100))
    self.assertTrue(applies(changed(attention='cudnn'), 256))
    self.assertFalse(applies(changed(attention='cudnn'), 254))
    self.assertFalse(applies(changed(attention='cudnn', score_cap=5.0), 1100))
    self.assertFalse(applies(changed(attention='cudnn'), 1101))
    for width, fits in ((64, True), (100, False), (256, False)):
      heads = changed(attention='cudnn', head_width=width)
      self.assertEqual(applies(heads, 1100), fits, width)

  @parameterized.parameters((640, 128), (1152, 384), (1280, 256), (2048, 512))
  def test_blocks_are_the_largest_that_fill_a_sequence(self, length, expected):
    self.assertEqual(fused_attention._block(length), expected)

  @parameterized.parameters(
    ('cpu', None, 'bfloat16', 'plain'),
    ('tpu', None, 'bfloat16', 'splash'),
    ('tpu', None, 'float32', 'plain'),
    ('gpu', '8.0', 'bfloat16', 'cudnn'),
    ('gpu', '10.0', 'bfloat16', 'cudnn'),
    ('gpu', '7.5', 'bfloat16', 'plain'),
    ('gpu', 'gfx942', 'bfloat16', 'plain'),
    ('gpu', '9.0', 'float32', 'plain'),
  )
  def test_what_is_fastest(self, platform, capability, dtype, expected):
    device = types.SimpleNamespace(
      platform=platform, compute_capability=capability
    )
    self.assertEqual(fused_attention.fastest(device, dtype), expected)


if __name__ == '__main__':
  absltest.main()

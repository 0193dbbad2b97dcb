# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of checksums."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.training import checksums

_DTYPES = ('float32', 'bfloat16', 'float16', 'int32', 'uint8', 'int8', 'bool')


def _drawn(dtype, shape=(3, 4, 5)):
  drawn = np.random.default_rng(0).normal(size=shape) * 3
  return np.asarray(drawn.astype(jnp.dtype(dtype)))


class ChecksumsTest(parameterized.TestCase):
  @parameterized.parameters(*_DTYPES)
  def test_every_flipped_bit_shows(self, dtype):
    value = _drawn(dtype)
    right = checksums.of({'a': value})['a']
    size = value.dtype.itemsize
    for bit in range(1 if dtype == 'bool' else 8 * size):
      for place in (0, 17, 59):
        raw = bytearray(value.tobytes())
        raw[place * size + bit // 8] ^= 1 << bit % 8
        flipped = np.frombuffer(bytes(raw), value.dtype).reshape(value.shape)
        self.assertNotEqual(checksums.of({'a': flipped})['a'], right)
    self.assertEqual(checksums.of({'a': jnp.asarray(value)})['a'], right)

  def test_is_that_of_the_definition(self):
    value = _drawn('float32', (2, 3))
    sums = [0, 0]
    for place, bits in enumerate(value.view(np.uint32).reshape(-1).tolist()):
      for n, (seed, (one, two)) in enumerate(
        zip(checksums._SEEDS, checksums._MIXES, strict=True)
      ):
        x = (place + seed) % 2**32
        x = (x ^ (x >> 16)) * one % 2**32
        x = (x ^ (x >> 13)) * two % 2**32
        sums[n] = (sums[n] + bits * ((x ^ (x >> 16)) | 1)) % 2**32
    self.assertEqual(
      checksums.of({'a': value})['a'],
      f'float32[2, 3]:{sums[0]:08x}{sums[1]:08x}',
    )

  def test_places_shapes_and_types_are_part_of_it(self):
    value = _drawn('float32')
    made = checksums.of(
      {
        'plain': value,
        'swapped': value[::-1],
        'shape': value.reshape(4, 3, 5),
        'type': value.view(np.int32),
        'scalar': np.float32(3.0),
        'empty': np.zeros((0, 2), np.float32),
      }
    )
    self.assertLen(set(made.values()), 6)
    jax.tree.map(self.assertTrue, made)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the shape of a decoder."""

from absl.testing import absltest
from absl.testing import parameterized
import jax

from selfexplain_jax import errors
from tests.models import tiny


class DecoderConfigTest(parameterized.TestCase):
  @parameterized.parameters(
    ({'heads': 3}, 'heads=3: expected a multiple of kv_heads=2'),
    ({'kv_heads': 0}, 'kv_heads=0: expected at least 1'),
    ({'layers': -1}, 'layers=-1: expected at least 1'),
    ({'head_width': 7}, 'head_width=7: expected an even number'),
    ({'activation': 'relu'}, 'activation=relu: expected one of silu'),
    ({'score_cap': 0.0}, 'score_cap=0.0: expected a positive number'),
    ({'windows': (4,)}, r'windows=\(4,\): expected none, or one .* 3 layers'),
    ({'windows': (4, -1, 0)}, 'windows=.*at least 0'),
  )
  def test_refuses(self, changes, said):
    with self.assertRaisesRegex(errors.InputError, said):
      tiny.config(**changes)

  @parameterized.parameters(True, False)
  def test_weights_are_those_of_all_matrices(self, tied):
    model = tiny.model(tied=tied)
    leaves = jax.tree_util.tree_leaves_with_path(model)
    names = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    every = sum(v.size for k, v in names.items() if 'norm' not in k)
    embedding = 40 * 16
    self.assertEqual(model.config.weights, every - (not tied) * embedding)


if __name__ == '__main__':
  absltest.main()

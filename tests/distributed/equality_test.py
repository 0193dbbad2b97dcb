# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that training does not depend on the mesh, on 8 forced CPU devices."""

from absl.testing import absltest

from tests.distributed import equality_worker
from tests.distributed import workers

_BOUNDS = {'first_loss': 1e-6, 'gradient': 1e-5, 'last_loss': 1e-4}


class EqualityTest(absltest.TestCase):
  def test_meshes_equal_one_device(self):
    ((found, said),) = workers.run('equality_worker', [])
    self.assertLen(found, len(equality_worker.PAIRS))
    for name, apart in found.items():
      for what, bound in _BOUNDS.items():
        self.assertLess(apart[what], bound, f'{what}: {name}')
    # Nothing is made whole on every device that was not meant to be.
    self.assertNotIn('Involuntary full rematerialization', said)


if __name__ == '__main__':
  absltest.main()

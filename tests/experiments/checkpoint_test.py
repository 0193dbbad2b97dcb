# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that loading needs little memory beside what the devices hold."""

from concurrent import futures
import multiprocessing

from absl.testing import absltest

from experiments.benchmarks import checkpoint


class LoadingTest(absltest.TestCase):
  def test_memory_stays_within_the_bound(self):
    folder = self.create_tempdir().full_path
    checkpoint.write(folder, 512)
    context = multiprocessing.get_context('spawn')
    with futures.ProcessPoolExecutor(1, context) as pool:
      found = pool.submit(
        checkpoint.measure, folder, 1, 4, 2, 'bfloat16'
      ).result()
    # Nothing but the norms is replicated.
    self.assertBetween(found.shards, 230e6, 270e6)
    self.assertLess(found.peak / found.shards, 1.3)


if __name__ == '__main__':
  absltest.main()

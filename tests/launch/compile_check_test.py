# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of `launch.compile_check` where there is no compiler for TPUs."""

import importlib.util
import unittest

from absl.testing import absltest

from tests.launch import binaries


class CompileCheckTest(absltest.TestCase):
  @unittest.skipIf(importlib.util.find_spec('libtpu'), 'there is a compiler')
  def test_says_what_is_missing(self):
    (ended,) = binaries.run(['launch.compile_check', '--topology=v5e:4x4'])
    self.assertEqual(ended.code, 2, ended.stderr)
    self.assertIn('no compiler for TPUs: expected the package', ended.stderr)

  def test_refuses_bad_input(self):
    config = '--config=experiments/compile_check.py'
    cases = {
      '--topology=v4:8': 'expected one of v5e, v5p, v6e, a colon and',
      f'{config}:llama3_1_8b/x': "no stage 'x'",
      f'{config}:gpt/lora': "no model 'gpt'",
      '--num_slices=0': '--num_slices',
    }
    ran = binaries.run(*(['launch.compile_check', one] for one in cases))
    for ended, expected in zip(ran, cases.values(), strict=True):
      self.assertEqual(ended.code, 2, ended.stderr)
      self.assertIn(expected, ended.stderr.splitlines()[-1])


if __name__ == '__main__':
  absltest.main()

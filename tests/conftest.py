# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a test run sets before any test file, and so JAX, is imported.

Most are environment variables, because JAX reads them when it is imported and
the processes that tests start inherit them. What the caller has set is left
alone.
"""

import os
import pathlib
import tempfile

from absl import flags
import pytest


def pytest_configure(config: pytest.Config) -> None:
  """Gives the run a folder of its own, removed at its end, and parsed flags."""
  folder = tempfile.TemporaryDirectory(prefix='selfexplain_jax_tests_')
  config.add_cleanup(folder.cleanup)
  path = pathlib.Path(folder.name)
  for name, value in {
    'JAX_COMPILATION_CACHE_DIR': str(path / 'jax_cache'),
    # Programs are compiled in two thirds of the time, which most of a run is,
    # and compute the same but for rounding.
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
    # Arrays of different rank meet only where the code says how.
    'JAX_NUMPY_RANK_PROMOTION': 'raise',
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    # absltest puts `create_tempdir` here; its default is shared by all runs.
    'TEST_TMPDIR': str(path / 'files'),
  }.items():
    os.environ.setdefault(name, value)
  # pytest does not go through app.run, and absltest and grain read flags.
  flags.FLAGS.mark_as_parsed()

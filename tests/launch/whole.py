# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One run of the smallest quickstart, which several tests look at."""

import contextlib
import functools
import io
import pathlib

from absl.testing import absltest
import ml_collections

from experiments import quickstart as quickstart_config
from launch import quickstart
from selfexplain_jax import files

TASKS = ('features', 'patching', 'ablation')


@functools.cache
def run() -> tuple[pathlib.Path, str]:
  """Returns the workdir of the run, not to be changed, and what it printed."""
  workdir = pathlib.Path(absltest.get_default_test_tmpdir()) / 'quickstart'
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    quickstart.run(quickstart_config.get_config('test'), str(workdir))
  return workdir, printed.getvalue()


def stage_config(name: str) -> ml_collections.ConfigDict:
  """The config that a stage of the run had."""
  workdir, _ = run()
  noted = files.read_json(workdir / name / 'config.json', 'config')
  config = quickstart_config.get_config('test')[name]
  config.update(noted)
  return config

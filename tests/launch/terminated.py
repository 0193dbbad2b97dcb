# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The binary `pretrain_target`, which gets SIGTERM as soon as it starts."""

import os
import signal

import ml_collections

from launch import cli
from launch import pretrain_target


def _run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool
) -> None:
  os.kill(os.getpid(), signal.SIGTERM)
  pretrain_target.run(config, workdir, dry_run)


if __name__ == '__main__':
  cli.launch(_run, config='experiments/world/pretrain.py:target')

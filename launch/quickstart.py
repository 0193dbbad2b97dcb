# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs every stage on the biographies world: from nothing to checked claims.

Pretrains a target and a stranger; makes explanations of the target's features,
of patches of its activations and of ablations of its input; trains one
explainer of all three from each of the two models; and checks what they claim
by running the target again. Stages that are finished are skipped.
"""

import pathlib

from launch import cli
from launch import flow

run = flow.run

if __name__ == '__main__':
  cli.launch(
    run,
    config='experiments/quickstart.py',
    workdir=str(
      pathlib.Path('~/.cache/selfexplain_jax/quickstart').expanduser()
    ),
  )

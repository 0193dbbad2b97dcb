# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Converts a published pickle, or a folder of them.

python -m launch.convert_published --workdir=DIR \
    --config=experiments/conversion.py --config.source=FILE_OR_FOLDER
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.source = ''
  return config

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checkpoints of a training run: whole, digested, never half-read.

The only module that touches Orbax, whose names still move between versions. On
disk a state is a flat mapping of leaf names to arrays, so that its layout does
not depend on how the tree is wrapped in memory. Orbax does not check what it
reads (one flipped bit loads silently), so every leaf has a digest of ours.
"""

import threading
from typing import Any

from absl import logging
import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from selfexplain_jax import files

# Orbax numbers what a process saves and mixes up two saves that are under way,
# as when two runs train side by side; so one run at a time is in Orbax.
_IN_ORBAX = threading.Lock()


def leaf_names(tree: Any) -> list[str]:
  """Names of a tree's leaves in flattening order, such as 'layers.query'."""
  paths, _ = jax.tree_util.tree_flatten_with_path(tree)
  return [
    jax.tree_util.keystr(path, simple=True, separator='.').removesuffix(
      '.value'
    )
    for path, _ in paths
  ]


def digests(flat: dict[str, Any]) -> dict[str, str]:
  """SHA-256 of each leaf: its dtype, shape and bytes."""
  result = {}
  for name, value in flat.items():
    array = np.asarray(value)
    header = f'{array.dtype}{array.shape}'.encode()
    result[name] = files.digest(header, np.ascontiguousarray(array).tobytes())
  return result


class Checkpoints:
  """The checkpoints of one run, in one directory."""

  def __init__(self, directory: files.PathLike, keep: int = 2):
    policies = ocp.training.preservation_policies
    with _IN_ORBAX:
      self._checkpointer = ocp.training.Checkpointer(
        str(files.path(directory)),
        preservation_policy=policies.LatestN(keep),
        cleanup_tmp_directories=True,
      )

  def save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
    """Saves a state, and returns when it is whole on disk.

    Args:
      step: steps done.
      state: a tree of arrays.
      meta: what else the run needs to go on, as JSON.
    """
    leaves = jax.tree.leaves(state)
    flat = dict(zip(leaf_names(state), leaves, strict=True))
    content = {
      'state': flat,
      'meta': {'step': step, 'run': meta, 'digests': digests(flat)},
    }
    with _IN_ORBAX:
      self._checkpointer.save_checkpointables(
        step,
        content,
        overwrite=True,  # One that was passed over.
      )

  def restore(self, state: Any) -> tuple[int, Any, dict[str, Any]] | None:
    """Restores the latest whole checkpoint.

    A checkpoint that cannot be read, or whose leaves do not have the digests
    that were saved with them, is passed over with a warning.

    Args:
      state: the tree to restore into; gives names, shapes and shardings.

    Returns:
      Steps done, the state, and `meta`; None if there is no checkpoint.
    """
    names = leaf_names(state)
    leaves, structure = jax.tree.flatten(state)
    abstract = {
      name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
      for name, x in zip(names, leaves, strict=True)
    }
    for found in sorted(self._checkpointer.checkpoints, key=lambda c: -c.step):
      try:
        with _IN_ORBAX:
          loaded = self._checkpointer.load_checkpointables(
            found.step, {'state': abstract, 'meta': None}
          )
        meta = loaded['meta']
        if digests(loaded['state']) != meta['digests']:
          raise ValueError('its digests do not match')
      except Exception as e:  # Orbax raises many kinds for a damaged file.
        logging.warning('Passing over checkpoint %d: %s', found.step, e)
        continue
      restored = [loaded['state'][name] for name in names]
      return meta['step'], jax.tree.unflatten(structure, restored), meta['run']
    return None

  def close(self) -> None:
    """Lets go of the directory."""
    with _IN_ORBAX:
      self._checkpointer.close()

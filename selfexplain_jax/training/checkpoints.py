# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checkpoints of a training run: written aside, checked, never half-read.

The only module that touches Orbax, whose names still move between versions. On
disk a state is a flat mapping of leaf names to arrays, so that its layout does
not depend on how the tree is wrapped in memory. Orbax does not check what it
reads (one flipped bit loads silently), so every leaf has a checksum of ours.
"""

import threading
import time
from typing import Any

from absl import logging
import jax
from orbax.checkpoint import v1 as ocp

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.training import checksums

# Orbax numbers what a process saves and mixes up two saves that are under way,
# as when two runs train side by side; so one run at a time is in Orbax.
_IN_ORBAX = threading.Lock()

# What cannot be read from a bucket may only be out of reach for a while, and
# passing over a checkpoint loses the steps since the one before.
_REMOTE_ATTEMPTS, _PAUSE_SECONDS = 3, 20.0


def leaf_names(tree: Any) -> list[str]:
  """Names of a tree's leaves in flattening order, such as 'layers.query'."""
  paths, _ = jax.tree_util.tree_flatten_with_path(tree)
  return [
    jax.tree_util.keystr(path, simple=True, separator='.').removesuffix(
      '.value'
    )
    for path, _ in paths
  ]


def _base(digest: str) -> str:
  """Says what a state is of."""
  return f'an adapter of weights {digest[:12]}…' if digest else 'whole weights'


def _first(said: list[str]) -> str:
  """Returns the first that says something, or nothing."""
  return next(filter(None, said), '')


class Checkpoints:
  """The checkpoints of one run, in one directory.

  Attributes:
    waited: seconds that saves have kept their caller, in all.
  """

  def __init__(
    self,
    directory: files.PathLike,
    keep: int = 2,
    clean: bool = True,
    base: str = '',
  ):
    """Opens the directory, which is made if it does not exist.

    Args:
      directory: of the checkpoints.
      keep: how many are kept, the latest ones.
      clean: whether what an interrupted save left is removed: not in the
        directory of another run, which may be saving.
      base: hash of the weights that an adapter is trained on, which are not
        saved; empty if all weights are.
    """
    policies = ocp.training.preservation_policies
    self._directory = files.path(directory)
    self._base = base
    self._attempts = _REMOTE_ATTEMPTS if '://' in str(directory) else 1
    self._writing: threading.Thread | None = None
    self._failed: BaseException | None = None
    self.waited = 0.0
    with _IN_ORBAX:
      self._checkpointer = ocp.training.Checkpointer(
        str(self._directory),
        preservation_policy=policies.LatestN(keep),
        cleanup_tmp_directories=clean,
      )

  def save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
    """Begins to save a state, once an earlier one is whole on disk.

    It returns when all of the state is copied, so that the next step may have
    its memory; the writing goes on beside the steps.

    Args:
      step: steps done.
      state: a tree of arrays.
      meta: what else the run needs to go on, as JSON.

    Raises:
      Exception: whatever kept the save before it from ending.
    """
    started = time.monotonic()
    self._wait()
    leaves = jax.tree.leaves(state)
    flat = dict(zip(leaf_names(state), leaves, strict=True))
    sums = checksums.of(flat)
    self._log('saving', step, sums)
    content = {
      'state': flat,
      'meta': {
        'step': step,
        'run': meta,
        'checksums': sums,
        'base': self._base,
      },
    }
    context = ocp.Context()
    context.array.saving.use_compression = False  # Weights hardly shrink.
    _IN_ORBAX.acquire()
    try:
      with context:
        response = self._checkpointer.save_checkpointables_async(
          step,
          content,
          overwrite=True,  # One that was passed over.
          force=True,  # Also before one that was.
        )
    except BaseException:
      _IN_ORBAX.release()
      raise
    self._writing = threading.Thread(target=self._finish, args=(response,))
    self._writing.start()
    self.waited += time.monotonic() - started

  def _finish(self, response: Any) -> None:
    """Waits for a save, in a thread of its own."""
    try:
      response.result()
    except BaseException as e:
      self._failed = e
    finally:
      _IN_ORBAX.release()

  def _wait(self) -> None:
    """Waits for a save that is under way, and raises what went wrong."""
    if self._writing is not None:
      self._writing.join()
      self._writing = None
    if self._failed is not None:
      failed, self._failed = self._failed, None
      raise failed

  def wait(self) -> None:
    """Waits until all that was saved is whole on disk.

    Raises:
      Exception: whatever kept the last save from ending.
    """
    started = time.monotonic()
    self._wait()
    self.waited += time.monotonic() - started

  def restore(self, state: Any) -> tuple[int, Any, dict[str, Any]] | None:
    """Restores the latest whole checkpoint, in any process as in the others.

    A checkpoint that cannot be read, or whose leaves do not have the checksums
    that were saved with them, is passed over with a warning. What a save left
    that was interrupted is no checkpoint.

    Args:
      state: the tree to restore into; gives names, shapes and shardings.

    Returns:
      Steps done, the state, and `meta`; None if there is no checkpoint.

    Raises:
      errors.InputError: if there are some and none can be read: to begin anew
        would be to lose them.
    """
    steps = [found.step for found in self._checkpointer.checkpoints]
    steps = hosts.agree(sorted(steps, reverse=True))
    why = ''
    for step in steps:
      content, why = self._load(step, state)
      # None checks, which all have to do together, before all have loaded.
      why = _first(hosts.gather(why)) or self._check(step, content)
      if not why:
        meta = content['meta']
        restored = content['state'].values()
        state = jax.tree.unflatten(jax.tree.structure(state), restored)
        return meta['step'], state, meta['run']
      logging.warning('Passing over checkpoint %d: %s', step, why)
    if steps:
      raise errors.InputError(
        f'{self._directory} has checkpoints of steps '
        f'{", ".join(map(str, reversed(steps)))}, and none of them can be '
        f'read: expected one, move the folder away to begin anew: {why}'
      )
    return None

  def _load(self, step: int, state: Any) -> tuple[dict[str, Any], str]:
    """Returns what a checkpoint holds, or what keeps it from being read."""
    names, leaves = leaf_names(state), jax.tree.leaves(state)
    abstract = {
      name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
      for name, x in zip(names, leaves, strict=True)
    }
    # Each loads for itself: Orbax would have it wait for one that cannot.
    me = hosts.index()
    context = ocp.Context()
    context.multiprocessing.primary_host = me
    context.multiprocessing.active_processes = {me}
    context.multiprocessing.barrier_sync_key_prefix = f'process_{me}'
    why = ''
    for attempt in range(self._attempts):
      if attempt:
        logging.warning('Reading checkpoint %d once more: %s', step, why)
        time.sleep(_PAUSE_SECONDS)
      try:
        with _IN_ORBAX, context:
          found = self._checkpointer.load_checkpointables(
            step, {'state': abstract, 'meta': None}
          )
      except Exception as e:  # Orbax raises many kinds for a damaged file.
        why = ' '.join(str(e).split())[:300] or type(e).__name__
        continue
      found['state'] = {name: found['state'][name] for name in names}
      return found, ''
    return {}, why

  def _check(self, step: int, content: dict[str, Any]) -> str:
    """Returns what is wrong with what was loaded; all processes call it."""
    meta, why = content['meta'], ''
    sums = checksums.of(content['state'])
    wrong = [n for n in sums if sums[n] != meta.get('checksums', {}).get(n)]
    if 'base' not in meta:
      why = 'it is of an earlier release: expected checksums and a base'
    elif wrong:
      why = f'the checksum of {wrong[0]} does not match'
    elif meta['base'] != self._base:
      why = (
        f'it was trained on {_base(meta["base"])}: expected {_base(self._base)}'
      )
    else:
      self._log('restored', step, sums)
    return _first(hosts.gather(why))

  def _log(self, what: str, step: int, sums: dict[str, str]) -> None:
    """Logs one checksum for all arrays, to be compared by eye."""
    logging.info(
      'Checkpoint %d %s, of %s: %d arrays, checksum %s',
      step,
      what,
      _base(self._base),
      len(sums),
      files.digest_json(sums)[:16],
    )

  def close(self) -> None:
    """Lets go of the directory, once all that was saved is whole on disk.

    Raises:
      Exception: whatever kept the last save from ending.
    """
    try:
      self.wait()
    finally:
      with _IN_ORBAX:
        self._checkpointer.close()

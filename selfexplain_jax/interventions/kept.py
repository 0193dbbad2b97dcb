# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Effects of finished parts of a long search, kept so that none is run twice.

A part's file is named by a digest of all that its effects depend on. What is
kept is no part of a result: it may be removed at any time.
"""

from collections.abc import Callable
import dataclasses
import io
from typing import Any
import zipfile

from absl import logging
import jax
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import effects as effects_lib

_FOLDER = 'search'


def run(
  folder: files.PathLike | None,
  inputs: dict[str, Any],
  arrays: list[np.ndarray],
  compute: Callable[[], effects_lib.Effects],
) -> effects_lib.Effects:
  """Returns effects that were kept, or computes and keeps them.

  Args:
    folder: a workdir; None to keep nothing.
    inputs: JSON, what the effects depend on.
    arrays: what they depend on besides.
    compute: runs the part.
  """
  if folder is None:
    return compute()
  # Another release or device rounds differently, and may choose otherwise.
  where = [jax.__version__, jax.devices()[0].device_kind]
  key = files.digest(
    files.digest_json([inputs, where]).encode(),
    *(f'{a.dtype.str}{a.shape}'.encode() + a.tobytes() for a in arrays),
  )
  name = files.path(folder) / _FOLDER / f'{key[:32]}.npz'
  kept = _read(name)
  known = hosts.agree(kept is not None)
  if known and kept is None:
    raise RuntimeError(f'process 0 can read {name}, and this one cannot')
  if not known or kept is None:
    kept = compute()
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **dataclasses.asdict(kept))
    files.write_bytes(name, content.getvalue())
  return kept


def _read(name: Any) -> effects_lib.Effects | None:
  """Reads a part; None if there is none, or it is damaged."""
  if not name.exists():
    return None
  try:
    with np.load(io.BytesIO(name.read_bytes()), allow_pickle=False) as found:
      return effects_lib.Effects(**{n: found[n] for n in found.files})
  except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile):
    pass  # Zip files hold checksums.
  logging.warning('%s is damaged: this part is run again', name)
  return None

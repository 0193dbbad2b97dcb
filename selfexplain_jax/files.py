# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""File access, of array stores for checksums alone: local paths and `gs://`.

Every writer here is atomic: a reader sees the old file, or the new one, or
none, and never a part of one. Of several processes, which all make the same,
process 0 alone writes; the others go through the motions.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import socket
import tempfile
import threading
from typing import Any, BinaryIO

from etils import epath
import google_crc32c

from selfexplain_jax import errors
from selfexplain_jax.distributed import hosts

PathLike = str | os.PathLike[str]

_PIECE = 2**20  # Bytes that are read at once for a checksum.


def path(name: PathLike) -> epath.Path:
  """Returns `name` as a path object that works for local and `gs://` names.

  Raises:
    errors.InputError: if it is of other storage, or what reads that is missing.
  """
  scheme, separator, _ = os.fspath(name).partition('://')
  if separator and scheme != 'gs':
    raise errors.InputError(
      f'{name} is of no known storage: expected a local name or gs://'
    )
  if separator and importlib.util.find_spec('gcsfs') is None:
    raise errors.InputError(
      f'{name} is on Google Cloud Storage, and gcsfs is not installed: '
      "expected it, pip install 'etils[epath-gcs]'"
    )
  return epath.Path(os.fspath(name)).expanduser()


@contextlib.contextmanager
def writing(name: PathLike, every_process: bool = False) -> Iterator[BinaryIO]:
  """Opens `name` to be written piece by piece, making parent folders.

  The file is there when the context ends, and not if an error ends it.

  Args:
    name: the file.
    every_process: whether it is this process that has it to write, rather than
      process 0 for all.
  """
  if not every_process and not hosts.is_lead():
    with open(os.devnull, 'wb') as nowhere:
      yield nowhere
    return
  target = path(name)
  if '://' in str(target):
    # An object is there as soon as its file is closed, whole or not: so it is
    # opened when all is known, and nothing is renamed, which copies.
    with tempfile.TemporaryFile() as known:
      yield known
      known.seek(0)
      with target.open('wb') as out:
        shutil.copyfileobj(known, out)
    return
  target.parent.mkdir(parents=True, exist_ok=True)
  begin, end = f'.{target.name}.partial-', f'-{socket.gethostname()}'
  _remove_abandoned(target.parent, begin, end)
  own = f'{os.getpid()}-{threading.get_ident()}'
  partial = target.parent / f'{begin}{own}{end}'
  try:
    with partial.open('wb') as out:
      yield out
      # A machine that stops may else keep the name and not the content.
      out.flush()
      os.fsync(out.fileno())
    partial.replace(target)
  finally:
    partial.unlink(missing_ok=True)


def _remove_abandoned(folder: epath.Path, begin: str, end: str) -> None:
  """Removes what processes of this machine left that were killed."""
  for name in os.listdir(folder):
    # Names of machines may have hyphens, and be the end of others.
    own = re.fullmatch(rf'{re.escape(begin)}(\d+)-\d+{re.escape(end)}', name)
    if own:
      process = int(own[1])
      try:
        os.kill(process, 0)  # Asks whether it is there.
      except ProcessLookupError:
        (folder / name).unlink(missing_ok=True)
      except PermissionError:
        pass  # It is, and is somebody else's.


def write_bytes(
  name: PathLike, content: bytes, every_process: bool = False
) -> None:
  """Writes `content` to `name` atomically; arguments are those of `writing`."""
  with writing(name, every_process) as out:
    out.write(content)


def write_text(name: PathLike, content: str) -> None:
  """Writes `content` to `name` as UTF-8, atomically."""
  write_bytes(name, content.encode('utf-8'))


def write_json(
  name: PathLike, content: Any, every_process: bool = False
) -> None:
  """Writes `content` to `name` as indented JSON with sorted keys, atomically.

  Sorted keys and Python's shortest float text make equal contents equal bytes.
  NaN and infinities are refused, since they are not JSON.
  """
  text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
  write_bytes(name, (text + '\n').encode('utf-8'), every_process)


def remove(name: PathLike) -> None:
  """Removes a file if it is there; of several processes, process 0 does."""
  if hosts.is_lead():
    path(name).unlink(missing_ok=True)


def read_json(name: PathLike, what: str) -> Any:
  """Reads a JSON file.

  Args:
    name: the file.
    what: what it is to the user, such as 'explanation set manifest'.

  Raises:
    errors.InputError: if the file is missing or is not JSON.
  """
  source = path(name)
  if not source.exists():
    raise errors.InputError(f'{what} not found: expected a file at {source}')
  try:
    return json.loads(source.read_text())
  except (json.JSONDecodeError, UnicodeDecodeError) as e:
    raise errors.InputError(f'{what} is not valid JSON: {source}: {e}') from e


def crc32c(name: PathLike) -> int | None:
  """Returns the CRC-32C of a file, read in pieces; None if there is none."""
  checksum = google_crc32c.Checksum()
  try:
    with path(name).open('rb') as source:
      while piece := source.read(_PIECE):
        checksum.update(piece)
  except FileNotFoundError:
    return None
  return int.from_bytes(checksum.digest())


def digest(*parts: bytes | memoryview) -> str:
  """Returns the SHA-256 of the parts, each preceded by its length, as hex.

  Args:
    *parts: bytes, or a flat view of bytes that need not fit into memory.
  """
  state = hashlib.sha256()
  for part in parts:
    state.update(len(part).to_bytes(8, 'little'))
    state.update(part)
  return state.hexdigest()


def digest_json(content: Any) -> str:
  """Returns the SHA-256 of `content` as canonical JSON."""
  text = json.dumps(content, sort_keys=True, separators=(',', ':'))
  return digest(text.encode('utf-8'))


def as_json(content: Any) -> Any:
  """Returns `content` as it will be when read back: tuples become lists."""
  return json.loads(json.dumps(content))

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a workdir says about the documents that it was made from.

A run that goes on where another was left must read the same documents.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files

_FILE = 'corpus.json'
Note = dict[str, Any]


def make(source: Note, ids: Sequence[Sequence[int]]) -> Note:
  """Returns the note of documents that were read.

  Args:
    source: of the corpus: `corpora.Corpus.note`.
    ids: their token ids, of which the note has a digest: unlike that of a
      file's ends it tells all documents apart.
  """
  return {
    **source,
    'documents': len(ids),
    'digest': files.digest(*(np.array(one, '<i4').tobytes() for one in ids)),
  }


def read(workdir: files.PathLike) -> Note | None:
  """Returns the note of a workdir; None if that was made from no corpus."""
  name = files.path(workdir) / _FILE
  return files.read_json(name, 'note of a corpus') if name.exists() else None


def write(note: Note | None, workdir: files.PathLike) -> None:
  """Notes what a run reads, if it reads a corpus."""
  if note is not None:
    files.write_json(files.path(workdir) / _FILE, note)


def refuse_other(note: Note | None, workdir: files.PathLike) -> None:
  """Refuses to go on in a workdir that was begun with other documents.

  Raises:
    errors.InputError: naming the file, or the field, that differs.
  """
  theirs = read(workdir)
  if theirs is None or theirs == note:
    return
  raise errors.InputError(
    f'{files.path(workdir)} was begun with another corpus, '
    f'{_difference(theirs, note or {})}: expected the same documents, or '
    'another --workdir'
  )


def _difference(old: Note, new: Note) -> str:
  """Returns the first thing that two notes disagree about."""
  for theirs, mine in zip(old.get('files', ()), new.get('files', ())):
    if theirs != mine:
      return f'with other content of {theirs["name"]} than {mine["name"]} has'
  # A digest differs whenever something else does, and says less.
  names = sorted(
    old.keys() | new.keys(), key=lambda name: (name == 'digest', name)
  )
  name = next(name for name in names if old.get(name) != new.get(name))
  if name == 'files':
    return f'with {len(old[name])} files, not {len(new[name])}'
  return f'with {name}={old.get(name)!r}, not {new.get(name)!r}'

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Published dictionaries of any format, one or a release of many.

Which format a directory is of is seen from its files.
"""

from collections.abc import Iterator
import fnmatch
import re

from etils import epath

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import gemma_scope
from selfexplain_jax.dictionary import llama_scope
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.models import sites as sites_lib

_FORMATS = (saelens, llama_scope, gemma_scope)
_EXPECTED = ' or '.join(f'{form.FILE} ({form.FORMAT})' for form in _FORMATS)

# Folders below a release in which a dictionary may be.
_DEPTH = 4


def open_directory(directory: files.PathLike) -> stored_lib.Stored:
  """Opens the dictionary in a directory, of whichever format it is.

  Raises:
    errors.InputError: if there is none, or more than one, or what its format
      refuses; the message says what was found.
  """
  folder = files.path(directory)
  found = [form for form in _FORMATS if (folder / form.FILE).exists()]
  if len(found) != 1:
    raise errors.InputError(
      f'{folder} holds no dictionary of one format: found {_listing(folder)}, '
      f'expected {_EXPECTED}'
    )
  return found[0].open_directory(folder)


def by_layer(
  directory: files.PathLike,
) -> tuple[str, dict[int, stored_lib.Stored]]:
  """Opens all dictionaries in or below a directory.

  Args:
    directory: a dictionary, or a release of them. In the names of folders `*`
      stands for anything: `RELEASE/layer_*/width_16k/average_l0_7*`.

  Returns:
    The site, and the dictionaries by layer, ascending.

  Raises:
    errors.InputError: if there are none, or they are not of one site and each
      of another layer; or what `open_directory` refuses.
  """
  folders = [
    folder for root in _matching(files.path(directory)) for folder in _in(root)
  ]
  if not folders:
    raise errors.InputError(
      f'{directory} holds no dictionaries: found '
      f'{_listing(files.path(directory))}, expected folders with {_EXPECTED}'
    )
  found: dict[tuple[str, int], stored_lib.Stored] = {}
  for folder in folders:
    stored = open_directory(folder)
    place = _place(stored)
    if place in found:
      raise errors.InputError(
        f'{found[place].folder} and {folder} are both of {place[0]} of layer '
        f'{place[1]}: expected one, choose with * in config.dictionary'
      )
    found[place] = stored
  sites = sorted({site for site, _ in found})
  if len(sites) > 1:
    raise errors.InputError(
      f'{directory} holds dictionaries of {" and ".join(sites)}: expected one '
      'site, choose with * in config.dictionary'
    )
  return sites[0], {layer: found[sites[0], layer] for _, layer in sorted(found)}


def _place(stored: stored_lib.Stored) -> tuple[str, int]:
  """Returns the site and the layer of a dictionary."""
  for site in sites_lib.SITES:
    pattern = re.escape(site.transformer_lens).replace(r'\{i\}', r'(\d+)')
    match = re.fullmatch(pattern, stored.hook)
    if site.layered and match is not None:
      return site.name, int(match[1])
  known = ', '.join(s.transformer_lens for s in sites_lib.SITES if s.layered)
  raise errors.InputError(
    f'{stored.folder} is of hook {stored.hook or "unknown"}: expected one of '
    f'{known}, in its config or, of {gemma_scope.FORMAT}, in its path'
  )


def _matching(pattern: epath.Path) -> list[epath.Path]:
  """Returns the folders that a path with `*` in it stands for."""
  if '*' not in str(pattern):
    return [pattern]
  return [
    folder
    for parent in _matching(pattern.parent)
    for folder in _folders(parent)
    if fnmatch.fnmatchcase(folder.name, pattern.name)
  ]


def _in(folder: epath.Path, depth: int = _DEPTH) -> Iterator[epath.Path]:
  """Yields the folders in or below which there are dictionaries."""
  if any((folder / form.FILE).exists() for form in _FORMATS):
    yield folder
  elif depth:
    for below in _folders(folder):
      yield from _in(below, depth - 1)


def _folders(folder: epath.Path) -> list[epath.Path]:
  if not folder.is_dir():
    return []
  return sorted(
    below
    for below in folder.iterdir()
    if not below.name.startswith('.') and below.is_dir()
  )


def _listing(folder: epath.Path) -> str:
  """Says in a few words what is in a folder."""
  if not folder.is_dir():
    return 'no folder'
  names = sorted(item.name for item in folder.iterdir())
  more = f' and {len(names) - 4} more' if len(names) > 4 else ''
  return ', '.join(names[:4]) + more or 'nothing in it'

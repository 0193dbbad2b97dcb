# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Models by their id on the Hugging Face hub, such as `Qwen/Qwen3-8B`.

Wherever a model's directory is read, an id may stand in its place, with a
branch, tag or commit after an @. It stands for the folder of the local cache
that the model is downloaded to. Where dictionaries are read, folders may follow
it, and only these are downloaded.
"""

import functools
import os
import re

import huggingface_hub
from huggingface_hub import errors as hub_errors

from selfexplain_jax import errors
from selfexplain_jax import files

# One slash, and nothing that a path begins with: an absolute path, one of the
# home folder or of this folder, or gs://.
_ID = re.compile(r'(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?')

# Weights, configurations, tokenizers and chat templates; nothing pickled, and
# no second copy of the weights in another layout, which lie in subfolders.
_WANTED = ('*.json', '*.safetensors', '*.model', '*.txt', '*.jinja')
_UNWANTED = ('*/*',)

# The same with folders after it, and the files of a dictionary in them.
_PART = re.compile(
  r'(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w.-]+))?'
  r'(?P<part>(/[\w.*-]+)*)/?'
)
_OF_DICTIONARIES = ('*.json', '*.safetensors', '*.npz')


def local(directory: files.PathLike) -> str:
  """Returns the folder that a model's directory or hub id stands for.

  A folder that exists is always meant by its own name. Within a process an id
  keeps standing for the same folder, whatever is uploaded meanwhile.

  Args:
    directory: a folder, local or remote, or an id.

  Raises:
    errors.InputError: if an id cannot be downloaded, nor is in the cache.
  """
  name = os.fspath(directory)
  found = _ID.fullmatch(name)
  if not found or files.path(name).exists():
    return name
  return _download(name, found['id'], found['revision'], _WANTED, _UNWANTED)


def local_part(directory: files.PathLike) -> str:
  """Returns what a directory of dictionaries, or one on the hub, stands for.

  As `local`, with folders of the repository after the id, in whose names `*`
  stands for anything: `google/gemma-scope-2b-pt-res/layer_2*/width_16k`.

  Args:
    directory: a folder, local or remote, or an id; with * in it or without.

  Raises:
    errors.InputError: as `local`.
  """
  name = os.fspath(directory)
  found = _PART.fullmatch(name)
  # A folder of that name is meant, whatever * stands for below it.
  if not found or files.path(name.split('/')[0]).exists():
    return name
  part = found['part']
  wanted = tuple(f'{part}/{file}'.lstrip('/') for file in _OF_DICTIONARIES)
  folder = _download(name, found['id'], found['revision'], wanted, ())
  return folder + part


@functools.cache
def _download(
  name: str,
  repository: str,
  revision: str | None,
  wanted: tuple[str, ...],
  unwanted: tuple[str, ...],
) -> str:
  """Downloads files of a repository, or finds them in the cache."""
  try:
    return huggingface_hub.snapshot_download(
      repository,
      revision=revision,
      allow_patterns=list(wanted),
      ignore_patterns=list(unwanted),
    )
  except (OSError, ValueError) as e:  # All that the library raises are of them.
    reason = f'{type(e).__name__}: {" ".join(str(e).split())}'
    raise errors.InputError(
      f'{name} is no folder here, and as an id of the hub '
      f'{_advice(e)} ({reason})'
    ) from e


def _advice(error: Exception) -> str:
  """What a failure means, and what can be done about it."""
  if isinstance(error, hub_errors.GatedRepoError):
    return (
      'its license has to be accepted first: accept it on its page and log in '
      'with `hf auth login`, or name a folder that holds it'
    )
  if isinstance(error, hub_errors.RevisionNotFoundError):
    return 'it has no such revision: expected a branch, tag or commit after @'
  if isinstance(error, hub_errors.RepositoryNotFoundError):
    return 'it does not exist: expected a folder or the id of a model'
  return (
    'it can neither be reached nor found in the cache: download it on another '
    'machine with `hf download` and name the folder'
  )

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Models by their id on the Hugging Face hub, such as `Qwen/Qwen3-8B`.

Wherever a model's directory is read, an id may stand in its place, with a
branch, tag or commit after an @. It stands for the folder of the local cache
that the model is downloaded to.
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
  return _download(name, found['id'], found['revision'])


@functools.cache
def _download(name: str, repository: str, revision: str | None) -> str:
  """Downloads a model, or finds it in the cache."""
  try:
    return huggingface_hub.snapshot_download(
      repository,
      revision=revision,
      allow_patterns=list(_WANTED),
      ignore_patterns=list(_UNWANTED),
    )
  except (OSError, ValueError) as e:  # All that the library raises are of them.
    reason = f'{type(e).__name__}: {" ".join(str(e).split())}'
    raise errors.InputError(
      f'{name} is no folder here, and as a model of the hub '
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

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""An explainer on disk: a model directory with a note of how to ask it."""

import dataclasses
from typing import Any

import jax

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib

_FILE = 'explainer.json'


@dataclasses.dataclass(frozen=True)
class Explainer:
  """A model that explains, and everything that is needed to ask it.

  Attributes:
    model: its parameters.
    tokenizer: its tokenizer.
    injection: how vectors enter.
    phrasings: the phrasings of questions that it was trained on.
  """

  model: decoder.Decoder
  tokenizer: tokenizer_lib.Tokenizer
  injection: injection_lib.Injection
  phrasings: tuple[str, ...]

  def save(self, directory: files.PathLike, training: dict[str, Any]) -> None:
    """Writes the explainer; `training` says how it came to be."""
    artefact.save(self.model, self.tokenizer, directory)
    note = {
      'injection': self.injection.mode,
      'norm': self.injection.norm,
      'block': self.injection.block,
      'phrasings': list(self.phrasings),
      'training': training,
    }
    files.write_json(files.path(directory) / _FILE, note)


def training(directory: files.PathLike) -> dict[str, Any]:
  """Returns how an explainer came to be, as it was saved.

  Raises:
    errors.InputError: if the folder holds none.
  """
  name = files.path(directory) / _FILE
  return files.read_json(name, 'note of an explainer').get('training', {})


def load(directory: files.PathLike, mesh: jax.sharding.Mesh) -> Explainer:
  """Reads an explainer.

  Raises:
    errors.InputError: if the folder holds none.
  """
  name = files.path(directory) / _FILE
  note = files.read_json(name, 'note of an explainer')
  model, tokenizer = artefact.load(directory, mesh)
  try:
    return Explainer(
      model=model,
      tokenizer=tokenizer,
      injection=injection_lib.Injection(
        note['injection'],
        tokenizer.vector_id,
        note['norm'],
        note['block'],
      ),
      phrasings=tuple(note['phrasings']),
    )
  except KeyError as e:
    raise errors.InputError(f'{name} lacks the field {e}') from e

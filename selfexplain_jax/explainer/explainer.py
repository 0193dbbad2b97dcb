# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""An explainer on disk: a model directory with a note of how to ask it."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import questions
from selfexplain_jax.distributed import hosts
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib

_FILE = 'explainer.json'
_PARAMETERS = 'injection.safetensors'
_CLAIM_END = '>>>.'


@dataclasses.dataclass(frozen=True)
class Explainer:
  """A model that explains, and everything that is needed to ask it.

  Attributes:
    model: its parameters.
    tokenizer: its tokenizer.
    injection: how vectors enter, with what was learnt about them.
    phrasings: by question type, the phrasings that it was trained on.
    chat: whether it is asked as a user asks and answers as an assistant.
    doubled_bos: whether questions begin with two BOS, as those did that some
      published explainers were trained on.
    unended: whether it was never taught where an answer ends, as published
      explainers without chats.
  """

  model: decoder.Decoder
  tokenizer: tokenizer_lib.Tokenizer
  injection: injection_lib.Injection
  phrasings: Mapping[str, tuple[str, ...]]
  chat: bool = False
  doubled_bos: bool = False
  unended: bool = False

  def answer(self, ids: Sequence[int]) -> str:
    """Returns what it says by some tokens.

    Of one that talks on, up to where the authors stop (method C): the end of a
    claim, or else the end of a line.
    """
    text = self.tokenizer.decode(ids)
    if not self.unended:
      return text
    claim, end, _ = text.partition(_CLAIM_END)
    return claim + end if end else text.split('\n')[0].split(' [END]')[0]

  @property
  def end_id(self) -> int:
    """The token that ends its answers."""
    return questions.end_id(self.tokenizer, self.chat)

  def save(self, directory: files.PathLike, training: dict[str, Any]) -> None:
    """Writes the explainer; `training` says how it came to be."""
    artefact.save(self.model, self.tokenizer, directory)
    self.note(directory, training)

  def note(
    self,
    directory: files.PathLike,
    training: dict[str, Any],
    weights: str | None = None,
  ) -> None:
    """Writes all but the model and the tokenizer.

    Args:
      directory: of the explainer.
      training: how it came to be.
      weights: directory or hub id of the model, if not this directory.
    """
    folder = files.path(directory)
    arrays = self.injection.parameters.arrays()
    if arrays:
      content = {
        name: np.ascontiguousarray(value)
        for name, value in hosts.fetch(dict(arrays)).items()
      }
      files.write_bytes(folder / _PARAMETERS, safetensors_numpy.save(content))
    projection = arrays.get('projection')
    note = {
      'injection': self.injection.mode,
      'norm': self.injection.norm,
      'block': self.injection.block,
      'layer_blocks': [
        list(pair) for pair in self.injection.layer_blocks.pairs
      ],
      'target_width': None if projection is None else projection.shape[2],
      'phrasings': {task: list(own) for task, own in self.phrasings.items()},
      'chat': self.chat,
      'doubled_bos': self.doubled_bos,
      'unended': self.unended,
      'training': training,
    }
    if weights is not None:
      note['weights'] = weights
    files.write_json(folder / _FILE, note)


def training(directory: files.PathLike) -> dict[str, Any]:
  """Returns how an explainer came to be, as it was saved.

  Raises:
    errors.InputError: if the folder holds none.
  """
  return _note(directory).get('training', {})


def digest(directory: files.PathLike) -> str:
  """Returns the SHA-256 of all that an explainer's answers depend on.

  Its weights alone are not enough: two explainers may differ in what they
  learnt about vectors, or in how they are asked.

  Raises:
    errors.InputError: if the folder holds none.
  """
  note = _note(directory)
  parameters = files.path(directory) / _PARAMETERS
  return files.digest_json(
    {
      'note': {name: note[name] for name in note if name != 'training'},
      'parameters': files.digest(parameters.read_bytes())
      if parameters.exists()
      else None,
      'tokenizer': artefact.load_tokenizer(directory).digest(),
      'weights': huggingface.weight_hash(note.get('weights', directory)),
    }
  )


def load(
  directory: files.PathLike, mesh: jax.sharding.Mesh, dtype: str = 'float32'
) -> Explainer:
  """Reads an explainer.

  Args:
    directory: of the explainer.
    mesh: where it goes.
    dtype: of its model; what it learnt about vectors is float32.

  Raises:
    errors.InputError: if the folder holds none, or a part of one.
  """
  name, note = files.path(directory) / _FILE, _note(directory)
  model = huggingface.load(
    note.get('weights', directory),
    mesh,
    dtype,
    dtype,
    published_explainer='weights' in note,
  )
  tokenizer = artefact.load_tokenizer(directory)
  try:
    layer_blocks = layer_blocks_lib.LayerBlocks(
      tuple((first, last) for first, last in note['layer_blocks'])
    )
    injection = injection_lib.Injection(
      note['injection'],
      tokenizer.vector_id,
      note['norm'],
      note['block'],
      layer_blocks,
    )
    target_width = note['target_width']
    phrasings = {task: tuple(own) for task, own in note['phrasings'].items()}
    # Older notes do not have these.
    chat, doubled, unended = (
      note.get(name, False) for name in ('chat', 'doubled_bos', 'unended')
    )
  except KeyError as e:
    raise errors.InputError(f'{name} lacks the field {e}') from e
  expected = injection_lib.shapes(
    injection.mode, layer_blocks, model.config.width, target_width
  )
  if expected:
    with jax.set_mesh(mesh):
      learnt = injection_lib.place(_read(directory, expected))
    injection = injection.with_parameters(learnt)
  return Explainer(
    model, tokenizer, injection, phrasings, chat, doubled, unended
  )


def _note(directory: files.PathLike) -> dict[str, Any]:
  name = files.path(directory) / _FILE
  return files.read_json(name, 'note of an explainer')


def _read(
  directory: files.PathLike, expected: dict[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """Reads what was learnt about vectors.

  Args:
    directory: of the explainer.
    expected: shapes by name.

  Raises:
    errors.InputError: naming the tensor that is missing or of another shape.
  """
  source = files.path(directory) / _PARAMETERS
  if not source.exists():
    raise errors.InputError(
      f'{source} not found: {_FILE} says that it holds {", ".join(expected)}'
    )
  try:
    stored = safetensors_numpy.load(source.read_bytes())
  except safetensors.SafetensorError as e:
    raise errors.InputError(
      f'{source} is not a whole safetensors file: {e}'
    ) from e
  for name, shape in expected.items():
    if name not in stored:
      raise errors.InputError(
        f'{source}: tensor {name} is missing: expected shape {shape}'
      )
    if stored[name].shape != shape:
      raise errors.InputError(
        f'{source}: tensor {name} has shape {stored[name].shape}: {_FILE} '
        f'makes it {shape}'
      )
  return {name: stored[name] for name in expected}

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trained simulators: language models that say where descriptions hold.

A directory of one is that of a model with its tokenizer and `simulator.json`,
which names the convention and says how it came to be.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.distributed import hosts
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.simulators import conventions
from selfexplain_jax.simulators import levels

FILE = 'simulator.json'

_BATCH = 64  # Documents read at once.
_LENGTH_STEP = 16  # Rows are padded to multiples of it: one program for each.


class TrainedSimulator:
  """A simulator on some documents; a `simulation.Simulator`.

  Attributes:
    settings: which one it is.
  """

  def __init__(
    self,
    model: decoder.Decoder,
    convention: conventions.Convention,
    tokenizer: tokenizer_lib.Tokenizer,
    tokens_MxT: np.ndarray,
    settings: Mapping[str, Any],
  ):
    """Takes a model, which reads nothing yet.

    Args:
      model: the language model.
      convention: what it reads.
      tokenizer: that of the documents.
      tokens_MxT: i32, the documents, BOS included.
      settings: for metrics.json.

    Raises:
      errors.InputError: if model, convention and tokenizer do not fit.
    """
    convention.check(tokenizer, model.config.vocabulary)
    self.settings = settings
    self._model, self._convention, self._tokenizer = (
      model,
      convention,
      tokenizer,
    )
    self._mesh = jax.sharding.get_mesh()
    self._documents = convention.document(tokens_MxT)
    self._length = tokens_MxT.shape[1]

  def on(self, tokens_MxT: np.ndarray) -> 'TrainedSimulator':
    """Returns the same simulator on other documents."""
    return TrainedSimulator(
      self._model, self._convention, self._tokenizer, tokens_MxT, self.settings
    )

  def simulate(
    self, descriptions: Sequence[str | None], documents_NxS: np.ndarray
  ) -> simulation.Simulated:
    """Predicts the expected level, as a share of the highest.

    A description says that a feature is active where it is more likely so than
    silent. One with a word that the tokenizer lacks means nothing.

    Raises:
      errors.InputError: if a description is too long for the model.
    """
    shape = (*documents_NxS.shape, self._length)
    activations, active = np.zeros(shape, np.float32), np.zeros(shape, bool)
    prompts = [self._prompt(text) for text in descriptions]
    valid = np.array([prompt is not None for prompt in prompts], bool)
    known = [prompt for prompt in prompts if prompt is not None]
    if not known:
      return simulation.Simulated(valid, activations, active)
    length = max(map(len, known)) + self._documents.shape[1]
    length = -(-length // _LENGTH_STEP) * _LENGTH_STEP
    most = self._model.config.max_positions
    if length > most:
      raise errors.InputError(
        f'a description and a document have {length} tokens: expected at most '
        f'{most}, the positions of the simulator'
      )
    pairs = np.argwhere(np.broadcast_to(valid[:, None], documents_NxS.shape))
    starts = range(0, len(pairs), _BATCH)
    first = self._convention.start
    for begin in progress.track(starts, len(starts), 'batches simulated'):
      chosen = pairs[begin : begin + _BATCH]
      filled = pairs[np.arange(begin, begin + _BATCH) % len(pairs)]
      tokens, start = conventions.rows(
        [prompts[n] or () for n, _ in filled],
        self._documents[documents_NxS[filled[:, 0], filled[:, 1]]],
        length,
      )
      with jax.set_mesh(self._mesh):
        expected, is_active = hosts.fetch(
          _predict(
            self._model,
            tokens,
            start,
            self._documents.shape[1],
            self._convention.level_ids,
          )
        )
      n, s = chosen.T
      activations[n, s, first:] = expected[: len(chosen)]
      active[n, s, first:] = is_active[: len(chosen)]
    return simulation.Simulated(valid, activations, active)

  def _prompt(self, description: str | None) -> list[int] | None:
    """Returns what is read before documents, if the description is one."""
    if description is None:
      return None
    try:
      return self._convention.prompt(self._tokenizer, description)
    except errors.InputError:
      return None


@functools.partial(jax.jit, static_argnames=('length', 'level_ids'))
def _predict(model, tokens_BxL, start_B, length, level_ids):
  """Returns the expected level, 0 to 1, and whether it is likely above 0."""
  said = levels.logits(model, tokens_BxL, start_B, length, level_ids)
  shares = jnp.linspace(0.0, 1.0, conventions.LEVELS, dtype=jnp.float32)
  probability = jax.nn.softmax(said, -1)
  return probability @ shares, probability[..., 0] < 0.5


def save(
  model: decoder.Decoder,
  tokenizer: tokenizer_lib.Tokenizer,
  directory: files.PathLike,
  training: Mapping[str, Any],
) -> None:
  """Writes a simulator of the plain convention; `training` says of what."""
  files.write_json(
    files.path(directory) / FILE,
    {
      'convention': conventions.PLAIN,
      'tokenizer_hash': tokenizer.digest(),
      'training': dict(training),
    },
  )
  artefact.save(model, tokenizer, directory)


def check(
  directory: files.PathLike, convention: str, tokenizer: tokenizer_lib.Tokenizer
) -> str:
  """Checks that there is a simulator, without reading its weights.

  Args:
    directory: its model's.
    convention: its name; empty if `simulator.json` says it.
    tokenizer: the target's.

  Returns:
    The name of its convention.

  Raises:
    errors.InputError: if there is none, or it is of another tokenizer.
  """
  name = files.path(directory) / FILE
  note = files.read_json(name, 'note of a simulator') if name.exists() else {}
  named = note.get('convention', convention)
  if not named:
    raise errors.InputError(
      f'{directory} has no {FILE}: expected one, or config.simulator_convention'
      f' to be one of {", ".join(conventions.CONVENTIONS)}'
    )
  if convention and named != convention:
    raise errors.InputError(
      f'{name} says convention {named!r}: expected {convention!r}, as '
      'config.simulator_convention says'
    )
  if note.get('tokenizer_hash', tokenizer.digest()) != tokenizer.digest():
    raise errors.InputError(
      f'{directory} is a simulator of another tokenizer: expected that of the '
      'target, whose tokens it reads'
    )
  vocabulary = huggingface.read_config(directory).vocabulary
  conventions.convention(named).check(tokenizer, vocabulary)
  return named


def load(
  directory: files.PathLike,
  convention: str,
  tokenizer: tokenizer_lib.Tokenizer,
  tokens_MxT: np.ndarray,
  mesh: jax.sharding.Mesh,
  dtype: str = 'float32',
) -> TrainedSimulator:
  """Reads a simulator, to be asked about some documents.

  Args:
    directory: as in `check`.
    convention: as in `check`.
    tokenizer: the target's.
    tokens_MxT: i32, the documents, of the target's tokens.
    mesh: where the model goes.
    dtype: of its activations and parameters.

  Raises:
    errors.InputError: as in `check`.
  """
  named = check(directory, convention, tokenizer)
  model, _ = artefact.load(directory, mesh, dtype)
  settings = {
    'kind': 'trained',
    'convention': named,
    'model': huggingface.weight_hash(directory),
  }
  return TrainedSimulator(
    model, conventions.convention(named), tokenizer, tokens_MxT, settings
  )

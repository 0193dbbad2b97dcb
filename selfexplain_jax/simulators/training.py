# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Training a simulator on features whose labels and activations are known."""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
from typing import Any
import zlib

import jax
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.fidelity import firing as firing_lib
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import simulator
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.simulators import conventions
from selfexplain_jax.simulators import levels
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib


@dataclasses.dataclass(frozen=True)
class Examples:
  """N features on S documents each: N * S examples.

  Attributes:
    descriptions: of the features.
    prompts: what is read before the documents.
    documents: i32[M, R], what is read of the documents.
    chosen: i64[N, S], which documents.
    levels: i32[N, S, R], the level at each token that is read.
    seed: of their order.
  """

  descriptions: Sequence[str]
  prompts: Sequence[Sequence[int]]
  documents: np.ndarray
  chosen: np.ndarray
  levels: np.ndarray
  seed: int

  def __len__(self) -> int:
    return self.chosen.size

  @property
  def length(self) -> int:
    """Tokens of a row."""
    return max(map(len, self.prompts)) + self.documents.shape[1]

  def row(self, counter: int) -> dict[str, np.ndarray]:
    """Returns row `counter` of the job: each epoch has an order of its own."""
    epoch, place = divmod(counter, len(self))
    example = int(_order(self.seed, epoch, len(self))[place])
    n, s = divmod(example, self.chosen.shape[1])
    tokens, start = conventions.rows(
      [self.prompts[n]], self.documents[self.chosen[n, s]][None], self.length
    )
    return {
      'tokens': tokens[0],
      'start': start[0],
      'levels': self.levels[n, s],
    }


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
  key = [seed, zlib.crc32(b'order of simulated examples'), epoch]
  return np.random.default_rng(key).permutation(count)


def examples(
  convention: conventions.Convention,
  tokenizer: tokenizer_lib.Tokenizer,
  descriptions: Sequence[str],
  firing: firing_lib.Firing,
  tokens_MxT: np.ndarray,
  seed: int,
) -> Examples:
  """Makes examples of features that are active somewhere.

  Args:
    convention: what a simulator reads.
    tokenizer: of the descriptions and the documents.
    descriptions: of N features.
    firing: what they do.
    tokens_MxT: i32, the documents.
    seed: of the order of the examples.

  Raises:
    errors.InputError: if no feature is active anywhere.
  """
  kept = np.flatnonzero(firing.active)
  if not len(kept):
    raise errors.InputError(
      'none of the features is active in any document: expected documents that '
      'the target knows, and features of its dictionaries'
    )
  start = convention.start
  found = levels.of(firing.activations[kept])
  found[:, :, 0] = levels.IGNORED  # BOS is the same everywhere.
  said = [descriptions[int(n)] for n in kept]
  return Examples(
    said,
    [convention.prompt(tokenizer, text) for text in said],
    convention.document(tokens_MxT),
    firing.documents[kept],
    found[:, :, start:],
    seed,
  )


def batches(
  learnt: Examples, batch: int, steps: int, done: int
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches of the steps that are left after `done`."""
  return language_modelling.batches(learnt.row, batch, steps, done)


def make_step(
  optimizer: optax.GradientTransformation, level_ids: Sequence[int]
) -> Callable:
  """Returns the compiled step; it donates its state."""

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: state_lib.TrainState, batch: dict[str, Any]):
    value, gradient = jax.value_and_grad(levels.loss)(
      state.model, batch, level_ids
    )
    metrics = {'loss': value, 'gradient_norm': optax.tree.norm(gradient)}
    return state_lib.update(state, gradient, optimizer), metrics

  return step


def correlations(
  simulates: simulation.Simulator,
  descriptions: Sequence[str],
  firing: firing_lib.Firing,
) -> dict[str, float]:
  """Says how well a simulator predicts features from their descriptions.

  Args:
    simulates: the simulator.
    descriptions: of N features.
    firing: what they do.

  Returns:
    Means over the features that are active: `simulator`, Pearson's r over all
    tokens, and `shuffled_description`, the same from another one's description;
    absent where there is none, or nothing to predict.
  """
  different = sorted(set(descriptions))
  # The next one of those that differ, in an order that means nothing.
  different.sort(key=lambda text: zlib.crc32(text.encode()))
  after = dict(zip(different, [*different[1:], different[0]], strict=True))
  asked = {'simulator': list(descriptions)}
  if len(different) > 1:
    asked['shuffled_description'] = [after[text] for text in descriptions]
  real = firing.activations[:, :, 1:]
  found = {}
  for name, said in asked.items():
    predicted = simulates.simulate(said, firing.documents).activations
    r = simulator.pooled(real, predicted[:, :, 1:])
    known = r[np.isfinite(r)]
    if len(known):
      found[name] = float(known.mean())
  return found

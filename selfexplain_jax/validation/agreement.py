# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How far a model agrees with a reference: sites, distributions, generations.

Names and shapes can be right where every number is wrong, so that a checkpoint
is judged by the distributions that it gives.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.validation import forward_order

LOGITS = 'logits'

# Largest difference of a site or of the logits in float32, as a share of the
# tensor's largest magnitude, or of 1 where that is less. Two programs that do
# the same in float32 differ by about 1e-6 of it.
SITE_BOUND = 2e-4


class Bound(NamedTuple):
  """What KL(reference || ours) in nats may be, and where top-1 must agree.

  Attributes:
    mean: over positions.
    most: at any position.
    margin: of the reference, above which the most likely token must be ours.
  """

  mean: float
  most: float
  margin: float


# docs/divergence.md gives the reasons.
BOUNDS = {
  'float32': Bound(1e-6, 1e-5, 1e-2),
  'bfloat16': Bound(3e-2, 5e-1, 2.0),
}


class Difference(NamedTuple):
  """How far one tensor is from the reference's.

  Attributes:
    site: its name, or `logits`.
    layer: of which block; 0 where there is but one.
    absolute: largest absolute difference; infinite if something is no number.
    magnitude: largest magnitude in the reference.
  """

  site: str
  layer: int
  absolute: float
  magnitude: float

  @property
  def share(self) -> float:
    """The difference over the magnitude, which counts as at least 1."""
    return self.absolute / max(1.0, self.magnitude)

  @property
  def tensor(self) -> str:
    """The tensor as it is written."""
    if self.site == LOGITS:
      return LOGITS
    return forward_order.tensor(self.site, self.layer)


@dataclasses.dataclass(frozen=True)
class Distributions:
  """How far next-token distributions agree over N positions.

  Attributes:
    mean: of KL(reference || ours), in nats.
    most: of it at any position.
    top_1: share of positions with the same most likely token.
    clear: positions where the reference's margin exceeds the bound's.
    clear_wrong: those of them with another most likely token.
  """

  mean: float
  most: float
  top_1: float
  clear: int
  clear_wrong: int

  def beyond(self, bound: Bound) -> str:
    """What is beyond a bound, in words; empty if nothing is."""
    # NaN is beyond any bound.
    if not self.mean <= bound.mean:
      return f'mean KL is {self.mean:.2e}: expected at most {bound.mean:.0e}'
    if not self.most <= bound.most:
      return f'largest KL is {self.most:.2e}: expected at most {bound.most:.0e}'
    if self.clear_wrong:
      return (
        f'top-1 differs at {self.clear_wrong} of {self.clear} positions where '
        f"the reference's margin is above {bound.margin:g}"
      )
    return ''


def run(
  model: decoder.Decoder, tokens_BxT: np.ndarray, sites: bool
) -> dict[str, np.ndarray]:
  """Runs a model over whole rows.

  Args:
    model: the model; its mesh is set.
    tokens_BxT: token ids, without padding.
    sites: whether activations are returned too.

  Returns:
    `logits` f32[B, T, V] and, if asked for, every site by its name, [L, B, T,
    D], or [B, T, D] for sites without layers.
  """
  batch, length = tokens_BxT.shape
  tap = capture_lib.build(
    model.config,
    tuple(site.name for site in sites_lib.SITES) if sites else (),
    tuple(range(model.config.layers)),
    np.broadcast_to(np.arange(length), (batch, length)),
  )
  return hosts.fetch(_run(model, jnp.asarray(tokens_BxT), tap))


@jax.jit
def _run(model, tokens_BxT, tap):
  hidden, kept = decoder.forward(model, tokens_BxT, tap=tap)
  return {LOGITS: decoder.unembed(model, hidden), **kept}


def differences(
  ours: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> Iterator[Difference]:
  """Yields the difference of every tensor, in the order of the forward pass."""
  for name, layer in forward_order.cells(len(reference['resid_pre'])):
    if sites_lib.site(name).layered:
      yield _difference(name, layer, ours[name][layer], reference[name][layer])
    else:
      yield _difference(name, 0, ours[name], reference[name])
  yield _difference(LOGITS, 0, ours[LOGITS], reference[LOGITS])


def _difference(
  site: str, layer: int, ours: np.ndarray, reference: np.ndarray
) -> Difference:
  if ours.shape != reference.shape:
    raise ValueError(
      f'{site} has shape {ours.shape}, the reference {reference.shape}'
    )
  apart = np.abs(ours.astype(np.float64) - reference.astype(np.float64))
  most = float(apart.max())
  return Difference(
    site,
    layer,
    most if np.isfinite(most) else float('inf'),
    float(np.abs(reference).max()),
  )


def first_beyond(
  found: list[Difference], bound: float = SITE_BOUND
) -> Difference | None:
  """The first tensor beyond a bound, in the order of the forward pass."""
  return next((d for d in found if not d.share <= bound), None)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
  shifted = logits.astype(np.float64)
  shifted = shifted - shifted.max(-1, keepdims=True)
  return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def distributions(
  ours_BxTxV: np.ndarray, reference_BxTxV: np.ndarray, margin: float
) -> Distributions:
  """Compares next-token distributions.

  Args:
    ours_BxTxV: our logits.
    reference_BxTxV: the reference's.
    margin: above it the reference's choice is clear.
  """
  ours, reference = _log_softmax(ours_BxTxV), _log_softmax(reference_BxTxV)
  divergence = (np.exp(reference) * (reference - ours)).sum(-1)
  same = ours_BxTxV.argmax(-1) == reference_BxTxV.argmax(-1)
  top = np.partition(reference_BxTxV, -2, -1)
  clear = top[..., -1] - top[..., -2] > margin
  return Distributions(
    mean=float(divergence.mean()),
    most=float(divergence.max()),
    top_1=float(same.mean()),
    clear=int(clear.sum()),
    clear_wrong=int(np.sum(clear & ~same)),
  )


def generations(
  ours_BxN: np.ndarray, reference_BxN: np.ndarray, margin_BxN: np.ndarray
) -> tuple[int, int]:
  """Compares greedy generations.

  Args:
    ours_BxN: our tokens.
    reference_BxN: the reference's.
    margin_BxN: of the reference's choices.

  Returns:
    How many rows are equal, and how many differ first at a choice whose margin
    is above that of float32 in `BOUNDS`. Those left parted at a near tie.
  """
  apart = ours_BxN != reference_BxN
  parted = apart.any(1)
  first = apart.argmax(1)
  rows = np.arange(len(apart))
  clear = margin_BxN[rows, first] > BOUNDS['float32'].margin
  return int(np.sum(~parted)), int(np.sum(parted & clear))

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Training of sparse autoencoders, one a layer, all layers at once.

Source of the method: TopK with an auxiliary loss for dead features is of Gao et
al. 2024 (arXiv 2406.04093). `jumprelu` is trained as BatchTopK of Bussmann et
al. 2024 (arXiv 2412.06410): in a batch of B rows the B * k highest values fire,
and what the lowest of them are on average becomes the threshold.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import topk
from selfexplain_jax.distributed import axis_rules

# Halvings of the interval in which a batch's threshold is searched for.
_HALVINGS = 18

# Rows of the sample that show how long the encoder's columns should be.
_FACTOR_ROWS = 2048


@dataclasses.dataclass(frozen=True)
class Settings:
  """What a dictionary is trained for.

  Attributes:
    features: S.
    kind: 'topk' or 'jumprelu'.
    k: features that fire for a row; on average, in `jumprelu`.
    dead_after: rows without firing that make a feature dead.
    auxiliary_k: dead features that fire for a row in the auxiliary loss.
    auxiliary_weight: of that loss.
    threshold_rate: of the moving average that becomes the threshold.

  Raises:
    errors.InputError: for another kind, or more firing features than there are.
  """

  features: int
  kind: str
  k: int
  dead_after: int
  auxiliary_k: int
  auxiliary_weight: float
  threshold_rate: float

  def __post_init__(self):
    if self.kind not in ('topk', 'jumprelu'):
      raise errors.InputError(
        f'a dictionary has kind {self.kind!r}: expected topk or jumprelu'
      )
    if not 1 <= self.k <= self.features:
      raise errors.InputError(
        f'a dictionary has k={self.k}: expected 1 to {self.features}, its '
        'features'
      )


class DictionaryState(NamedTuple):
  """The state of a run; a step maps it to its successor.

  Attributes:
    sae: the stacked dictionaries, of activations divided by `scale_L`.
    optimizer: the optimizer's memory.
    idle_LxS: i32[L, S], rows since each feature fired last.
    scale_L: f32[L].
  """

  sae: sae_lib.SparseAutoencoder
  optimizer: Any
  idle_LxS: jax.Array
  scale_L: jax.Array


def start(
  sample_RxLxD: jax.Array | np.ndarray,
  settings: Settings,
  optimizer: optax.GradientTransformation,
  key: jax.Array,
) -> DictionaryState:
  """Returns the state before the first step.

  The scale is the root of the mean square, over rows and D, of what is left of
  the activations without their mean, so that a loss is a share of variance. The
  decoder's bias is the mean, its rows are random directions, and the encoder is
  its transpose, times what makes the sample's reconstructions best.

  Args:
    sample_RxLxD: raw activations.
    settings: what is trained.
    optimizer: its memory begins here.
    key: of the directions.
  """

  @jax.jit
  def make(sample: jax.Array, key: jax.Array) -> DictionaryState:
    mean_LxD = jnp.mean(sample, 0)
    scale_L = jnp.sqrt(jnp.mean((sample - mean_LxD[None]) ** 2, (0, 2)))
    centred_RxLxD = (sample - mean_LxD[None]) / scale_L[None, :, None]
    layers, width = mean_LxD.shape
    decoder = _unit(jax.random.normal(key, (layers, settings.features, width)))
    # Features that are not orthogonal add up to far too much otherwise, and
    # most of a short run would go into unlearning it.
    factor_L = jax.vmap(functools.partial(_best_factor, k=settings.k), (0, 1))(
      decoder, centred_RxLxD
    )
    none = jnp.zeros(decoder.shape[:2], jnp.float32)
    sae = sae_lib.SparseAutoencoder(
      encoder_DxS=jnp.swapaxes(decoder, 1, 2) * factor_L[:, None, None],
      encoder_bias_S=none,
      decoder_SxD=decoder,
      decoder_bias_D=mean_LxD / scale_L[:, None],
      threshold_S=none,
      k=settings.k if settings.kind == 'topk' else None,
    )
    idle = jnp.zeros(none.shape, jnp.int32)
    return sae_lib.constrain(
      DictionaryState(sae, optimizer.init(sae), idle, scale_L)
    )

  return make(sample_RxLxD, key)


def _best_factor(
  decoder_SxD: jax.Array, centred_RxD: jax.Array, k: int
) -> jax.Array:
  """The factor of the encoder with the least squared error, f32[]."""
  centred_RxD = centred_RxD[:_FACTOR_ROWS]
  values = centred_RxD @ decoder_SxD.T
  fires = jnp.where(values > batch_threshold(values, k), values, 0.0)
  made = fires @ decoder_SxD
  return jnp.sum(made * centred_RxD) / jnp.sum(made * made)


def make_step(
  optimizer: optax.GradientTransformation, settings: Settings
) -> Callable:
  """Returns the compiled step from raw rows [B, L, D]; it donates its state.

  Its metrics are means over the layers: `loss`, the share of variance that is
  not reconstructed; `l0`, features that fire for a row; `dead`, the share of
  dead features.
  """

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: DictionaryState, rows_BxLxD: jax.Array):
    rows = axis_rules.constrain(rows_BxLxD, 'batch', None, None)
    x_LxBxD = jnp.swapaxes(rows, 0, 1) / state.scale_L[:, None, None]
    dead_LxS = state.idle_LxS > settings.dead_after
    (_, (found, rest)), gradient = jax.value_and_grad(_loss, has_aux=True)(
      state.sae, x_LxBxD, settings
    )
    # Added where there are dead features and not in the loss: what a condition
    # keeps for its gradient, all activations of features, it would also keep,
    # as zeros, where there are none.
    gradient = jax.lax.cond(
      jnp.any(dead_LxS),
      functools.partial(_with_dead, settings=settings),
      lambda gradient, *_: gradient,
      *(gradient, state.sae, x_LxBxD, rest, dead_LxS),
    )
    gradient = sae_lib.constrain(_tangent(gradient, state.sae))
    updates, memory = optimizer.update(gradient, state.optimizer, state.sae)
    sae = optax.apply_updates(state.sae, updates)
    rate = settings.threshold_rate
    # From the first batch on it is an average of what was seen.
    old = state.sae.threshold_S
    mixed = jnp.where(
      old > 0,
      (1 - rate) * old + rate * found.lowest_L[:, None],
      found.lowest_L[:, None],
    )
    sae = dataclasses.replace(
      sae,
      decoder_SxD=_unit(sae.decoder_SxD),
      threshold_S=old if sae.k else mixed,
    )
    idle = jnp.where(found.fired_LxS, 0, state.idle_LxS + rows.shape[0])
    metrics = {
      'loss': jnp.mean(found.unexplained_L),
      'l0': jnp.mean(found.l0_L),
      'dead': jnp.mean(dead_LxS, dtype=jnp.float32),
    }
    new = DictionaryState(sae, memory, idle, state.scale_L)
    return sae_lib.constrain(new), metrics

  return step


class _Found(NamedTuple):
  """What a batch shows, by layer."""

  unexplained_L: jax.Array
  l0_L: jax.Array
  lowest_L: jax.Array
  fired_LxS: jax.Array


class _Rest(NamedTuple):
  """What dead features are trained with.

  Attributes:
    values_LxBxS: what is encoded; None where it was not kept.
    error_LxBxD: what is not reconstructed.
  """

  values_LxBxS: jax.Array | None
  error_LxBxD: jax.Array


def _loss(
  stacked: sae_lib.SparseAutoencoder, x_LxBxD: jax.Array, settings: Settings
) -> tuple[jax.Array, tuple[_Found, _Rest]]:
  """Sum over the layers; each layer's gradient depends on it alone."""

  def by_features(reconstruct: Callable, sae: Any, x_BxD: jax.Array):
    made_BxD, fired_S, l0 = reconstruct(sae, x_BxD)
    error_BxD = x_BxD - made_BxD
    none = jnp.zeros((), jnp.float32)
    shown = _Found(jnp.mean(error_BxD**2), l0, none, fired_S)
    return shown, _Rest(None, error_BxD)

  def by_values(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array):
    values, lowest = _encoded(sae, x_BxD), jnp.zeros((), jnp.float32)
    if sae.k is None:
      lowest = batch_threshold(values, settings.k)
      fires = jnp.where(values > lowest, values, 0.0)
    else:
      fires = sae_lib.keep_highest(values, sae.k)
    l0 = jnp.mean(jnp.sum(fires > 0, 1, dtype=jnp.float32))
    error_BxD = x_BxD - sae_lib.decode(sae, fires)
    shown = _Found(jnp.mean(error_BxD**2), l0, lowest, jnp.any(fires > 0, 0))
    return shown, _Rest(values, error_BxD)

  if settings.kind == 'topk' and not _is_split():
    sparse = functools.partial(by_features, topk.sparse)
    dense = functools.partial(by_features, topk.dense)
    found, rest = jax.lax.platform_dependent(
      stacked,
      x_LxBxD,
      # What is taken by index is slower with an axis before it.
      cpu=lambda *each: jax.lax.map(lambda one: sparse(*one), each),
      default=jax.vmap(dense),
    )
  else:
    found, rest = jax.vmap(by_values)(stacked, x_LxBxD)
  return jnp.sum(found.unexplained_L), (found, rest)


def _encoded(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> jax.Array:
  """As `sae_lib.encoded`, with a gradient that takes a product less.

  The decoder's bias is the same for all rows, so that what comes back to it can
  be summed over them before the product with the encoder.
  """
  bias = jax.lax.stop_gradient(sae.decoder_bias_D)
  values = sae_lib.encoded(dataclasses.replace(sae, decoder_bias_D=bias), x_BxD)
  zero = (bias - sae.decoder_bias_D)[None] @ sae.encoder_DxS
  return values + zero


def _with_dead(
  gradient: sae_lib.SparseAutoencoder,
  stacked: sae_lib.SparseAutoencoder,
  x_LxBxD: jax.Array,
  rest: _Rest,
  dead_LxS: jax.Array,
  settings: Settings,
) -> sae_lib.SparseAutoencoder:
  """Adds the gradient of how badly dead features alone make up for errors."""

  def one(gradient, sae, x_BxD, rest, dead_S):
    values_BxS, encode_back = jax.vjp(lambda sae: _encoded(sae, x_BxD), sae)
    if rest.values_LxBxS is not None:
      values_BxS = rest.values_LxBxS

    def loss(values_BxS: jax.Array, decoder_SxD: jax.Array) -> jax.Array:
      values_BxS = jnp.where(dead_S[None], values_BxS, 0.0)
      lowest = batch_threshold(values_BxS, settings.auxiliary_k)
      fires = jnp.where(values_BxS > lowest, values_BxS, 0.0)
      unmade = jnp.mean((rest.error_LxBxD - fires @ decoder_SxD) ** 2)
      return settings.auxiliary_weight * jnp.where(jnp.any(dead_S), unmade, 0.0)

    of_values, of_decoder = jax.grad(loss, (0, 1))(values_BxS, sae.decoder_SxD)
    added = encode_back(of_values)[0]
    added = dataclasses.replace(
      added, decoder_SxD=added.decoder_SxD + of_decoder
    )
    return jax.tree.map(jnp.add, gradient, added)

  return jax.vmap(one)(gradient, stacked, x_LxBxD, rest, dead_LxS)


def _is_split() -> bool:
  """Whether rows of a dictionary that fire may be on other devices."""
  return jax.sharding.get_abstract_mesh().size > 1


def batch_threshold(values_BxS: jax.Array, k: int) -> jax.Array:
  """Returns the lowest threshold that B * k values at most are above, f32[].

  At least 0, and off by 2^-18 of the highest value at most. It is found by
  halving an interval: that takes no sorting, and over several devices no more
  than counts need to be exchanged.
  """
  values = jax.lax.stop_gradient(values_BxS)
  most = k * values.shape[0]

  def count(threshold: jax.Array) -> jax.Array:
    return jnp.sum(values > threshold, dtype=jnp.int32)

  def halve(carry: Any) -> Any:
    turn, low, high, fits = carry
    middle = (low + high) / 2
    found = count(middle)
    low = jnp.where(found > most, middle, low)
    high = jnp.where(found > most, high, middle)
    return turn + 1, low, high, jnp.where(found > most, fits, found)

  def unsettled(carry: Any) -> jax.Array:
    turn, _, high, fits = carry
    return (turn < _HALVINGS) & (fits < most) & (high > 0)

  zero = jnp.zeros((), jnp.float32)
  top = jnp.maximum(jnp.max(values), 0.0)
  # No search where all that is above 0 may fire.
  high = jnp.where(count(zero) <= most, zero, top)
  none = jnp.zeros((), jnp.int32)
  return jax.lax.while_loop(unsettled, halve, (none, zero, high, none))[2]


def _unit(rows: jax.Array) -> jax.Array:
  """Scales vectors along the last axis to length 1."""
  norm = jnp.linalg.norm(rows, axis=-1, keepdims=True)
  return rows / jnp.maximum(norm, 1e-8)


def _tangent(
  gradient: sae_lib.SparseAutoencoder, sae: sae_lib.SparseAutoencoder
) -> sae_lib.SparseAutoencoder:
  """Drops what would only change the lengths of the decoder's rows."""
  along = jnp.sum(gradient.decoder_SxD * sae.decoder_SxD, -1, keepdims=True)
  return dataclasses.replace(
    gradient, decoder_SxD=gradient.decoder_SxD - along * sae.decoder_SxD
  )


def export(state: DictionaryState, index: int) -> sae_lib.SparseAutoencoder:
  """Returns the dictionary of raw activations of one of the layers.

  What was divided by the scale is multiplied with it: activations of features
  have the units of raw activations, and the decoder's rows length 1.
  """
  sae, scale = state.sae.layer(index), state.scale_L[index]
  return dataclasses.replace(
    sae,
    encoder_bias_S=sae.encoder_bias_S * scale,
    decoder_bias_D=sae.decoder_bias_D * scale,
    threshold_S=sae.threshold_S * scale,
  )

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Projections: where the maps between two widths start.

An explainer of another width than its target reads vectors through a matrix
[E, D] for each layer block, which is trained with it (method B.2). A random one
has to be learnt from questions alone; ridge regression starts it at what best
turns the target's activations into the explainer's own on the same text.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import launches
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.models import decoder

KINDS = ('none', 'random', 'ridge')

_SITE = 'resid_post'
_BATCH = 8  # Rows run at once.


def check(kind: str, target_width: int, explainer_width: int) -> None:
  """Checks that vectors of one width can enter an explainer of another.

  Raises:
    errors.InputError: for an unknown kind, or for none where widths differ.
  """
  if kind not in KINDS:
    raise errors.InputError(
      f'unknown projection {kind!r}: expected one of {", ".join(KINDS)}'
    )
  if kind == 'none' and target_width != explainer_width:
    raise errors.InputError(
      f'the vectors are {target_width} wide: expected {explainer_width}, the '
      'width of the explainer, or a projection, random or ridge'
    )


def random(
  blocks: int, explainer_width: int, target_width: int, seed: int
) -> np.ndarray:
  """Returns random projections f32[C, E, D] that about keep mean squares."""
  rng = np.random.default_rng([seed, *b'projection'])
  shape = (blocks, explainer_width, target_width)
  return (rng.normal(size=shape) * target_width**-0.5).astype(np.float32)


def ridge(
  target_RxD: np.ndarray, explainer_RxE: np.ndarray, penalty: float
) -> np.ndarray:
  """Ridge regression of an explainer's activations on the target's.

  The matrix M [E, D] that minimises the sum of |e - M d|^2 over rows, plus
  lambda |M|^2. Nothing is centred: a projection has no bias and is applied to
  raw vectors, so the common mean is part of what it maps. lambda is `penalty`
  times the mean eigenvalue of the target's second moments; so it depends
  neither on the number of rows nor on the scale of activations, and rotating
  the target's coordinates by an orthogonal Q gives exactly M Q^T.

  Args:
    target_RxD: activations of the target.
    explainer_RxE: of the explainer, at the same tokens.
    penalty: above 0.

  Returns:
    f64[E, D].

  Raises:
    errors.InputError: if the penalty is not above 0.
  """
  if not penalty > 0:
    raise errors.InputError(
      f'the penalty of ridge is {penalty}: expected a number above 0'
    )
  d = target_RxD.astype(np.float64)
  e = explainer_RxE.astype(np.float64)
  moments = d.T @ d
  width = len(moments)
  weight = penalty * np.trace(moments) / width
  return np.linalg.solve(moments + weight * np.eye(width), d.T @ e).T


def paired_layer(layer: int, target_layers: int, explainer_layers: int) -> int:
  """The explainer's layer at the relative depth of one of the target's.

  After block l of L the depth is (l + 1) / L. The nearest is taken, of two the
  deeper one; so last goes to last, and equal depths pair layer by layer.
  """
  doubled = 2 * (layer + 1) * explainer_layers
  return max(0, (doubled + target_layers) // (2 * target_layers) - 1)


def paired_activations(
  target: decoder.Decoder,
  explainer: decoder.Decoder,
  tokens_RxT: np.ndarray,
  present_RxT: np.ndarray,
  layer_blocks: layer_blocks_lib.LayerBlocks,
) -> tuple[np.ndarray, np.ndarray]:
  """Runs both models over the same rows and reads their residual streams.

  What is read is `resid_post`, averaged over each layer block as vectors are,
  and in the explainer over the layers paired with them. The first token of a
  row is left out: nothing precedes it, no question shows it, and in many models
  its activations are so large that they would decide the fit.

  Args:
    target: the target.
    explainer: the initial explainer; of the same tokenizer.
    tokens_RxT: i32, rows of tokens, padded on the right.
    present_RxT: bool, which of them are no padding.
    layer_blocks: of the target.

  Returns:
    Activations of the target f32[C, N, D] and of the explainer f32[C, N, E],
    at the same N tokens.

  Raises:
    errors.InputError: for a layer that the target lacks.
  """
  kept = np.array(present_RxT, bool)
  kept[:, 0] = False
  own = [list(range(first, last + 1)) for first, last in layer_blocks.pairs]
  depths = target.config.layers, explainer.config.layers
  paired = [[paired_layer(i, *depths) for i in block] for block in own]
  return (
    _averages(target, tokens_RxT, own)[:, kept],
    _averages(explainer, tokens_RxT, paired)[:, kept],
  )


def ridge_start(
  target: decoder.Decoder,
  explainer: decoder.Decoder,
  tokens_RxT: np.ndarray,
  present_RxT: np.ndarray,
  layer_blocks: layer_blocks_lib.LayerBlocks,
  penalty: float,
) -> np.ndarray:
  """Returns the projections f32[C, E, D] that `ridge` gives for each block.

  Arguments are those of `paired_activations` and of `ridge`.

  Raises:
    errors.InputError: if there is no layer block, or as they do.
  """
  if not layer_blocks.pairs:
    raise errors.InputError(
      'no question shows a vector: expected layer blocks for a ridge projection'
    )
  pairs = paired_activations(
    target, explainer, tokens_RxT, present_RxT, layer_blocks
  )
  found = [ridge(d, e, penalty) for d, e in zip(*pairs, strict=True)]
  return np.stack(found).astype(np.float32)


def _averages(
  model: decoder.Decoder, tokens_RxT: np.ndarray, blocks: list[list[int]]
) -> np.ndarray:
  """Residual streams averaged over blocks of layers, f32[C, R, T, D]."""
  layers = sorted(set(sum(blocks, [])))
  share = np.zeros((len(blocks), len(layers)), np.float32)
  for i, block in enumerate(blocks):
    for layer in block:  # Two of the target's may be paired with one.
      share[i, layers.index(layer)] += 1 / len(block)
  rows, length = tokens_RxT.shape
  positions = np.tile(np.arange(length), (_BATCH, 1))
  capture = capture_lib.build(model.config, (_SITE,), tuple(layers), positions)
  # One program for all batches.
  padded = np.pad(tokens_RxT, ((0, -rows % _BATCH), (0, 0)))
  calls = (
    functools.partial(_run, model, padded[i : i + _BATCH], capture, share)
    for i in range(0, rows, _BATCH)
  )
  return np.concatenate(list(launches.fetched(calls)), 1)[:, :rows]


@jax.jit
def _run(model, tokens_BxT, capture, share_CxL):
  _, kept = decoder.forward(model, tokens_BxT, tap=capture)
  resid = kept[_SITE].astype(jnp.float32)
  return jnp.einsum('cl,lbtd->cbtd', share_CxL, resid, precision='highest')

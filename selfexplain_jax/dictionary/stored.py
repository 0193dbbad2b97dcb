# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A dictionary that stays in its files: parts of it are read when asked for.

Files say in their own way what a dictionary does with an activation x. All that
are read here do this, for feature i with encoder column E_i, biases b_i and c,
decoder row W_i and threshold t_i:

  p_i = (x * scale_in - [c]) . E_i + b_i        q_i = p_i * [|W_i|]
  i fires if q_i > t_i and q_i > 0, or if q_i is among the k highest
  reconstruction = (sum of p_i * W_i over those that fire, + c) / scale_out

where what stands in [] is not there in all. It is folded, exactly, into what
`sparse_autoencoder` does with raw activations: scales go into the weights, the
biases and the thresholds alike, and norms into the thresholds, or into encoder
and decoder.
"""

from collections.abc import Callable, Iterator
import dataclasses
import functools
import hashlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.distributed import hosts

# Values of a matrix that are held at a time where all of it is gone through.
_CHUNK = 1 << 24


@dataclasses.dataclass(frozen=True)
class Tensors:
  """The weights as the files have them, of any float type, unread as yet."""

  encoder_DxS: np.ndarray
  encoder_bias_S: np.ndarray
  decoder_SxD: np.ndarray
  decoder_bias_D: np.ndarray
  threshold_S: np.ndarray


@dataclasses.dataclass(frozen=True)
class Stored:
  """A dictionary in files.

  Attributes:
    folder: where it is, for messages.
    format: of which format it is.
    width: D.
    features: S.
    tensors: opens the files.
    parts: the files that hold it, in a fixed order.
    hook: TransformerLens' name of what it reads and writes; '' if unknown.
    model: what the files say that it is of; '' if they do not.
    k: of `topk`, else None.
    scale_in: of activations.
    scale_out: of reconstructions.
    subtracts_bias: whether the decoder's bias is subtracted from activations.
    norms: 'none'; 'scores', where q_i has the norm of W_i in it; 'values',
      where it is what the feature's activation is said to be besides, and W_i
      is divided by it.
    unit: what activations of features are multiplied by, beside norms.
  """

  folder: str
  format: str
  width: int
  features: int
  tensors: Callable[[], Tensors]
  parts: tuple[files.PathLike, ...] = ()
  hook: str = ''
  model: str = ''
  k: int | None = None
  scale_in: float = 1.0
  scale_out: float = 1.0
  subtracts_bias: bool = True
  norms: str = 'none'
  unit: float = 1.0

  def load(self) -> sae_lib.SparseAutoencoder:
    """Reads all of it, sharded over the mesh that is set, if there is one.

    Each device gets its part straight from the files.

    Raises:
      errors.InputError: if a weight is not finite.
    """
    folded = _Folded(self, None)
    shapes = {
      'encoder_DxS': (self.width, self.features),
      'encoder_bias_S': (self.features,),
      'decoder_SxD': (self.features, self.width),
      'decoder_bias_D': (self.width,),
      'threshold_S': (self.features,),
    }
    arrays = {
      name: sae_lib.place(name, shape, functools.partial(folded.part, name))
      for name, shape in shapes.items()
    }
    return sae_lib.SparseAutoencoder(**arrays, k=self.k)

  def choose(self, index: np.ndarray) -> sae_lib.SparseAutoencoder:
    """Returns a dictionary of some features alone; only they are read.

    Args:
      index: i[n], which, in any order.

    Raises:
      errors.InputError: if features compete (`topk`), so that one alone says
        nothing; or if a weight is not finite, or there is no such feature.
    """
    if self.k is not None:
      raise errors.InputError(
        f'{self.folder} is of kind topk: expected jumprelu where features are '
        'read one by one'
      )
    folded = _Folded(self, self._checked(index))
    every = slice(None)
    return sae_lib.SparseAutoencoder(
      encoder_DxS=jnp.asarray(folded.encoder_DxS(every, every)),
      encoder_bias_S=jnp.asarray(folded.encoder_bias_S(every)),
      decoder_SxD=jnp.asarray(folded.decoder_SxD(every, every)),
      decoder_bias_D=jnp.asarray(folded.decoder_bias_D(every)),
      threshold_S=jnp.asarray(folded.threshold_S(every)),
    )

  def directions(self, index: np.ndarray) -> np.ndarray:
    """Returns decoder rows f32[n, D] of features i[n]; only they are read.

    Raises:
      errors.InputError: as `choose`, but for `topk`.
    """
    folded = _Folded(self, self._checked(index))
    return folded.decoder_SxD(slice(None), slice(None))

  def _checked(self, index: np.ndarray) -> np.ndarray:
    index = np.asarray(index, np.int64)
    wrong = index[(index < 0) | (index >= self.features)]
    if len(wrong):
      raise errors.InputError(
        f'{self.folder} has no feature {wrong[0]}: expected 0 to '
        f'{self.features - 1}'
      )
    return index

  def check(self) -> None:
    """Reads all weights once, a part at a time.

    Raises:
      errors.InputError: if one is not finite.
    """
    tensors = self.tensors()
    for name, value in vars(tensors).items():
      flat = value if value.ndim == 2 else value[None]
      # Along the axis that is contiguous in the file.
      flat = flat.T if abs(flat.strides[0]) < abs(flat.strides[1]) else flat
      rows = max(1, _CHUNK // flat.shape[1])
      for start in range(0, len(flat), rows):
        self.finite(name, flat[start : start + rows])

  def finite(self, name: str, value: np.ndarray) -> np.ndarray:
    """Returns a part of a tensor in float32.

    Raises:
      errors.InputError: if not all of it is finite.
    """
    out = np.asarray(value).astype(np.float32)
    if not np.isfinite(out).all():
      raise errors.InputError(
        f'{self.folder}: {name.rsplit("_", 1)[0]} has values that are not '
        'finite: expected none'
      )
    return out

  def digest(self) -> str:
    """Returns the SHA-256 of its files, hex; a part is held at a time."""
    state = hashlib.sha256()
    for part in self.parts:
      name = files.path(part)
      state.update(int(name.stat().length).to_bytes(8, 'little'))
      with name.open('rb') as file:
        while content := file.read(_CHUNK):
          state.update(content)
    return state.hexdigest()


class _Folded:
  """Features of a stored dictionary, as they act on raw activations.

  Its methods return parts of the arrays of `sparse_autoencoder`, by slices.
  """

  def __init__(self, stored: Stored, index: np.ndarray | None):
    """Opens the files; an index of None stands for all features."""
    tensors = stored.tensors()
    # Part of what is mapped is read by an index, and nothing yet by a slice.
    own: Any = slice(None) if index is None else index
    self._stored = stored
    self._tensors = Tensors(
      encoder_DxS=tensors.encoder_DxS[:, own],
      encoder_bias_S=tensors.encoder_bias_S[own],
      decoder_SxD=tensors.decoder_SxD[own],
      decoder_bias_D=tensors.decoder_bias_D,
      threshold_S=tensors.threshold_S[own],
    )

  def part(self, name: str, at: tuple[slice, ...]) -> np.ndarray:
    """Returns a part of the array called `name`, f32."""
    return getattr(self, name)(*at)

  def encoder_DxS(self, d: slice, s: slice) -> np.ndarray:
    factor_S = (self._stored.scale_in * self._factor_S[s]).astype(np.float32)
    return self._read('encoder_DxS', d, s) * factor_S

  def encoder_bias_S(self, s: slice) -> np.ndarray:
    stored = self._stored
    bias = self._read('encoder_bias_S', s)
    # `sparse_autoencoder` subtracts the bias that it adds to reconstructions.
    left = stored.scale_in / stored.scale_out - float(stored.subtracts_bias)
    if left:
      centre_D = self._read('decoder_bias_D', slice(None))
      products = [
        centre_D @ self._read('encoder_DxS', slice(None), part)
        for part in self._parts(s)
      ]
      bias = bias + np.float32(left) * np.concatenate(products)
    return bias * self._factor_S[s].astype(np.float32)

  def decoder_SxD(self, s: slice, d: slice) -> np.ndarray:
    factor_S = (self._factor_S[s] * self._stored.scale_out).astype(np.float32)
    rows = self._read('decoder_SxD', s, d)
    return rows / np.where(factor_S == 0, np.float32(1), factor_S)[:, None]

  def decoder_bias_D(self, d: slice) -> np.ndarray:
    scale = np.float32(self._stored.scale_out)
    return self._read('decoder_bias_D', d) / scale

  def threshold_S(self, s: slice) -> np.ndarray:
    threshold = self._read('threshold_S', s)
    if self._stored.norms != 'none':
      # What has no direction is worth 0, which is above no threshold.
      norm_S = self._norm_S[s]
      low = np.maximum(threshold, 0) / np.where(norm_S > 0, norm_S, 1)
      threshold = np.where(norm_S > 0, low, np.inf)
    factor_S = self._factor_S[s]
    return (threshold * np.where(factor_S > 0, factor_S, 1)).astype(np.float32)

  @functools.cached_property
  def _norm_S(self) -> np.ndarray:
    """Lengths of the files' decoder rows."""
    return np.concatenate(
      [
        np.linalg.norm(self._read('decoder_SxD', part, slice(None)), axis=1)
        for part in self._parts(slice(None))
      ]
    )

  @functools.cached_property
  def _factor_S(self) -> np.ndarray:
    """What the activation of each feature is, in terms of p_i, in float64.

    So products of scales that make up 1 are 1 once they are rounded.
    """
    unit = np.full(len(self._tensors.encoder_bias_S), self._stored.unit)
    return unit * self._norm_S if self._stored.norms == 'values' else unit

  def _parts(self, s: slice) -> Iterator[slice]:
    """Cuts features into slices of which a matrix may be held."""
    start, stop, _ = s.indices(len(self._tensors.encoder_bias_S))
    size = max(1, _CHUNK // self._stored.width)
    for at in range(start, stop, size):
      yield slice(at, min(at + size, stop))

  def _read(self, name: str, *at: slice) -> np.ndarray:
    return self._stored.finite(name, getattr(self._tensors, name)[at])


def held(
  sae: sae_lib.SparseAutoencoder, hook: str = '', model: str = ''
) -> Stored:
  """Returns a dictionary that is in memory as if it were stored."""
  arrays = {
    field.name: np.asarray(hosts.fetch(getattr(sae, field.name)))
    for field in dataclasses.fields(Tensors)
  }
  return Stored(
    folder='memory',
    format='memory',
    width=sae.decoder_SxD.shape[1],
    features=sae.features,
    tensors=lambda: Tensors(**arrays),
    hook=hook,
    model=model,
    k=sae.k,
  )

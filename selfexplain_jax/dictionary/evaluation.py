# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a dictionary is worth: sparsity, variance, and the target's loss.

The first position of a document, BOS, is neither encoded nor replaced nor
counted: its activation is the same everywhere and unlike any other.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import progress
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.models import decoder
from selfexplain_jax.training import language_modelling


@dataclasses.dataclass(frozen=True)
class Documents:
  """N documents that no dictionary was trained on.

  Attributes:
    tokens: i32[N, T], BOS first, padded on the right.
    length: i32[N], tokens of each.
    weights: f32[N, T], of the loss of each token; 0 for padding.
  """

  tokens: np.ndarray
  length: np.ndarray
  weights: np.ndarray

  def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields all in batches of `size`; rows that fill up the last do nothing.

    Each has `tokens`, `weights` and `seen`, bool, the positions that count.
    """
    position = np.arange(self.tokens.shape[1])
    seen = (position > 0) & (position < self.length[:, None])
    for start in range(0, len(self.tokens), size):
      rows = np.arange(start, start + size)
      real = (rows < len(self.tokens))[:, None]
      rows %= len(self.tokens)
      yield {
        'tokens': self.tokens[rows],
        'weights': np.where(real, self.weights[rows], np.float32(0)),
        'seen': seen[rows] & real,
      }


def whole_documents(tokens_NxT: np.ndarray) -> Documents:
  """Returns documents without padding, whose losses all weigh the same."""
  count, length = tokens_NxT.shape
  return Documents(
    tokens_NxT,
    np.full(count, length, np.int32),
    np.ones((count, length), np.float32),
  )


class Sums(NamedTuple):
  """Sums over seen positions of one layer.

  Attributes:
    fired_S: i32[S], how often each feature fired.
    residual: f32[], squared distances of reconstructions.
    moved_D: f32[D], activations minus the decoder's bias, which is about their
      mean, so that little is lost in the variance.
    square: f32[], the squared lengths of these.
  """

  fired_S: jax.Array
  residual: jax.Array
  moved_D: jax.Array
  square: jax.Array


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('sae', 'layer', 'seen', 'mean', 'ablate'),
  meta_fields=('site',),
)
@dataclasses.dataclass(frozen=True)
class Splice:
  """Replaces a layer's activations, as a tap of `decoder.forward`.

  Attributes:
    sae: what reconstructs them.
    layer: i32[]; -1 for none.
    seen: bool[B, T], positions that are replaced and counted.
    mean: f32[D], what they are replaced with if `ablate`.
    ablate: bool[].
    site: name of the site.
  """

  sae: sae_lib.SparseAutoencoder
  layer: jax.Array
  seen: jax.Array
  mean: jax.Array
  ablate: jax.Array
  site: str

  def start(self, tokens_BxT: jax.Array) -> Sums:
    """Returns sums of nothing."""
    del tokens_BxT
    features, width = self.sae.decoder_SxD.shape
    zero = jnp.zeros((), jnp.float32)
    return Sums(
      jnp.zeros(features, jnp.int32), zero, jnp.zeros(width, jnp.float32), zero
    )

  def visit(
    self, sums: Sums, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[Sums, jax.Array]:
    """Replaces and sums up, if it is this site and layer."""
    if site != self.site:
      return sums, value
    return jax.lax.cond(
      layer == self.layer, self._replace, lambda s, v: (s, v), sums, value
    )

  def _replace(self, sums: Sums, value: jax.Array) -> tuple[Sums, jax.Array]:
    del sums  # A layer is passed once.
    x = value.astype(jnp.float32)
    features = sae_lib.encode(self.sae, x)
    made = sae_lib.decode(self.sae, features)
    seen = self.seen[..., None]
    moved = jnp.where(seen, x - self.sae.decoder_bias_D[None, None], 0.0)
    found = Sums(
      fired_S=jnp.sum((features > 0) & seen, (0, 1), dtype=jnp.int32),
      residual=jnp.sum(jnp.where(seen, x - made, 0.0) ** 2),
      moved_D=jnp.sum(moved, (0, 1)),
      square=jnp.sum(moved**2),
    )
    mean = jnp.broadcast_to(self.mean[None, None], made.shape)
    new = jnp.where(self.ablate, mean, made)
    return found, jnp.where(seen, new.astype(value.dtype), value)


@functools.partial(jax.jit, static_argnames=('site',))
def _run(
  model: decoder.Decoder,
  batch: dict[str, jax.Array],
  sae: sae_lib.SparseAutoencoder,
  layer: jax.Array,
  mean_D: jax.Array,
  ablate: jax.Array,
  site: str,
) -> tuple[jax.Array, Sums]:
  """Returns the weighted sum of next-token losses, f32[], and what is seen."""
  tokens, weights = batch['tokens'], batch['weights'][:, 1:]
  tap = Splice(sae, layer, batch['seen'], mean_D, ablate, site)
  hidden, sums = decoder.forward(model, tokens, tap=tap)
  losses = language_modelling.cross_entropy(
    model, hidden[:, :-1], tokens[:, 1:]
  )
  return jnp.sum(losses * weights), sums


def _total(
  model: decoder.Decoder,
  documents: Documents,
  batch: int,
  sae: sae_lib.SparseAutoencoder,
  site: str,
  layer: int,
  mean_D: np.ndarray | None = None,
) -> tuple[float, Sums]:
  """Runs all documents.

  Returns:
    The weighted mean loss in nats, and the sums, in float64 or int64.
  """
  ablated = np.zeros(sae.decoder_SxD.shape[1]) if mean_D is None else mean_D
  loss, sums = 0.0, []
  for one in documents.batches(batch):
    preemption.check()  # It keeps nothing: all of it is done again.
    made = _run(
      model,
      one,
      sae,
      jnp.asarray(layer, jnp.int32),
      jnp.asarray(ablated, jnp.float32),
      jnp.asarray(mean_D is not None),
      site,
    )
    part, seen = hosts.fetch(made)
    loss += float(part)
    sums.append(jax.tree.map(lambda x: np.asarray(x).astype(_wide(x)), seen))
  weight = float(documents.weights[:, 1:].sum(dtype=np.float64))
  return loss / weight, jax.tree.map(lambda *parts: sum(parts), *sums)


def _wide(x: Any) -> type:
  return np.int64 if np.issubdtype(np.asarray(x).dtype, np.integer) else float


def evaluate(
  model: decoder.Decoder,
  dictionaries: Mapping[int, sae_lib.SparseAutoencoder],
  site: str,
  documents: Documents,
  batch: int,
) -> dict[int, dict[str, float]]:
  """Measures dictionaries on documents.

  Args:
    model: the target.
    dictionaries: by layer; at least one.
    site: of the activations, a site with layers.
    documents: which none of them has seen.
    batch: documents at a time.

  Returns:
    By layer:
    - `rows`: positions that were counted;
    - `l0`: features that fire, on average over rows;
    - `variance_explained`: 1 - squared error / squared distance from the mean;
    - `dead_share`: of the features, those that fire in no row;
    - `clean_loss`, `spliced_loss`, `mean_ablated_loss`: the target's next-token
      loss in nats, a weighted mean; with all rows of the layer replaced by
      their reconstructions, and by the mean of the rows;
    - `loss_recovered`: (mean ablated - spliced) / (mean ablated - clean).
  """
  run = functools.partial(_total, model, documents, batch)
  rows = sum(int(one['seen'].sum()) for one in documents.batches(batch))
  clean, _ = run(next(iter(dictionaries.values())), site, -1)
  found = {}
  items = progress.track(dictionaries.items(), len(dictionaries), 'layers')
  for layer, sae in items:
    spliced, sums = run(sae, site, layer)
    moved_D = sums.moved_D / rows
    variance = sums.square - rows * float(moved_D @ moved_D)
    mean_D = moved_D + hosts.fetch(sae.decoder_bias_D)
    ablated, _ = run(sae, site, layer, mean_D)
    found[layer] = {
      'rows': rows,
      'l0': float(sums.fired_S.sum()) / rows,
      'variance_explained': float(1 - sums.residual / variance),
      'dead_share': float(np.mean(sums.fired_S == 0)),
      'clean_loss': clean,
      'spliced_loss': spliced,
      'mean_ablated_loss': ablated,
      'loss_recovered': (ablated - spliced) / (ablated - clean),
    }
  return found

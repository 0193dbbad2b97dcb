# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Labels of features of a model of the world: the concept that fits best.

The label of a feature is the description whose indicator has the highest
correlation with the feature's activations over all tokens but special ones. Two
concepts that both hold are said only where that predicts clearly better than
any one. Where nothing does, a feature has no label.

Scores of descriptions belong on other documents than those of the labels: a
label is the best of hundreds, and so flattered here.

Letters: C concepts, N tokens, F features.
"""

from collections.abc import Iterable
import dataclasses

import numpy as np
import scipy  # Its parts are loaded where they are first used.

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import labels
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts

# How much better two concepts must predict than the best one alone.
_MARGIN = 0.02
# So many of each feature's best concepts are tried together with every other.
_LEADS = 12
# A description that holds at fewer tokens is no candidate: it fits by chance.
_SUPPORT = 10
# Correlations that differ by less are equal; what is simpler is then said.
_DECIMALS = 9
# A feature whose variance is a smaller part of its mean square is constant.
_CONSTANT = 1e-12


@dataclasses.dataclass(frozen=True)
class ConceptLabeller:
  """Labels features with concepts of the world; a `labels.Labeller`.

  It holds, of everything it reads, 12 bytes for each activation above 0 and a
  byte for each concept and token.

  Attributes:
    world: the world.
    tokenizer: the world's tokenizer.
    threshold: the least correlation of a label.
  """

  world: facts.World
  tokenizer: tokenizer_lib.Tokenizer
  threshold: float = 0.5

  def __post_init__(self):
    if not 0 < self.threshold <= 1:
      raise errors.InputError(
        f'labels have threshold={self.threshold}: expected a correlation above'
        ' 0, at most 1'
      )

  def label(self, batches: Iterable[labels.Batch]) -> labels.Labels:
    """Labels all features; equal tokens give equal labels in any batches.

    Raises:
      errors.InputError: if there is no token, or if an activation is negative
        or not finite, or if shapes do not agree.
    """
    every = concepts.all_concepts(self.world)
    words_C = np.array([len(c.description.split()) for c in every])
    holds_CxN, fires_NxF = self._read(batches, [c.description for c in every])
    r_F, pair_2xF = _search(holds_CxN, fires_NxF, words_C)
    precision_F = _average_precision(holds_CxN, fires_NxF, pair_2xF)

    text: list[str | None] = []
    names: list[str | None] = []
    good_F = r_F >= self.threshold
    for good, pair in zip(good_F.tolist(), pair_2xF.T.tolist(), strict=True):
      parts = [every[i] for i in sorted(set(pair))]
      said = labels.AND.join(part.description for part in parts)
      text.append(said if good else None)
      names.append('+'.join(part.name for part in parts) if good else None)
    return labels.Labels(
      text=tuple(text),
      concept=tuple(names),
      correlation=r_F,
      average_precision=np.where(r_F > 0, precision_F, 0),
    )

  def _read(
    self, batches: Iterable[labels.Batch], texts: list[str]
  ) -> 'tuple[np.ndarray, scipy.sparse.csr_array]':
    """Returns where concepts hold, bool [C, N], and features fire, [N, F]."""
    special = [self.tokenizer.id_of(t) for t in self.tokenizer.special.values()]
    holds, fires = [], []
    for batch in batches:
      tokens_BxT = np.asarray(batch.tokens_BxT)
      kept = ~np.isin(tokens_BxT, special)
      activations = _checked(batch.activations_BxTxF, tokens_BxT.shape)[kept]
      executor = descriptions.Executor(self.world, self.tokenizer, tokens_BxT)
      holds.append(np.stack([executor.holds(text)[kept] for text in texts]))
      # Sums are of float64, so that no concept is ahead by rounding.
      fires.append(scipy.sparse.csr_array(activations).astype(np.float64))
    if not sum(len(part[0]) for part in holds):
      raise errors.InputError('labels: expected at least one token, got none')
    widths = sorted({part.shape[1] for part in fires})
    if len(widths) > 1:
      raise errors.InputError(
        f'labels: expected batches of equally many features, got {widths}'
      )
    return np.concatenate(holds, 1), scipy.sparse.vstack(fires, format='csr')


def _checked(activations: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Returns activations of documents of a shape, if they can be used."""
  found = np.asarray(activations, np.float32)
  if found.ndim != 3 or found.shape[:2] != shape:
    raise errors.InputError(
      f'labels: expected activations [B, T, F] of tokens {list(shape)}, got'
      f' shape {list(found.shape)}'
    )
  # Written so that NaN fails.
  if found.size and not (found.min() >= 0 and found.max() < np.inf):
    raise errors.InputError(
      'labels: expected finite activations of at least 0, got'
      f' {found.min()} to {found.max()}'
    )
  return found


@dataclasses.dataclass(frozen=True)
class _Moments:
  """Sums over all tokens of each feature's activations and their squares."""

  tokens: int
  sum_F: np.ndarray
  square_sum_F: np.ndarray

  @classmethod
  def of(cls, fires_NxF: 'scipy.sparse.csr_array') -> '_Moments':
    return cls(
      fires_NxF.shape[0], fires_NxF.sum(0), fires_NxF.multiply(fires_NxF).sum(0)
    )

  def correlation(
    self, product_CxF: np.ndarray, count_CxF: np.ndarray
  ) -> np.ndarray:
    """Returns Pearson's r of descriptions and features, float64 [C, F].

    Args:
      product_CxF: the sum of activations where the description holds.
      count_CxF: at how many tokens it holds, [C, F] or [C, 1].

    Returns:
      r, rounded so that equal fits are equal; 0 for constant features and for
      descriptions that hold at too few tokens or at all.
    """
    n = self.tokens
    covariance_CxF = n * product_CxF - count_CxF * self.sum_F
    variance_CxF = count_CxF * (n - count_CxF)
    variance_F = n * self.square_sum_F - self.sum_F**2
    defined_CxF = (count_CxF >= _SUPPORT) & (variance_CxF > 0)
    defined_CxF = defined_CxF & (variance_F > _CONSTANT * n * self.square_sum_F)
    scale_CxF = np.sqrt(np.where(defined_CxF, variance_CxF * variance_F, 1))
    r_CxF = np.where(defined_CxF, covariance_CxF / scale_CxF, 0)
    return np.round(r_CxF, _DECIMALS)


def _search(
  holds_CxN: np.ndarray,
  fires_NxF: 'scipy.sparse.csr_array',
  words_C: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the description that fits each feature best.

  Args:
    holds_CxN: bool [C, N], where each concept holds.
    fires_NxF: [N, F], the activations.
    words_C: int [C], how many words each concept's description has: of equally
      good ones the shortest is taken, and of those the first.

  Returns:
    Its correlation, float64 [F], and its two concepts, int [2, F], which are
    the same where it is one.
  """
  features = np.arange(fires_NxF.shape[1])
  holds = scipy.sparse.csr_array(holds_CxN).astype(np.float64)
  together_CxC = (holds @ holds.T).toarray()
  moments = _Moments.of(fires_NxF)

  r_CxF = moments.correlation(
    (holds @ fires_NxF).toarray(), together_CxC.diagonal()[:, None]
  )
  words_CxF = np.broadcast_to(words_C[:, None], r_CxF.shape)
  # The sort is stable, so what is left equal stays in the order of concepts.
  ranked_CxF = np.lexsort((words_CxF, -r_CxF), axis=0)
  one_F = ranked_CxF[0]
  one_r_F = r_CxF[one_F, features]

  two_r_F = np.full(len(features), -1.0)
  cost_F = np.zeros(len(features), np.int64)
  pair_2xF = np.stack([one_F, one_F])
  entries = fires_NxF.tocoo()
  for lead_F in ranked_CxF[:_LEADS]:
    # What is left of the activations where the lead holds: with these, every
    # other concept is a conjunction with the lead. With itself it is one
    # concept, which no margin lets win.
    left = holds_CxN[lead_F[entries.col], entries.row]
    left_NxF = scipy.sparse.csr_array(
      (entries.data[left], (entries.row[left], entries.col[left])),
      entries.shape,
    )
    r_CxF = moments.correlation(
      (holds @ left_NxF).toarray(), together_CxC[:, lead_F]
    )
    partner_F, least_F = _simplest(r_CxF, words_C, lead_F)
    r_F = r_CxF[partner_F, features]
    better_F = (r_F > two_r_F) | ((r_F == two_r_F) & (least_F < cost_F))
    two_r_F = np.where(better_F, r_F, two_r_F)
    cost_F = np.where(better_F, least_F, cost_F)
    pair_2xF = np.where(better_F, [lead_F, partner_F], pair_2xF)

  together_F = two_r_F > one_r_F + _MARGIN
  return (
    np.where(together_F, two_r_F, one_r_F),
    np.where(together_F, pair_2xF, one_F),
  )


def _simplest(
  r_CxF: np.ndarray, words_C: np.ndarray, lead_F: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns each lead's best partner, and what decides between equal pairs.

  That is the number of words, then the earlier concept, then the later one, as
  one number.
  """
  size = len(words_C)
  places_Cx1 = np.arange(size)[:, None]
  cost_CxF = words_C[:, None] + words_C[lead_F]
  cost_CxF = cost_CxF * size + np.minimum(places_Cx1, lead_F)
  cost_CxF = cost_CxF * size + np.maximum(places_Cx1, lead_F)
  tied_CxF = r_CxF == r_CxF.max(0)
  cost_CxF = np.where(tied_CxF, cost_CxF, np.iinfo(cost_CxF.dtype).max)
  return cost_CxF.argmin(0), cost_CxF.min(0)


def _average_precision(
  holds_CxN: np.ndarray,
  fires_NxF: 'scipy.sparse.csr_array',
  pair_2xF: np.ndarray,
) -> np.ndarray:
  """Returns the average precision of each feature as a detector, float64 [F].

  It finds the tokens at which the feature's two concepts hold. Tokens are
  ranked by activation; those of one activation, such as all silent ones, are
  retrieved together.
  """
  tokens, features = fires_NxF.shape
  columns = fires_NxF.tocsc()
  feature = np.repeat(np.arange(features), np.diff(columns.indptr))
  order = np.lexsort((-columns.data, feature))
  value = columns.data[order]
  hit = holds_CxN[pair_2xF[:, feature], columns.indices[order]].all(0)

  # The last token of each activation; the last one of a feature is one, too.
  last = np.ones(len(value), bool)
  last[:-1] = (np.diff(feature) > 0) | (np.diff(value) != 0)
  feature = feature[last]
  so_far = np.cumsum(hit)[last]  # over all features
  hits = np.diff(so_far, prepend=0)
  hits_F = np.bincount(feature, hits, features)
  found = so_far - (np.cumsum(hits_F) - hits_F)[feature]
  retrieved = np.flatnonzero(last) + 1 - columns.indptr[feature]
  precision = np.bincount(feature, hits * found / retrieved, features)

  positives_F = (holds_CxN[pair_2xF[0]] & holds_CxN[pair_2xF[1]]).sum(1)
  precision += (positives_F - hits_F) * positives_F / tokens
  return precision / np.maximum(positives_F, 1)

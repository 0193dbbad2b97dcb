# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Documents that published descriptions are checked on."""

from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import corpora
from selfexplain_jax.published import features_layout
from selfexplain_jax.tasks import target as target_lib


def exemplars(
  folder: epath.Path,
  target: target_lib.Target,
  config: ml_collections.ConfigDict,
  layers: Sequence[int],
) -> tuple[np.ndarray | None, int]:
  """The exemplars of test features as documents, each once.

  Those that are padded are left out and counted.
  """
  rows: dict[tuple[int, ...], None] = {}
  padded = 0
  for ids, where in _rows(folder, config, layers):
    if not 0 <= ids.min() <= ids.max() < target.config.vocabulary:
      raise errors.InputError(
        f'{where} has the token id {ids.max()}: expected below '
        f'{target.config.vocabulary}, the vocabulary of {target.directory}'
      )
    bos, tokenizer = target.tokenizer.bos_id, target.tokenizer
    # Padding stands before the text.
    padding = [tokenizer.eos_id]
    if 'pad_token' in tokenizer.special:
      padding.append(tokenizer.special_id('pad_token'))
    for row in ids.reshape(-1, ids.shape[-1]).tolist():
      if row[0] in padding:
        padded += 1
        continue
      rows[tuple(row if bos in (None, row[0]) else [bos, *row])] = None
  if not rows:
    return None, padded
  most = max(len(row) for row in rows)
  whole = [row for row in rows if len(row) == most]
  return np.array(whole, np.int32), padded + len(rows) - len(whole)


def _rows(
  folder: epath.Path, config: ml_collections.ConfigDict, layers: Sequence[int]
) -> Iterator[tuple[np.ndarray, str]]:
  """Yields the exemplars of the test features of each layer."""
  for layer in layers:
    found = features_layout.exemplars(folder, 'test', layer, config.exemplars)
    if found is not None and found[1].size:
      yield found[1], f'{folder}/test/layer{layer}/max_seq_ids.npy'


def corpus(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> tuple[np.ndarray, dict[str, Any]]:
  """Documents of a text corpus, and a note of it."""
  asked = config.documents
  for name in ('scores', 'length'):
    if asked[name] < 2:
      raise errors.InputError(
        f'config.documents.{name} is {asked[name]}: expected at least 2'
      )
  if not config.corpus.files:
    raise errors.InputError(
      'there are no exemplars and --config.corpus.files is missing: expected '
      'text files that descriptions are checked on'
    )
  texts = corpora.named(config, target.directory, target.tokenizer)
  documents, end = corpora.whole(texts, 0, asked.scores, asked.length)
  return documents, {'corpus': texts.note(end)}

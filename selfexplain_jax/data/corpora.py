# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Corpora: documents by their index, as tokens of one model.

Whoever reads a corpus cuts documents to a length; shorter ones are padded, and
no two are ever joined. A document is a function of its index alone.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import grain
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import text_files
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.worlds.biographies import pretraining

Row = dict[str, np.ndarray]


class Document(NamedTuple):
  """A document, not padded.

  Attributes:
    ids: token ids, BOS first where the model has one; at least one.
    weights: f32, that of the loss of each token.
  """

  ids: list[int]
  weights: np.ndarray


class Corpus(Protocol):
  """Documents by their index, from 0.

  Attributes:
    name: what errors call it.
  """

  name: str

  def document(self, index: int, length: int) -> Document:
    """Returns a document, cut to `length` tokens.

    Raises:
      errors.InputError: if there is none, or it cannot be read.
    """
    ...

  def count(self, most: int) -> int:
    """Returns the number of documents, or `most` if there are more."""
    ...

  def note(self, end: int) -> dict[str, Any]:
    """Returns what tells the documents before `end` from those of others."""
    ...

  def prompts(self) -> prompts_lib.Prompts | None:
    """Questions about the corpus's facts; None if nobody knows any."""
    ...


class Biographies:
  """The corpus of a model of the world; it has no end."""

  def __init__(
    self, corpus: pretraining.Corpus, tokenizer: tokenizer_lib.Tokenizer
  ):
    self.name = f'the corpus of seed {corpus.corpus_seed}'
    self._corpus, self._tokenizer = corpus, tokenizer

  def document(self, index: int, length: int) -> Document:
    row = self._corpus.row(self._tokenizer, length, index)
    return Document(row['tokens'].tolist(), row['weights'])

  def count(self, most: int) -> int:
    return most

  def note(self, end: int) -> dict[str, Any]:
    del end  # All documents are functions of these.
    return {'source': 'biographies', **self._corpus.note}

  def prompts(self) -> prompts_lib.Prompts:
    return self._corpus.prompts(self._tokenizer)


def of_model(
  directory: files.PathLike, tokenizer: tokenizer_lib.Tokenizer
) -> Biographies:
  """Returns what a model of the world was pretrained on.

  Raises:
    errors.InputError: if nothing in its folder says so.
  """
  return Biographies(pretraining.load(directory), tokenizer)


class Texts:
  """Documents of text files; their losses all weigh the same."""

  def __init__(
    self, texts: text_files.TextFiles, tokenizer: tokenizer_lib.Tokenizer
  ):
    self.name = texts.pattern
    self._texts, self._tokenizer = texts, tokenizer

  def document(self, index: int, length: int) -> Document:
    text = self._texts[index]
    try:
      ids = self._tokenizer.encode_document(text)[:length]
    except errors.InputError as e:
      raise errors.InputError(f'{self._texts.where(index)} {e}') from e
    return Document(ids, np.ones(len(ids), np.float32))

  def count(self, most: int) -> int:
    return self._texts.count(most)

  def note(self, end: int) -> dict[str, Any]:
    return {'source': 'text', **self._texts.note(end)}

  def prompts(self) -> None:
    return None


def of_files(
  pattern: str, field: str, tokenizer: tokenizer_lib.Tokenizer
) -> Corpus:
  """Returns the documents of text files; see `text_files.TextFiles`.

  Raises:
    errors.InputError: if there are no such files, or none that can be read.
  """
  return Texts(text_files.TextFiles(pattern, field), tokenizer)


def named(
  config: ml_collections.ConfigDict,
  directory: files.PathLike,
  tokenizer: tokenizer_lib.Tokenizer,
) -> Corpus:
  """Returns the corpus that a configuration names.

  Args:
    config: with `corpus`, the `files` and the `field` of a text corpus; without
      it the corpus is the one that the model was pretrained on.
    directory: the model.
    tokenizer: the model's.

  Raises:
    errors.InputError: as `of_files` or `of_model`.
  """
  if 'corpus' in config:
    return of_files(config.corpus.files, config.corpus.field, tokenizer)
  return of_model(directory, tokenizer)


class _Window(grain.sources.RandomAccessDataSource):
  """Some documents of a corpus as a grain source."""

  def __init__(self, corpus: Corpus, start: int, count: int, length: int):
    self._corpus, self._start = corpus, start
    self._count, self._length = count, length

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> Document:
    return self._corpus.document(self._start + index, self._length)


def read(
  corpus: Corpus, start: int, count: int, length: int
) -> Iterator[Document]:
  """Yields documents `start`, `start + 1`, …, each cut to `length` tokens.

  Raises:
    errors.InputError: if there are not so many, before any is read.
  """
  found = corpus.count(start + count)
  if found < start + count:
    raise errors.InputError(
      f'{corpus.name} has {found} documents: expected at least '
      f'{start + count}, {count} from document {start} on'
    )
  dataset = grain.MapDataset.source(_Window(corpus, start, count, length))
  yield from dataset.to_iter_dataset(grain.ReadOptions(num_threads=0))


def whole(
  corpus: Corpus, start: int, count: int, length: int
) -> tuple[np.ndarray, int]:
  """Reads documents of at least `length` tokens, cut to that.

  What compares tokens with each other needs no padding then. Shorter documents
  are passed over.

  Args:
    corpus: the corpus.
    start: the first document that may be taken.
    count: how many are wanted, N.
    length: tokens of each, T.

  Returns:
    i32[N, T], and the index of the document after the last one taken.

  Raises:
    errors.InputError: if there are not so many.
  """
  taken: list[list[int]] = []
  index = start
  while len(taken) < count:
    if corpus.count(index + 1) <= index:
      raise errors.InputError(
        f'{corpus.name} has {len(taken)} documents of at least {length} tokens '
        f'from document {start} on: expected {count}'
      )
    ids = corpus.document(index, length).ids
    if len(ids) == length:
      taken.append(ids)
    index += 1
  return np.array(taken, np.int32), index


def row(corpus: Corpus, length: int, index: int) -> Row:
  """Returns a document as a row of training, padded with 0 on the right.

  Returns:
    `tokens` i32[length]; and `weights` f32[length], of the loss of each token,
    0 for padding.
  """
  document = corpus.document(index, length)
  padding = (0, length - len(document.ids))
  return {
    'tokens': np.pad(np.array(document.ids, np.int32), padding),
    'weights': np.pad(document.weights, padding),
  }

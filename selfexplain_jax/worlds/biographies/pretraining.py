# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What one model of the world has read, noted beside its weights."""

from collections.abc import Iterable
import dataclasses
import functools

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import prompts
from selfexplain_jax.worlds.biographies import vocabulary

_FILE = 'pretraining.json'


@dataclasses.dataclass(frozen=True)
class Corpus:
  """The corpus of a model.

  Attributes:
    corpus_seed: of the documents; two models of one seed read the same.
    known_seed: of which facts occur.
    people: in the world.
    world_seed: of the facts.
  """

  corpus_seed: int
  known_seed: int
  people: int
  world_seed: int

  @functools.cached_property
  def world(self) -> facts.World:
    """The world that the corpus tells of."""
    return facts.make_world(self.world_seed, self.people)

  @functools.cached_property
  def known(self) -> np.ndarray:
    """The facts that occur, bool [people, relations]."""
    return facts.known_facts(self.world, self.known_seed)

  def tokenizer(self, question_words: Iterable[str]) -> tokenizer_lib.Tokenizer:
    """The world's tokenizer, with the words of questions and descriptions."""
    words = {*question_words, *descriptions.words(self.world)}
    return vocabulary.build_tokenizer(self.world, words)

  def prompts(self, tokenizer: tokenizer_lib.Tokenizer) -> prompts_lib.Prompts:
    """Every question about the people of the world."""
    return prompts.all_prompts(self.world, self.known, tokenizer)

  def row(
    self, tokenizer: tokenizer_lib.Tokenizer, length: int, index: int
  ) -> dict[str, np.ndarray]:
    """Row `index` of the corpus, as `corpus.row` makes it."""
    return corpus.row(
      self.world, self.known, tokenizer, self.corpus_seed, index, length
    )

  @property
  def note(self) -> dict[str, int]:
    """What determines the corpus, as it is noted."""
    return dataclasses.asdict(self)

  def save(self, directory: files.PathLike) -> None:
    """Notes the corpus in a model's folder."""
    files.write_json(files.path(directory) / _FILE, self.note)


def load(directory: files.PathLike) -> Corpus:
  """Reads the note in a model's folder.

  Raises:
    errors.InputError: if there is none, or it is not of this form.
  """
  name = files.path(directory) / _FILE
  content = files.read_json(name, 'note of the pretraining corpus')
  try:
    return Corpus(**content)
  except TypeError as e:
    raise errors.InputError(f'{name} is not a corpus: {e}') from e

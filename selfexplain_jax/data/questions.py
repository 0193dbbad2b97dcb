# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Questions and answers as token ids, tokenised apart and joined as ids."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import table


@dataclasses.dataclass(frozen=True)
class Questions:
  """Every phrasing of the questions of N records, and their answers.

  Attributes:
    question_ids: [N][phrasings], ids of each question, BOS included.
    answer_ids: [N], ids of each answer, the end token included.
  """

  question_ids: Sequence[Sequence[Sequence[int]]]
  answer_ids: Sequence[Sequence[int]]


def encode(
  explained: explanations.ExplanationSet,
  indices: Sequence[int] | np.ndarray,
  tokenizer: tokenizer_lib.Tokenizer,
  phrasings: Sequence[str],
) -> Questions:
  """Renders and encodes the questions and answers of some records.

  Raises:
    errors.InputError: if a rendered question does not hold exactly one vector
      token, naming the record; or a word that the tokenizer lacks.
  """
  rows = [explained.rows[i] for i in indices]
  task = table.task(explained.manifest['task'])
  vector_id = tokenizer.vector_id
  question_ids = []
  texts = [task.question(row, p) for row in rows for p in phrasings]
  encoded = tokenizer.encode_batch(texts)
  bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
  for n, index in enumerate(indices):
    start = n * len(phrasings)
    own = [[*bos, *ids] for ids in encoded[start : start + len(phrasings)]]
    for ids in own:
      if ids.count(vector_id) != 1 or any(ids[1:].count(b) for b in bos):
        raise errors.InputError(
          f'record {index}: its question has {ids.count(vector_id)} vector '
          'tokens: expected 1, and no BOS but the first token'
        )
    question_ids.append(own)
  answers = tokenizer.encode_batch([task.answer(row) for row in rows])
  answer_ids = [[*ids, tokenizer.eos_id] for ids in answers]
  return Questions(question_ids, answer_ids)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Asking an explainer: greedy answers to questions with vectors."""

from collections.abc import Sequence
import functools
from typing import NamedTuple

import jax
import numpy as np

from selfexplain_jax import progress
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import launches
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate

_LENGTH_STEP = 8  # Prompts are padded to multiples of it: one program for each.


class Answers(NamedTuple):
  """What an explainer said.

  Attributes:
    ids: the generated ids of each answer, without the end token.
    log_probability: f32[N], of each answer.
  """

  ids: list[list[int]]
  log_probability: np.ndarray


@functools.partial(jax.jit, static_argnames=('new_tokens', 'end_id'))
def answer(
  model, injection, tokens, lengths, vectors, blocks, new_tokens, end_id
):
  """Answers a batch of questions: the compiled program of `ask`."""
  embeddings, tap = injection_lib.inject(
    model, injection, tokens, vectors, blocks
  )
  return generate.generate(
    model,
    tokens,
    lengths,
    new_tokens=new_tokens,
    end_id=end_id,
    embeddings_BxTxD=embeddings,
    tap=tap,
  )


def ask(
  model: decoder.Decoder,
  injection: injection_lib.Injection,
  question_ids: Sequence[Sequence[int]],
  vectors_NxKxD: np.ndarray,
  blocks_NxK: np.ndarray | None = None,
  *,
  end_id: int,
  new_tokens: int,
  batch: int = 128,
) -> Answers:
  """Answers questions greedily.

  Questions of about one length share a batch, so that little is padding; the
  answers come back in the order of the questions.

  Args:
    model: the explainer.
    injection: how vectors enter.
    question_ids: ids of each question, with at most K vector tokens each.
    vectors_NxKxD: raw vectors, in the order of a question's vector tokens.
    blocks_NxK: i32, the id of each vector's layer block; may be None where the
      injection tells none apart.
    end_id: the end token of answers.
    new_tokens: most tokens of an answer, the end token included.
    batch: questions decoded at once.
  """
  # The longest first: if there is no room for them, it is known at once.
  order = np.argsort([-len(ids) for ids in question_ids], kind='stable')
  chosen_by_batch = [
    order[start : start + batch] for start in range(0, len(order), batch)
  ]

  def launch(chosen: np.ndarray) -> generate.Generated:
    tokens, lengths = prompts_lib.pad(
      [question_ids[i] for i in chosen], step=_LENGTH_STEP
    )
    missing = (0, batch - len(chosen))
    return answer(
      model,
      injection,
      np.pad(tokens, (missing, (0, 0))),
      np.pad(lengths, missing),
      np.pad(vectors_NxKxD[chosen], (missing, (0, 0), (0, 0))),
      None
      if blocks_NxK is None
      else np.pad(blocks_NxK[chosen], (missing, (0, 0))),
      new_tokens,
      end_id,
    )

  answers: list[list[int]] = [[] for _ in question_ids]
  log_probability = np.zeros(len(question_ids), np.float32)
  calls = (functools.partial(launch, chosen) for chosen in chosen_by_batch)
  every = progress.track(
    launches.fetched(calls), len(chosen_by_batch), 'batches of answers'
  )
  for chosen, made in zip(chosen_by_batch, every, strict=True):
    for row, index in enumerate(chosen):
      answers[index] = made.tokens[row, : made.length[row]].tolist()
      log_probability[index] = made.log_probability[row]
  return Answers(answers, log_probability)

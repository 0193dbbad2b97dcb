# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What is measured on validation people while an explainer trains.

The best checkpoint is the one with the highest exact match on validation people
with their real vectors; of equals, the earliest.
"""

from typing import Any

from absl import logging
import ml_collections
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import packing
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import controls
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.training import state as state_lib


class Validation:
  """Evaluates a state on validation people and keeps the best model."""

  def __init__(
    self,
    explained: explanations.ExplanationSet,
    tokenizer: tokenizer_lib.Tokenizer,
    injection: injection_lib.Injection,
    phrasings: tuple[str, ...],
    workdir: files.PathLike,
    config: ml_collections.ConfigDict,
    training: dict[str, Any],
    base: decoder.Decoder | None = None,
  ):
    """Encodes the questions of the first `config.validation_examples`.

    `training` is noted in explainers, with the step that they are of. With
    `base`, the states that come are of its adapter.
    """
    self._base, self._training = base, training
    chosen = explained.split('validation')[: config.validation_examples]
    rows = [explained.rows[i] for i in chosen]
    self._questions = questions_lib.encode(
      explained, chosen, tokenizer, phrasings[:1]
    )
    self._vectors = explained.vectors[chosen]
    self._packed, self._places = _pack(self._questions, config)
    blocks = [(row['first_layer'], row['last_layer']) for row in rows]
    kinds = [row['position_kind'] for row in rows]
    order = controls.permute_within(kinds, blocks, config.seed)
    self._shuffled = self._vectors[order]
    self._answers = [row['answer'] for row in rows]
    self._tokenizer, self._injection = tokenizer, injection
    self._phrasings = phrasings
    self._workdir = files.path(workdir)
    self._new_tokens = max(len(ids) for ids in self._questions.answer_ids) + 2
    self._config = config

  def _exact_match(self, model: Any, vectors: np.ndarray) -> float:
    answers = answering.ask(
      model,
      self._injection,
      [phrasings[0] for phrasings in self._questions.question_ids],
      vectors,
      end_id=self._tokenizer.eos_id,
      new_tokens=self._new_tokens,
    )
    said = [self._tokenizer.decode(ids) for ids in answers.ids]
    return float(
      np.mean([_right(s, a) for s, a in zip(said, self._answers, strict=True)])
    )

  def _loss(self, model: Any, vectors: np.ndarray) -> float:
    """Mean cross-entropy of the answers' tokens, in nats."""
    shown = np.zeros((*self._places.shape, vectors.shape[1]), np.float32)
    present = self._places >= 0
    shown[present] = vectors[self._places[present]]
    size = self._config.batch
    total = tokens = 0.0
    for start in range(0, len(shown), size):
      part = slice(start, start + size)
      batch = {name: rows[part] for name, rows in self._packed.items()}
      batch['vectors'] = shown[part]
      count = float(batch['weights'].sum())
      loss = train_step.compiled_answer_loss(model, self._injection, batch)
      total, tokens = total + float(loss) * count, tokens + count
    return total / tokens

  def __call__(
    self, step: int, state: state_lib.TrainState, notes: dict[str, Any]
  ) -> dict[str, Any]:
    """Evaluates after `step` steps; see `training.loop.Job.evaluate`."""
    model = state.model
    if self._base is not None:
      model = lora.adapt(self._base, model)
    real = self._exact_match(model, self._vectors)
    point = {
      'step': step,
      'exact_match': real,
      'shuffled_vector': self._exact_match(model, self._shuffled),
      'loss': self._loss(model, self._vectors),
      'shuffled_vector_loss': self._loss(model, self._shuffled),
    }
    logging.info(
      'Validation at step %d: exact match %.3f, with shuffled vectors %.3f; '
      'loss %.4f, with shuffled vectors %.4f',
      *point.values(),
    )
    curve = [*notes.get('curve', []), point]
    best = notes.get('best')
    if best is None or real > best['exact_match']:
      best = point
      explainer_lib.Explainer(
        model, self._tokenizer, self._injection, self._phrasings
      ).save(self._workdir / 'model', {**self._training, 'step': step})
    return {'curve': curve, 'best': best}


def _pack(
  questions: questions_lib.Questions, config: ml_collections.ConfigDict
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Packs all questions: rows, and which question's vector is shown where.

  Returns:
    The fields of `packing.pack`, [R, T], and i64[R, K], -1 for none.
  """
  asked = [phrasings[0] for phrasings in questions.question_ids]
  examples = list(zip(asked, questions.answer_ids, strict=True))
  lengths = [len(question) + len(answer) for question, answer in examples]
  plan = packing.plan(
    lengths, range(len(examples)), config.row_length, config.examples_per_row
  )
  plan += [[]] * (-len(plan) % config.batch)  # One program for all batches.
  rows = [
    packing.pack([examples[i] for i in r], config.row_length) for r in plan
  ]
  places = np.full((len(plan), config.examples_per_row), -1)
  for row, members in enumerate(plan):
    places[row, : len(members)] = members
  return {name: np.stack([r[name] for r in rows]) for name in rows[0]}, places


def _right(said: str, answer: str) -> bool:
  """Whether two answers make the same claim."""
  claim, expected = claims.parse(said), claims.parse(answer)
  return claim is not None and expected is not None and claim.matches(expected)

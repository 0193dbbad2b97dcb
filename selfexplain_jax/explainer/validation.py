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
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
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
    base: decoder.Decoder | None = None,
  ):
    """Encodes the questions of the first `config.validation_examples`.

    With `base`, the states that come are of its adapter.
    """
    self._base = base
    chosen = explained.split('validation')[: config.validation_examples]
    rows = [explained.rows[i] for i in chosen]
    self._questions = questions_lib.encode(
      explained, chosen, tokenizer, phrasings[:1]
    )
    self._vectors = explained.vectors[chosen]
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

  def __call__(
    self, step: int, state: state_lib.TrainState, notes: dict[str, Any]
  ) -> dict[str, Any]:
    """Evaluates after `step` steps; see `training.loop.Job.evaluate`."""
    model = state.model
    if self._base is not None:
      model = lora.adapt(self._base, model)
    real = self._exact_match(model, self._vectors)
    shuffled = self._exact_match(model, self._shuffled)
    logging.info(
      'Validation at step %d: exact match %.3f, with shuffled vectors %.3f',
      step,
      real,
      shuffled,
    )
    point = {'step': step, 'exact_match': real, 'shuffled_vector': shuffled}
    curve = [*notes.get('curve', []), point]
    best = notes.get('best')
    if best is None or real > best['exact_match']:
      best = point
      explainer_lib.Explainer(
        model, self._tokenizer, self._injection, self._phrasings
      ).save(self._workdir / 'model', {'step': step})
    return {'curve': curve, 'best': best}


def _right(said: str, answer: str) -> bool:
  """Whether two answers make the same claim."""
  claim, expected = claims.parse(said), claims.parse(answer)
  return claim is not None and expected is not None and claim.matches(expected)

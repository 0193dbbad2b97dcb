# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What is measured on the validation split while an explainer trains.

The best checkpoint is the one with the highest exact match on validation
records with their real vectors, the mean over the tasks that it is trained on;
of equals, the earliest. Where a task's answers are free descriptions it is the
one with the lowest loss.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import statistics
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
from selfexplain_jax.explainer import train_step
from selfexplain_jax.fidelity import controls
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.models import decoder
from selfexplain_jax.models import peft
from selfexplain_jax.tasks import task as task_lib
from selfexplain_jax.training import state as state_lib

_MEASURES = (
  'exact_match',
  'shuffled_vector',
  'loss',
  'shuffled_vector_loss',
)


@dataclasses.dataclass(frozen=True)
class _Task:
  """The validation questions of one task."""

  language: task_lib.Language
  rows: list[dict[str, Any]]
  questions: questions_lib.Questions
  vectors: np.ndarray  # f32[N, K, D]
  shuffled: np.ndarray
  blocks: np.ndarray  # i32[N, K]
  packed: dict[str, np.ndarray]
  places: np.ndarray  # i64[R, per row], -1 for none


class Validation:
  """Evaluates a state on validation records and keeps the best model."""

  def __init__(
    self,
    sets: Mapping[str, explanations.ExplanationSet],
    languages: Mapping[str, task_lib.Language],
    initial: explainer_lib.Explainer,
    workdir: files.PathLike,
    config: ml_collections.ConfigDict,
    training: dict[str, Any],
    base: decoder.Decoder | None = None,
  ):
    """Encodes the first `config.validation_examples` questions of each task.

    Args:
      sets: explanation sets by task.
      languages: by task.
      initial: the explainer before training; its model is not kept.
      workdir: gets the best one as `model/`, and its adapter, if it has one, as
        `adapter/`, in PEFT's layout.
      config: of the training.
      training: noted in explainers, with the step that they are of.
      base: the frozen explainer, where the states that come are of its adapter.
    """
    self._base, self._training, self._initial = base, training, initial
    self._tasks = {
      name: _encode(explained, languages[name], initial, config)
      for name, explained in sets.items()
    }
    self._free = any(_is_free(explained) for explained in sets.values())
    self._workdir = files.path(workdir)
    self._config = config

  def _exact_match(
    self, now: explainer_lib.Explainer, asked: _Task, vectors: np.ndarray
  ) -> float:
    answers = answering.ask(
      now.model,
      now.injection,
      [phrasings[0] for phrasings in asked.questions.question_ids],
      vectors,
      asked.blocks,
      end_id=now.end_id,
      new_tokens=max(map(len, asked.questions.answer_ids)) + 2,
    )
    said = [now.tokenizer.decode(ids) for ids in answers.ids]
    return float(
      np.mean(
        [
          asked.language.right(s, row)
          for s, row in zip(said, asked.rows, strict=True)
        ]
      )
    )

  def _loss(
    self, now: explainer_lib.Explainer, asked: _Task, vectors: np.ndarray
  ) -> float:
    """Mean cross-entropy of the answers' tokens, in nats."""
    shown, blocks = _vectors_of_rows(asked, vectors)
    size = self._config.batch
    total = tokens = 0.0
    for start in range(0, len(shown), size):
      part = slice(start, start + size)
      batch = {name: rows[part] for name, rows in asked.packed.items()}
      batch['vectors'], batch['vector_blocks'] = shown[part], blocks[part]
      count = float(np.sum(batch['answers'] >= 0))
      loss = train_step.compiled_answer_loss(now.model, now.injection, batch)
      total, tokens = total + float(loss) * count, tokens + count
    return total / tokens

  def _measure(
    self, now: explainer_lib.Explainer, asked: _Task
  ) -> dict[str, float]:
    """Measures one task; without vectors nothing is shuffled."""
    found: dict[str, float] = {}
    shuffles = np.any(asked.shuffled != asked.vectors)
    for prefix, vectors in (('', asked.vectors), ('shuffled', asked.shuffled)):
      if prefix and not shuffles:
        exact, loss = found['exact_match'], found['loss']
      else:
        exact = self._exact_match(now, asked, vectors)
        loss = self._loss(now, asked, vectors)
      found['shuffled_vector' if prefix else 'exact_match'] = exact
      found['shuffled_vector_loss' if prefix else 'loss'] = loss
    return found

  def _better(self, point: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether a point is better than the best one before.

    The very words of a free description are hardly ever met: there the loss of
    its tokens decides.
    """
    if self._free:
      return point['loss'] < best['loss']
    return point['exact_match'] > best['exact_match']

  def __call__(
    self, step: int, state: state_lib.TrainState, notes: dict[str, Any]
  ) -> dict[str, Any]:
    """Evaluates after `step` steps; see `training.loop.Job.evaluate`."""
    model, injection = train_step.assemble(
      state.model, self._initial.injection, self._base
    )
    now = dataclasses.replace(self._initial, model=model, injection=injection)
    by_task = {
      name: self._measure(now, asked) for name, asked in self._tasks.items()
    }
    point: dict[str, Any] = {
      'step': step,
      **{
        measure: statistics.fmean(found[measure] for found in by_task.values())
        for measure in _MEASURES
      },
    }
    for name, found in by_task.items():
      logging.info(
        'Validation at step %d, %s: exact match %.3f, with shuffled vectors '
        '%.3f; loss %.4f, with shuffled vectors %.4f',
        step,
        name,
        *(found[measure] for measure in _MEASURES),
      )
      point |= {f'{name}_{m}': value for m, value in found.items()}
    curve = [*notes.get('curve', []), point]
    best = notes.get('best')
    if best is None or self._better(point, best):
      best = point
      now.save(self._workdir / 'model', {**self._training, 'step': step})
      if self._base is not None:
        peft.save(
          state.model.model,
          self._base,
          self._workdir / 'adapter',
          self._config.initial,
        )
    return {'curve': curve, 'best': best}


def _is_free(explained: explanations.ExplanationSet) -> bool:
  """Whether answers are descriptions that are in no language of their own."""
  labels = explained.manifest.get('notes', {}).get('labels')
  return labels is not None and labels.get('name') != simulation.BIOGRAPHIES


def _encode(
  explained: explanations.ExplanationSet,
  language: task_lib.Language,
  explainer: explainer_lib.Explainer,
  config: ml_collections.ConfigDict,
) -> _Task:
  """Encodes the validation questions of one task."""
  chosen = explained.split('validation')[: config.validation_examples]
  rows = [explained.rows[i] for i in chosen]
  questions = questions_lib.encode(
    rows,
    explainer.tokenizer,
    language,
    explainer.phrasings[language.NAME][:1],
    explainer.chat,
  )
  vectors = explained.shown(chosen)
  if config.text_only:
    vectors = np.zeros_like(vectors)
  cells = {name: [row[name] for row in rows] for name in ('place', 'treatment')}
  packed, places = _pack(questions, config)
  layers = np.array([language.layers(row) for row in rows])
  showing = np.array([bool(row['vectors']) for row in rows])
  blocks = np.zeros(vectors.shape[:2], np.int32)
  ids = explainer.injection.layer_blocks.ids(layers[showing])
  blocks[showing] = ids[:, None]
  return _Task(
    language,
    rows,
    questions,
    vectors,
    vectors[controls.permute_within(cells, config.seed)],
    blocks,
    packed,
    places,
  )


def _pack(
  questions: questions_lib.Questions, config: ml_collections.ConfigDict
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Packs all questions: rows, and which question's vectors are shown where.

  Returns:
    The fields of `packing.pack`, [R, T], and i64[R, per row], -1 for none.
  """
  asked = [phrasings[0] for phrasings in questions.question_ids]
  examples: Sequence = list(zip(asked, questions.answer_ids, strict=True))
  lengths = [len(question) + len(answer) for question, answer in examples]
  plan = packing.plan(
    lengths, range(len(examples)), config.row_length, config.examples_per_row
  )
  answers = max(sum(len(examples[i][1]) for i in row) for row in plan)
  most = packing.rounded(answers, config.row_length)
  plan += [[]] * (-len(plan) % config.batch)  # One program for all batches.
  rows = [
    packing.pack([examples[i] for i in r], config.row_length, most)
    for r in plan
  ]
  places = np.full((len(plan), config.examples_per_row), -1)
  for row, members in enumerate(plan):
    places[row, : len(members)] = members
  return {name: np.stack([r[name] for r in rows]) for name in rows[0]}, places


def _vectors_of_rows(
  asked: _Task, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the vectors of packed rows, one after the other, and their blocks.

  Returns:
    f32[R, per row * K, D] and i32[R, per row * K].
  """
  rows, per_row = asked.places.shape
  most, width = vectors.shape[1:]
  shown = np.zeros((rows, per_row * most, width), np.float32)
  blocks = np.zeros((rows, per_row * most), np.int32)
  for row, members in enumerate(asked.places):
    start = 0
    for index in members[members >= 0]:
      end = start + len(asked.rows[index]['vectors'])
      shown[row, start:end] = vectors[index, : end - start]
      blocks[row, start:end] = asked.blocks[index, : end - start]
      start = end
  return shown, blocks

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The arms of an evaluation: who answers, and with which vectors.

Each arm answers every question of the evaluated split in the first phrasing and
greedily. What an arm said is kept in a file of its own, so that an evaluation
that was interrupted goes on with the next arm.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

from absl import logging
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import preemption
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.fidelity import controls
from selfexplain_jax.models import artefact


@dataclasses.dataclass(frozen=True)
class Said:
  """What one arm said.

  Attributes:
    output: the decoded answer to each question.
    log_probability: of each, f32[N]; 0 for arms without a language model.
  """

  output: list[str]
  log_probability: np.ndarray


@dataclasses.dataclass(frozen=True)
class Asked:
  """The questions of an evaluation.

  Attributes:
    explained: the explanation set.
    chosen: i64[N], the records asked about.
    train: i64[M], the records that controls may learn from.
    seed: of the shuffling.
  """

  explained: explanations.ExplanationSet
  chosen: np.ndarray
  train: np.ndarray
  seed: int

  @property
  def vectors(self) -> np.ndarray:
    """The real vectors, f32[N, D]."""
    return self.explained.vectors[self.chosen]

  def shuffled(self) -> np.ndarray:
    """The vectors permuted within position kind and layer block, f32[N, D]."""
    records = columns(self.explained, self.chosen)
    order = controls.permute_within(
      records['position_kind'], controls.blocks(records), self.seed
    )
    return self.vectors[order]

  def same_when_shuffled(self) -> int:
    """How many records get a vector equal to their own in the control.

    A record alone in its cell does, and one whose vector comes from a prompt
    that is equal up to there.
    """
    return int(np.sum(np.all(self.shuffled() == self.vectors, 1)))


def columns(
  explained: explanations.ExplanationSet, chosen: np.ndarray
) -> dict[str, Any]:
  """Returns the records of some rows as columns, for `fidelity.controls`."""
  table_ = explained.records.take(chosen)
  result = {name: table_[name].to_pylist() for name in table_.column_names}
  result['changed'] = np.array(result['changed'], bool)
  result['prompt_length'] = [len(ids) for ids in result['prompt_ids']]
  return result


def say(
  asked: Asked, explainer: explainer_lib.Explainer, vectors_NxD: np.ndarray
) -> Said:
  """Lets an explainer answer every question, shown the given vectors."""
  encoded = questions_lib.encode(
    asked.explained, asked.chosen, explainer.tokenizer, explainer.phrasings[:1]
  )
  return _answer(explainer, encoded, encoded.question_ids, vectors_NxD)


def say_untrained(asked: Asked, explainer: explainer_lib.Explainer) -> Said:
  """Lets an initial explainer answer, with examples of the two forms in front.

  The examples are an unchanged and a changed training record: answers alone,
  so that they show the form and nothing else (appendix H of the paper).
  """
  encoded = questions_lib.encode(
    asked.explained, asked.chosen, explainer.tokenizer, explainer.phrasings[:1]
  )
  changed = np.asarray(asked.explained.records['changed'])[asked.train]
  examples = [
    asked.explained.rows[asked.train[np.argmax(changed == verdict)]]['answer']
    for verdict in (False, True)
  ]
  shown = explainer.tokenizer.encode(' '.join(examples))
  # After BOS, which every question begins with.
  prefixed = [
    [[ids[0], *shown, *ids[1:]] for ids in q] for q in encoded.question_ids
  ]
  return _answer(explainer, encoded, prefixed, asked.vectors)


def _answer(explainer, encoded, question_ids, vectors) -> Said:
  answers = answering.ask(
    explainer.model,
    explainer.injection,
    [ids[0] for ids in question_ids],
    vectors,
    end_id=explainer.tokenizer.eos_id,
    new_tokens=max(len(ids) for ids in encoded.answer_ids) + 2,
  )
  return Said(
    [explainer.tokenizer.decode(ids) for ids in answers.ids],
    answers.log_probability,
  )


def _fixed(outputs: list[str]) -> Said:
  return Said(outputs, np.zeros(len(outputs), np.float32))


def all_arms(
  asked: Asked,
  explainers: dict[str, str],
  initial: str,
  mesh: jax.sharding.Mesh,
) -> dict[str, Callable[[], Said]]:
  """Returns every arm by name, each to be called when its turn comes.

  Args:
    asked: the questions.
    explainers: arm name to the directory of its explainer; `self` among them,
      whose vectors the controls shuffle and blank.
    initial: the model that `self` was trained from.
    mesh: where models go.
  """
  loaded: dict[str, explainer_lib.Explainer] = {}

  def explainer(name: str) -> explainer_lib.Explainer:
    if name not in loaded:
      loaded.clear()  # One explainer in memory at a time.
      loaded[name] = explainer_lib.load(explainers[name], mesh)
    return loaded[name]

  def trained(name: str) -> Said:
    return say(asked, explainer(name), asked.vectors)

  def untrained() -> Said:
    model, tokenizer = artefact.load(initial, mesh)
    own = explainer('self')
    injection = injection_lib.make(
      own.injection.mode, model, tokenizer.vector_id, own.injection.block
    )
    return say_untrained(
      asked,
      explainer_lib.Explainer(model, tokenizer, injection, own.phrasings),
    )

  train = columns(asked.explained, asked.train)
  evaluated = columns(asked.explained, asked.chosen)
  train_vectors = asked.explained.vectors[asked.train]
  arms: dict[str, Callable[[], Said]] = {}
  if explainers:
    arms['self'] = functools.partial(trained, 'self')
    arms['shuffled_vector'] = lambda: say(
      asked, explainer('self'), asked.shuffled()
    )
    arms['zero_vector'] = lambda: say(
      asked, explainer('self'), np.zeros_like(asked.vectors)
    )
    arms['untrained'] = untrained
  for name in explainers:
    if name != 'self':
      arms[name] = functools.partial(trained, name)
  arms['nearest_neighbour'] = lambda: _fixed(
    controls.nearest_neighbour(train_vectors, asked.vectors, train, evaluated)
  )
  arms['metadata'] = lambda: _fixed(controls.metadata(train, evaluated))
  arms['majority'] = lambda: _fixed(controls.majority(train, evaluated))
  return arms


def run(
  arms: dict[str, Callable[[], Said]],
  directory: files.PathLike,
  inputs: dict[str, str],
) -> dict[str, Said]:
  """Runs the arms, keeping what each said in `directory`.

  Args:
    arms: of `all_arms`.
    directory: gets a file for each arm, and `inputs.json`.
    inputs: digests of all that the answers depend on.

  Raises:
    errors.InputError: if the directory has answers that depend on other inputs.
  """
  noted = files.path(directory) / 'inputs.json'
  if not noted.exists():
    files.write_json(noted, inputs)
  earlier = files.read_json(noted, 'inputs of the answers')
  for name in sorted(inputs.keys() | earlier.keys()):
    if inputs.get(name) != earlier.get(name):
      raise errors.InputError(
        f'{directory} has answers of another {name}: expected an evaluation of '
        'what is there now in another --workdir'
      )
  results = {}
  for name, arm in arms.items():
    kept = files.path(directory) / f'{name}.json'
    if not kept.exists():
      logging.info('Arm %s', name)
      said = arm()
      files.write_json(
        kept,
        {
          'output': said.output,
          'log_probability': [float(p) for p in said.log_probability],
        },
      )
      preemption.check()
    content = files.read_json(kept, f'answers of arm {name}')
    results[name] = Said(
      content['output'], np.array(content['log_probability'], np.float32)
    )
  return results

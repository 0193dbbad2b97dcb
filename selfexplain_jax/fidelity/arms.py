# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The arms of an evaluation: who answers, and with which vectors.

Each arm answers every question of the evaluated split in the first phrasing and
greedily. What an arm said is kept in a file of its own, so that an evaluation
that was interrupted goes on with the next arm.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
import dataclasses
import functools

from absl import logging
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.fidelity import asked as asked_lib
from selfexplain_jax.fidelity import controls
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task as task_lib

# By name, each to be called when its turn comes.
Arms = dict[str, Callable[[], said_lib.Said]]

# Arms that ask `self` again, or what it was trained from.
OF_SELF = ('shuffled_vector', 'zero_vector', 'wrong_layer', 'untrained')


def say(
  asked: asked_lib.Asked,
  explainer: explainer_lib.Explainer,
  vectors_NxKxD: np.ndarray,
  rows: list[task_lib.Record] | None = None,
  examples: str = '',
) -> said_lib.Said:
  """Lets an explainer answer every question, shown the given vectors.

  Args:
    asked: the questions.
    explainer: who answers.
    vectors_NxKxD: what it is shown.
    rows: asked in place of the records themselves.
    examples: text that comes before each question.
  """
  language, tokenizer = asked.task.language, explainer.tokenizer
  rows = list(asked.rows) if rows is None else rows
  phrasings = explainer.phrasings.get(language.NAME, language.PHRASINGS)
  encoded = questions_lib.encode(
    rows,
    tokenizer,
    language,
    phrasings[:1],
    explainer.chat,
    f'{examples} ' if examples else '',
  )
  return say_to(
    explainer,
    [phrased[0] for phrased in encoded.question_ids],
    vectors_NxKxD,
    # Those of the vectors, also where the question names others.
    np.array([language.layers(row) for row in asked.rows]),
    np.array([bool(row['vectors']) for row in rows]),
    new_tokens=max(len(ids) for ids in encoded.answer_ids) + 2,
  )


def say_to(
  explainer: explainer_lib.Explainer,
  question_ids: Sequence[Sequence[int]],
  vectors_NxKxD: np.ndarray,
  layers_Nx2: np.ndarray,
  showing_N: np.ndarray,
  new_tokens: int,
  batch: int = 128,
) -> said_lib.Said:
  """Lets an explainer answer encoded questions.

  Args:
    explainer: who answers.
    question_ids: ids of N questions.
    vectors_NxKxD: what it is shown.
    layers_Nx2: first and last layer that each question's vectors are of.
    showing_N: bool, which questions show any.
    new_tokens: most tokens of an answer, the end token included.
    batch: questions decoded at once.
  """
  blocks = np.zeros(vectors_NxKxD.shape[:2], np.int32)
  if not showing_N.any():  # The set's vectors may be of another width.
    width = explainer.model.config.width
    vectors_NxKxD = np.zeros((*blocks.shape, width), np.float32)
  ids = explainer.injection.layer_blocks.ids(layers_Nx2[showing_N])
  blocks[showing_N] = ids[:, None]
  answers = answering.ask(
    explainer.model,
    explainer.injection,
    [[ids[0], *ids] if explainer.doubled_bos else ids for ids in question_ids],
    vectors_NxKxD,
    blocks,
    end_id=explainer.end_id,
    new_tokens=new_tokens,
    batch=batch,
  )
  return said_lib.Said(
    [explainer.answer(ids) for ids in answers.ids], answers.log_probability
  )


def _texts_as_vectors(
  asked: asked_lib.Asked, chosen: np.ndarray, vocabulary: Mapping[str, int]
) -> np.ndarray:
  """Counts of words in questions without vectors, scaled to length 1."""
  language = asked.task.language
  counts = np.zeros((len(chosen), len(vocabulary)), np.float32)
  for n, index in enumerate(chosen):
    text = language.question(asked.explained.rows[index], language.PHRASINGS[0])
    for word in text.split():
      if word in vocabulary:
        counts[n, vocabulary[word]] += 1
  lengths = np.linalg.norm(counts, axis=1, keepdims=True)
  return counts / np.maximum(lengths, 1e-9)


def _nearest_neighbour(asked: asked_lib.Asked) -> list[str]:
  """By vectors, or by the words of the question where it shows none."""
  train = asked_lib.columns(asked.explained, asked.train)
  evaluated = asked_lib.columns(asked.explained, asked.chosen)
  if asked.shows_vectors:
    own = asked.vectors
    return controls.nearest_neighbour(
      lambda rows: asked.explained.shown(asked.train[rows]).reshape(
        len(rows), -1
      ),
      own.reshape(len(own), -1),
      train,
      evaluated,
      asked.task.evaluation.neighbours_within_cells,
    )
  language = asked.task.language
  words = sorted(
    {
      word
      for index in asked.train
      for word in language.question(
        asked.explained.rows[index], language.PHRASINGS[0]
      ).split()
    }
  )
  vocabulary = {word: i for i, word in enumerate(words)}
  return controls.nearest_neighbour(
    lambda rows: _texts_as_vectors(asked, asked.train[rows], vocabulary),
    _texts_as_vectors(asked, asked.chosen, vocabulary),
    train,
    evaluated,
  )


def _baseline(answers: Callable[[], list[str]]) -> said_lib.Said:
  """What a control without a language model says."""
  return said_lib.fixed(answers())


def of_explainer(
  asked: asked_lib.Asked, explainer: Callable[[], explainer_lib.Explainer]
) -> Arms:
  """Returns the arms that ask one explainer, by name.

  Args:
    asked: the questions.
    explainer: returns it.
  """
  arms: Arms = {'self': lambda: say(asked, explainer(), asked.vectors)}
  if not asked.shows_vectors:
    return arms
  arms['shuffled_vector'] = lambda: say(asked, explainer(), asked.shuffled())
  arms['zero_vector'] = lambda: say(
    asked, explainer(), np.zeros_like(asked.vectors)
  )
  if misplaced := asked.misplaced():
    arms['wrong_layer'] = lambda: say(
      asked, explainer(), asked.vectors, misplaced
    )
  return arms


def of_records(asked: asked_lib.Asked) -> Arms:
  """Returns the arms that need no language model, by name."""
  arms: Arms = {
    'nearest_neighbour': lambda: said_lib.fixed(_nearest_neighbour(asked))
  }
  baselines = asked.task.evaluation.controls(
    asked_lib.columns(asked.explained, asked.train),
    asked_lib.columns(asked.explained, asked.chosen),
  )
  for name, answers in baselines.items():
    arms[name] = functools.partial(_baseline, answers)
  return arms


def all_arms(
  asked: asked_lib.Asked,
  explainers: dict[str, str],
  initial: str,
  target: target_lib.Target,
  mesh: jax.sharding.Mesh,
  dtype: str = 'float32',
) -> Arms:
  """Returns every arm by name, each to be called when its turn comes.

  Args:
    asked: the questions.
    explainers: arm name to the directory of its explainer; `self` among them,
      whose vectors the controls shuffle and blank.
    initial: the model that `self` was trained from.
    target: the target.
    mesh: where models go.
    dtype: of explainers.
  """
  loaded: dict[str, explainer_lib.Explainer] = {}

  def explainer(name: str) -> explainer_lib.Explainer:
    if name not in loaded:
      loaded.clear()  # One explainer in memory at a time.
      loaded[name] = explainer_lib.load(explainers[name], mesh, dtype)
    return loaded[name]

  def trained(name: str) -> said_lib.Said:
    # One that was trained without vectors is asked without them.
    blind = explainer_lib.training(explainers[name]).get('text_only', False)
    vectors = np.zeros_like(asked.vectors) if blind else asked.vectors
    return say(asked, explainer(name), vectors)

  def untrained() -> said_lib.Said:
    model, tokenizer = artefact.load(initial, mesh, dtype)
    own = explainer('self')
    train = [asked.explained.rows[i] for i in asked.train]
    return say(
      asked,
      dataclasses.replace(
        own,
        model=model,
        tokenizer=tokenizer,
        # A projection has no meaning but the one that it has learnt.
        injection=own.injection
        if own.injection.parameters.projection is not None
        else injection_lib.make(
          own.injection.mode, model, tokenizer.vector_id, own.injection.block
        ),
      ),
      asked.vectors,
      examples=' '.join(asked.task.language.examples(train)),
    )

  arms: Arms = {}
  if explainers:
    arms |= of_explainer(asked, lambda: explainer('self'))
    arms['self'] = functools.partial(trained, 'self')
    arms['untrained'] = untrained
  for name in explainers:
    if name != 'self':
      arms[name] = functools.partial(trained, name)
  arms |= of_records(asked)
  black_box = asked.task.evaluation.black_box
  if black_box is not None:
    arms['black_box'] = lambda: said_lib.fixed(black_box(target, asked.rows))
  return arms


def some(
  arms: dict[str, Callable[[], said_lib.Said]], names: Collection[str]
) -> dict[str, Callable[[], said_lib.Said]]:
  """Returns the arms of these names, or all if there are none.

  Raises:
    errors.InputError: naming those that there are not.
  """
  unknown = [name for name in names if name not in arms]
  if unknown:
    raise errors.InputError(
      f'config.arms has {", ".join(map(repr, unknown))}: expected some of '
      f'{", ".join(arms)}, which can answer here'
    )
  return {n: arm for n, arm in arms.items() if not names or n in names}


def run(
  arms: dict[str, Callable[[], said_lib.Said]],
  directory: files.PathLike,
  inputs: dict[str, str],
) -> dict[str, said_lib.Said]:
  """Runs the arms, keeping what each said in `directory`.

  Args:
    arms: of `all_arms`.
    directory: gets a file for each arm, and `inputs.json`.
    inputs: digests of all that the answers depend on.

  Raises:
    errors.InputError: if the directory has answers that depend on other inputs.
  """
  noted = files.path(directory) / 'inputs.json'
  if not hosts.agree(noted.exists()):
    files.write_json(noted, inputs)
  hosts.barrier('the inputs of the answers')
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
    if not hosts.agree(kept.exists()):
      logging.info('Arm %s', name)
      said = arm()
      files.write_json(
        kept,
        {
          'output': said.output,
          'log_probability': [float(p) for p in said.log_probability],
        },
      )
      hosts.barrier(f'the answers of {name}')
      preemption.check()
    content = files.read_json(kept, f'answers of arm {name}')
    results[name] = said_lib.Said(
      content['output'], np.array(content['log_probability'], np.float32)
    )
  return results

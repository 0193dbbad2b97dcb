# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Scores descriptions of directions against what re-running the target shows.

The target reads documents that no label was made from; the direction's
activations there are compared with where the description says it is active
(method C.2). A feature's activation is its dictionary's; that of any other
vector v is max(0, h . v), as in the paper (section 2.2). Where it is active is
said by executing the description or by a trained simulator; without either,
only its text is compared with the label.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import jax
import ml_collections
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.fidelity import controls
from selfexplain_jax.fidelity import description_scores
from selfexplain_jax.fidelity import firing as firing_lib
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.fidelity import similarity
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.judges import judge
from selfexplain_jax.simulators import trained
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task as task_lib

_EXEMPLARS = 4  # Documents shown of each vector.
_EXEMPLARS_SCHEMA = pa.schema(
  [
    ('record', pa.int64()),
    ('document', pa.int64()),
    ('tokens', pa.list_(pa.string())),
    ('activations', pa.list_(pa.float64())),
    ('claimed', pa.list_(pa.bool_())),
  ]
)

# Of all vectors; and of features, which have labels and are silent somewhere.
_OF_ALL = ('simulator', 'simulator_per_sequence', 'valid_rate')
_MEASURES = (
  'exact_match',
  'simulator',
  'simulator_per_sequence',
  'detection',
  'fuzzing',
  'similarity',
  'valid_rate',
)
_TESTED = ('exact_match', 'simulator', 'detection')


@dataclasses.dataclass(frozen=True)
class Shown:
  """What the target does on the documents, for N records.

  Attributes:
    firing: where each record's vector is active.
    tokens: the documents as texts, M lists of T.
    simulator: says what descriptions predict on them; None where nobody can.
    similar: compares descriptions with labels.
  """

  firing: firing_lib.Firing
  tokens: list[list[str]]
  simulator: simulation.Simulator | None
  similar: similarity.Similarity


@dataclasses.dataclass(frozen=True)
class Descriptions:
  """How descriptions of directions are checked."""

  black_box: None = None
  # Directions of neighbouring layers are alike (method C.4 searches them all).
  neighbours_within_cells: bool = False

  def observe(
    self,
    target: target_lib.Target,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    config: ml_collections.ConfigDict,
  ) -> Shown:
    """Runs the target on the set's documents.

    Raises:
      errors.InputError: if the dictionary is missing, or another than that of
        the set, or the set has no documents, or the judge or the simulator
        cannot be had.
    """
    similar = judge.make(config.judge)
    if config.simulator:
      trained.check(
        config.simulator, config.simulator_convention, target.tokenizer
      )
    notes = explained.manifest['notes']
    dictionary = dictionaries.of_set(
      notes['dictionary'],
      config.dictionary,
      lambda: target.weight_hash,
      target.config,
    )
    if explained.documents is None:
      raise errors.InputError(
        'the explanation set has no documents: expected some to check '
        'descriptions on'
      )
    firing = firing_lib.observe(
      target.model,
      dictionary,
      [explained.rows[i] for i in chosen],
      explained.shown(chosen)[:, 0],
      explained.documents,
      config.seed,
    )
    simulator: simulation.Simulator | None
    if config.simulator:
      simulator = trained.load(
        config.simulator,
        config.simulator_convention,
        target.tokenizer,
        explained.documents,
        jax.sharding.get_mesh(),
        config.dtype,
      )
    else:
      simulator = simulation.executing(
        notes.get('labels', {}), target.tokenizer, explained.documents
      )
    texts = [
      [target.tokenizer.text(int(t)) for t in row]
      for row in explained.documents
    ]
    return Shown(firing, texts, simulator, similar)

  def controls(
    self, train: controls.Records, evaluated: controls.Records
  ) -> dict[str, Callable[[], list[str]]]:
    """Answers of baselines that see no vector, and the labels themselves."""
    return {
      'label': lambda: list(evaluated['answer']),
      'metadata': lambda: controls.majority_of_cell(train, evaluated),
      'majority': lambda: controls.majority(train, evaluated),
    }

  def check(
    self,
    said: Mapping[str, said_lib.Said],
    shown: Shown,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    seed: int,
  ) -> task_lib.Checked:
    """Compares what was said with where the vectors are active.

    Beside `predictions` there is the table `exemplars`, by record.
    """
    rows = [explained.rows[i] for i in chosen]
    learnt = {explained.rows[i]['answer'] for i in explained.split('train')}
    simulated: dict[str, simulation.Simulated] = {}
    if shown.simulator is not None:
      for arm, answers in said.items():
        simulated[arm] = shown.simulator.simulate(
          [_words(output) for output in answers.output], shown.firing.documents
        )
    scores = self._scores(said, simulated, shown, rows, seed)
    exemplars = pa.Table.from_pylist(
      self._exemplars(simulated.get('self'), shown, chosen), _EXEMPLARS_SCHEMA
    )
    return task_lib.Checked(
      self._figures(scores, shown, rows, learnt, seed),
      {
        'predictions': self._predictions(said, scores, rows, chosen),
        'exemplars': exemplars,
      },
    )

  def _figures(
    self,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    shown: Shown,
    rows: list[dict[str, Any]],
    learnt: set[str],
    seed: int,
  ) -> dict[str, Any]:
    """Returns the content of metrics.json but for what names the run.

    `rows` and `tests` are over features, and again as `new_label_rows` over
    those whose label no training record has; `activation_rows`,
    `difference_rows` and their tests are over vectors without labels. Vectors
    that are active nowhere in the documents are left out and counted as
    `silent`.
    """
    active = shown.firing.active
    place = np.array([row['place'] for row in rows])
    labelled_N = np.array([bool(row['answer']) for row in rows])
    is_new = np.array([row['answer'] not in learnt for row in rows])
    parts = {
      '': place == features.FEATURE,
      'new_label_': (place == features.FEATURE) & is_new,
      'activation_': place == features.ACTIVATION,
      'difference_': place == features.DIFFERENCE,
    }
    result: dict[str, Any] = {
      'n': 0,
      'groups': 0,
      'silent': int(np.sum(~active)),
      'documents': len(shown.tokens),
      'similarity': {
        **shown.similar.settings,
        'missing': {
          arm: int(np.sum(np.isnan(found['similarity'][labelled_N])))
          for arm, found in scores.items()
        },
      },
    }
    if shown.simulator is not None:
      result['simulator'] = dict(shown.simulator.settings)
    for prefix, where in parts.items():
      part = np.flatnonzero(active & where)
      if not len(part):
        continue
      bootstrap = statistics.Bootstrap(
        [rows[i]['group'] for i in part], seed=seed
      )
      labelled = prefix in ('', 'new_label_')
      arms = [arm for arm in scores if labelled or arm != 'label']
      measures = [
        m
        for m in _MEASURES
        if m in scores[arms[0]] and (labelled or m in _OF_ALL)
      ]
      result[f'{prefix}n'] = len(part)
      result[f'{prefix}groups'] = len({rows[i]['group'] for i in part})
      result[f'{prefix}rows'] = {
        arm: {
          m: bootstrap.mean_of_defined(scores[arm][m][part]).to_json()
          for m in measures
        }
        for arm in arms
      }
      if 'self' in arms:
        result[f'{prefix}tests'] = {
          f'self_minus_{arm}': {
            m: bootstrap.difference_of_defined(
              scores['self'][m][part], scores[arm][m][part]
            ).to_json()
            for m in _TESTED
            if m in measures
          }
          for arm in arms
          if arm != 'self'
        }
    return result

  def _scores(
    self,
    said: Mapping[str, said_lib.Said],
    simulated: Mapping[str, simulation.Simulated],
    shown: Shown,
    rows: list[dict[str, Any]],
    seed: int,
  ) -> dict[str, dict[str, np.ndarray]]:
    """Scores every answer of every arm, f64[N] by arm and measure."""
    names = [features.name(row) for row in rows]
    labels = [features.parse(row['answer']) for row in rows]
    scores = {}
    for arm, answers in said.items():
      claims = [features.parse(output) for output in answers.output]
      same = [
        c is not None and c == label
        for c, label in zip(claims, labels, strict=True)
      ]
      scores[arm] = {
        'exact_match': np.array(same, float),
        **description_scores.score(
          [_words(output) for output in answers.output],
          [_words(row['answer']) for row in rows],
          shown.firing,
          simulated.get(arm),
          names,
          seed,
          shown.similar,
        ),
      }
    return scores

  def _predictions(
    self,
    said: Mapping[str, said_lib.Said],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    rows: list[dict[str, Any]],
    chosen: np.ndarray,
  ) -> pa.Table:
    """Returns a row for each arm and record."""
    table = []
    for arm, answers in said.items():
      for n, index in enumerate(chosen.tolist()):
        row = rows[n]
        table.append(
          {
            'arm': arm,
            'record': index,
            **{
              name: row[name]
              for name in ('group', 'place', 'layer', 'feature', 'source')
            },
            'label': row['answer'],
            'label_correlation': row['label_correlation'],
            'output': answers.output[n],
            'log_probability': float(answers.log_probability[n]),
            'claim': features.parse(answers.output[n]) or '',
            **{name: float(v[n]) for name, v in scores[arm].items()},
          }
        )
    return pa.Table.from_pylist(table)

  def _exemplars(
    self, own: simulation.Simulated | None, shown: Shown, chosen: np.ndarray
  ) -> list[dict[str, Any]]:
    """The documents in which each vector is most active, most active first."""
    exemplars = []
    for n, index in enumerate(chosen.tolist()):
      for place in range(_EXEMPLARS):
        activations = shown.firing.activations[n, place]
        if not activations.max() > 0:
          break
        document = int(shown.firing.documents[n, place])
        exemplars.append(
          {
            'record': index,
            'document': document,
            'tokens': shown.tokens[document],
            'activations': activations.tolist(),
            'claimed': own.active[n, place].tolist()
            if own is not None and own.valid[n]
            else [],
          }
        )
    return exemplars


def _words(text: str) -> str | None:
  """Returns a description as it was said, on one line; None for no words."""
  return ' '.join(text.split()) or None

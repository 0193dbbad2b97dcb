# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Scores claims about changed outputs against what re-running showed."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from absl import logging
import ml_collections
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import controls
from selfexplain_jax.fidelity import metadata
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import rerun as rerun_lib
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task as task_lib


@dataclasses.dataclass(frozen=True)
class Changes:
  """How answers to questions about changed outputs are checked.

  Attributes:
    intervene: runs what the questions are about.
    copied: columns of the records that predictions show beside the claim.
    neighbours_within_cells: whether vectors are only alike within a place and
      treatment.
    black_box: answers by asking the target itself; None where a question
      cannot be put to it.
  """

  intervene: rerun_lib.Intervene
  copied: tuple[str, ...]
  neighbours_within_cells: bool = True
  black_box: (
    Callable[[target_lib.Target, list[dict[str, Any]]], list[str]] | None
  ) = None

  def observe(
    self,
    target: target_lib.Target,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    config: ml_collections.ConfigDict,
  ) -> rerun_lib.Rerun:
    """Runs the interventions that the records are about again."""
    shown = rerun_lib.rerun(target, self.intervene, explained, chosen)
    if shown.flips is not None:
      logging.info(
        'In another batch shape %d of %d verdicts flip, %.2f%%',
        np.sum(shown.flips),
        len(chosen),
        100 * np.mean(shown.flips),
      )
    return dataclasses.replace(shown, keep_unstable=config.keep_unstable)

  def controls(
    self, train: controls.Records, evaluated: controls.Records
  ) -> dict[str, Callable[[], list[str]]]:
    """Answers of baselines that see neither vectors nor texts."""
    return {
      'metadata': lambda: metadata.metadata(train, evaluated),
      'majority': lambda: controls.majority(train, evaluated),
    }

  def check(
    self,
    said: Mapping[str, said_lib.Said],
    shown: rerun_lib.Rerun,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    seed: int,
  ) -> task_lib.Checked:
    """Compares what was said with the effects of running the target again.

    Raises:
      errors.InputError: if no verdict holds in another batch shape.
    """
    scored = shown.scored
    if not len(scored):
      raise errors.InputError(
        f'none of {len(chosen)} verdicts holds in another batch shape: '
        'expected another dtype, or --config.keep_unstable'
      )
    unstable = _unstable(shown)
    said = {arm: answers.take(scored) for arm, answers in said.items()}
    shown, chosen = shown.take(scored), chosen[scored]
    rows = [explained.rows[i] for i in chosen]
    return task_lib.Checked(
      {**self._figures(said, shown, rows, seed), **unstable},
      {'predictions': self._predictions(said, shown, rows, chosen)},
    )

  def _figures(
    self,
    said: Mapping[str, said_lib.Said],
    shown: rerun_lib.Rerun,
    rows: list[dict[str, Any]],
    seed: int,
  ) -> dict[str, Any]:
    """Returns the content of metrics.json but for what names the run.

    `rows` and `tests` are over all records, `balanced_rows` and
    `balanced_tests` over those of balanced cells alone; and `known_` and
    `unknown_` of ablation over those about facts that the target was taught, or
    was not.
    """
    known = [row.get('known') for row in rows]
    parts = {
      '': np.arange(len(rows)),
      'balanced_': np.flatnonzero([row['balanced'] for row in rows]),
      'known_': np.flatnonzero([is_known is True for is_known in known]),
      'unknown_': np.flatnonzero([is_known is False for is_known in known]),
    }
    result: dict[str, Any] = {
      'n': len(rows),
      'groups': len({row['group'] for row in rows}),
      'disagreements_with_store': shown.disagreements,
      'confusion': {},
    }
    for prefix, part in parts.items():
      if not len(part):
        continue
      groups = [rows[i]['group'] for i in part]
      bootstrap = statistics.Bootstrap(groups, seed=seed)
      outcomes = {
        arm: metrics.Outcomes.of(
          [shown.effects[i] for i in part],
          [claims.parse(answers.output[i]) for i in part],
          groups,
        )
        for arm, answers in said.items()
      }
      result[f'{prefix}rows'] = {
        arm: metrics.score(outcome, bootstrap)
        for arm, outcome in outcomes.items()
      }
      result[f'{prefix}tests'] = {
        f'self_minus_{arm}': metrics.compare(
          outcomes['self'], outcomes[arm], bootstrap
        )
        for arm in outcomes
        if 'self' in outcomes and arm != 'self'
      }
      if not prefix:
        result['confusion'] = {
          arm: metrics.confusion(outcome).tolist()
          for arm, outcome in outcomes.items()
        }
    return result

  def _predictions(
    self,
    said: Mapping[str, said_lib.Said],
    shown: rerun_lib.Rerun,
    rows: list[dict[str, Any]],
    chosen: np.ndarray,
  ) -> pa.Table:
    """Returns a row for each arm and record."""
    table = []
    for arm, answers in said.items():
      for n, index in enumerate(chosen.tolist()):
        record, effect = rows[n], shown.effects[n]
        claim = claims.parse(answers.output[n])
        table.append(
          {
            'arm': arm,
            'record': index,
            # A set that was made before a column was there says nothing of it.
            **{name: record.get(name) for name in self.copied},
            'output': answers.output[n],
            'log_probability': float(answers.log_probability[n]),
            'claimed': metrics.INVALID if claim is None else int(claim.changed),
            'claimed_content': '' if claim is None else claim.content.strip(),
            'changed': effect.changed,
            'clean_token': shown.clean_token[n],
            'treated_token': shown.treated_token[n],
            'clean_margin': float(shown.clean.margin[n]),
            'treated_margin': float(shown.treated.margin[n]),
            'expected': claims.render(effect.changed, effect.content),
            'exact': claim is not None and claim.matches(effect),
            'content': claim is not None
            and claims.same_content(claim.content, effect.content),
          }
        )
    return pa.Table.from_pylist(table)


def _unstable(shown: rerun_lib.Rerun) -> dict[str, Any]:
  """What another batch shape turns round, if it was tried."""
  if shown.flips is None:
    return {}
  margin = stability.margin(shown.clean, shown.treated)
  return {
    'unstable': {
      **stability.notes(margin, shown.flips),
      'left_out': len(shown.flips) - len(shown.scored),
      'disagreement_share': shown.disagreements / len(shown.flips),
    }
  }

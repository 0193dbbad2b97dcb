# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Scores what the arms said against what re-running showed."""

import importlib.metadata
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import arms as arms_lib
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import rerun as rerun_lib
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import patching

# Differences that are tested, where both arms are there.
_TESTS = (
  ('self', 'stranger'),
  ('self', 'twin'),
  ('self', 'shuffled_vector'),
  ('self', 'zero_vector'),
  ('self', 'untrained'),
  ('self', 'nearest_neighbour'),
  ('self', 'metadata'),
  ('self', 'majority'),
)
_VERSIONS = ('jax', 'jaxlib', 'flax', 'numpy')


def score(
  said: dict[str, arms_lib.Said],
  shown: rerun_lib.Rerun,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
  seed: int,
) -> dict[str, Any]:
  """Returns the content of metrics.json but for what names the run.

  `rows` and `tests` are over all records, `balanced_rows` and `balanced_tests`
  over those of balanced cells alone.
  """
  rows = [explained.rows[i] for i in chosen]
  balanced = np.flatnonzero([row['balanced'] for row in rows])
  result: dict[str, Any] = {
    'n': len(rows),
    'groups': len({row['group'] for row in rows}),
    'disagreements_with_store': shown.disagreements,
    'confusion': {},
  }
  for prefix, part in (('', np.arange(len(rows))), ('balanced_', balanced)):
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
      f'{a}_minus_{b}': metrics.compare(outcomes[a], outcomes[b], bootstrap)
      for a, b in _TESTS
      if a in outcomes and b in outcomes
    }
    if not prefix:
      result['confusion'] = {
        arm: metrics.confusion(outcome).tolist()
        for arm, outcome in outcomes.items()
      }
  return result


def versions() -> dict[str, str]:
  """Versions of what computed the figures."""
  return {name: importlib.metadata.version(name) for name in _VERSIONS}


def predictions(
  said: dict[str, arms_lib.Said],
  shown: rerun_lib.Rerun,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
  tokenizer: tokenizer_lib.Tokenizer,
) -> pa.Table:
  """Returns a row for each arm and record: the claim beside the effect."""
  table = []
  for arm, answers in said.items():
    for n, index in enumerate(chosen.tolist()):
      record, effect = explained.rows[index], shown.effects[n]
      claim = claims.parse(answers.output[n])
      block = patching.layers_text(record['first_layer'], record['last_layer'])
      table.append(
        {
          'arm': arm,
          'record': index,
          **{
            name: record[name]
            for name in (
              'group',
              'counterfactual_group',
              'prompt_kind',
              'position_kind',
              'first_layer',
              'last_layer',
              'position',
              'balanced',
              'text',
              'token_text',
              'counterfactual_text',
            )
          },
          'block': block,
          'output': answers.output[n],
          'log_probability': float(answers.log_probability[n]),
          'claimed': metrics.INVALID if claim is None else int(claim.changed),
          'claimed_content': '' if claim is None else claim.content.strip(),
          'changed': effect.changed,
          'clean_token': tokenizer.token(int(shown.clean_id[n])),
          'patched_token': tokenizer.token(int(shown.patched_id[n])),
          'clean_margin': float(shown.clean_margin[n]),
          'patched_margin': float(shown.patched_margin[n]),
          'expected': claims.render(effect.changed, effect.content),
          'exact': claim is not None and claim.matches(effect),
          'content': claim is not None
          and claims.same_content(claim.content, effect.content),
        }
      )
  return pa.Table.from_pylist(table)

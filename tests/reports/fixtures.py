# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A made-up evaluation: predictions and the figures that belong to them."""

from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import statistics

# How often each arm is right and, else, how often it makes no claim.
ARMS = {
  'self': (0.7, 0.02),
  'stranger': (0.55, 0.05),
  'twin': (0.66, 0.02),
  'untrained': (0.05, 0.6),
  'shuffled_vector': (0.4, 0.02),
  'zero_vector': (0.35, 0.1),
  'nearest_neighbour': (0.45, 0.0),
  'metadata': (0.38, 0.0),
  'majority': (0.1, 0.0),
}
KINDS = ('first_name', 'last_name', 'relation_word', 'last_token')
BLOCKS = ((0, 0), (1, 1), (2, 3), (4, 5))
_FIRST = ('anna', 'boris', 'clara', 'david', 'elena')
_LAST = ('keller', 'novak', 'rossi', 'smith')
_VALUES = ('harp', 'cello', 'flute', 'oboe', 'piano')


def _record(index: int, rng: np.random.Generator) -> dict[str, Any]:
  first, last = rng.choice(_FIRST), rng.choice(_LAST)
  text = f'{first} {last} plays the'
  kind, block = int(rng.integers(len(KINDS))), int(rng.integers(len(BLOCKS)))
  if (kind, block) == (0, 3):
    kind = 1  # A cell without records.
  clean, other = rng.choice(_VALUES, 2, replace=False)
  changed = bool(rng.random() < (0.5 if kind > 1 else 0.7 - 0.2 * block))
  first_layer, last_layer = BLOCKS[block]
  return {
    'record': index,
    'group': f'{first} {last}',
    'counterfactual_group': 'felix meyer',
    'prompt_kind': 'instrument/0',
    'place': KINDS[kind],
    'treatment': f'{first_layer} to {last_layer}'
    if block > 1
    else str(first_layer),
    'position': kind + 1,
    'balanced': bool(block),
    'text': text,
    'token_text': text.split()[kind],
    'counterfactual_text': 'felix meyer plays the',
    'changed': changed,
    'clean_token': str(clean),
    'treated_token': str(other if changed else clean),
  }


def _output(record: dict[str, Any], draw: np.ndarray, arm: str) -> str:
  right, invalid = ARMS[arm]
  if draw[0] < right:
    return claims.render(record['changed'], record['treated_token'])
  if draw[1] < invalid:
    return 'the the <<< harp'
  return claims.render(bool(draw[1] < 0.6), _VALUES[int(draw[2] * 5)])


def predictions(n: int = 240, arms=tuple(ARMS), seed: int = 0) -> pa.Table:
  """A row for each of `n` records and each arm."""
  rng = np.random.default_rng(seed)
  records = [_record(i, rng) for i in range(n)]
  rows = []
  for arm in arms:
    for record in records:
      output = _output(record, rng.random(3), arm)
      said = claims.parse(output)
      true = claims.Claim(record['changed'], record['treated_token'])
      rows.append(
        record
        | {
          'arm': arm,
          'output': output,
          'log_probability': -1.5,
          'claimed': -1 if said is None else int(said.changed),
          'claimed_content': '' if said is None else said.content,
          'expected': claims.render(true.changed, true.content),
          'exact': said is not None and said.matches(true),
          'content': said is not None and said.content == true.content,
        }
      )
  return pa.Table.from_pylist(rows)


def figures(table: pa.Table) -> dict[str, Any]:
  """What metrics.json says about the predictions."""
  by_arm: dict[str, list[dict[str, Any]]] = {}
  for row in table.to_pylist():
    by_arm.setdefault(row['arm'], []).append(row)
  columns = ('changed', 'claimed', 'exact', 'content', 'group')
  outcomes = {
    arm: metrics.Outcomes(
      **{name: np.array([row[name] for row in rows]) for name in columns}
    )
    for arm, rows in by_arm.items()
  }
  groups = [row['group'] for row in next(iter(by_arm.values()))]
  bootstrap = statistics.Bootstrap(groups, 200, seed=0)
  rows = {arm: metrics.score(o, bootstrap) for arm, o in outcomes.items()}
  tests = {
    f'self_minus_{arm}': metrics.compare(
      outcomes['self'], outcomes[arm], bootstrap
    )
    for arm in outcomes
    if arm != 'self' and 'self' in outcomes
  }
  return {
    'task': 'patching',
    'n': len(groups),
    'groups': len(set(groups)),
    'same_when_shuffled': 3,
    'rows': rows,
    'balanced_rows': rows,
    'tests': tests,
    'balanced_tests': tests,
    'confusion': {
      arm: metrics.confusion(o).tolist() for arm, o in outcomes.items()
    },
    'disagreements_with_store': 2,
    'target': 'c0ffee' * 8,
    'seed': 0,
    'split': 'test',
    'versions': {'jax': '0.10.2', 'numpy': '2.3.0'},
  }


def ablated(table: pa.Table) -> pa.Table:
  """The same predictions as those of ablations of the tokens."""
  rows = []
  for row in table.to_pylist():
    removed = row['record'] % 2 == 0
    rows.append(
      {
        **row,
        'treatment': 'removed' if removed else 'replaced',
        'start': row['position'],
        'end': row['position'] + 1,
        'span_text': row['token_text'],
        'replacement_text': '' if removed else 'felix',
      }
    )
  return pa.Table.from_pylist(rows)


def described(
  n: int = 40, arms=('self', 'stranger', 'label')
) -> dict[str, Any]:
  """Figures and tables of descriptions of n features of two layers."""
  rng = np.random.default_rng(1)
  rows, documents = [], []
  for arm in arms:
    for i in range(n):
      right = arm == 'label' or bool(rng.random() < 0.6)
      said = f'the first name name{i}' if right else 'a last name'
      rows.append(
        {
          'arm': arm,
          'record': i,
          'place': 'feature',
          'layer': i % 2,
          'source': f'feature {i}',
          'label': f'the first name name{i}',
          'label_correlation': 0.875,
          'output': said,
          'claim': said,
          'exact_match': float(right),
          'simulator': 0.75 if right else 0.0,
          'simulator_per_sequence': 0.75,
          'detection': 0.75 if i else float('nan'),
          'fuzzing': 0.5,
          'similarity': 1.0,
          'valid_rate': 1.0,
        }
      )
  for i in range(n - 1):  # The last one is active nowhere.
    documents.append(
      {
        'record': i,
        'document': 3,
        'tokens': ['<bos>', 'so', f'name{i}', '<b>', 'and'],
        'activations': [0.0, 0.0, 4.0, 1.0, 0.0],
        'claimed': [False, False, True, False, False],
      }
    )
  estimate = {'value': 0.5, 'ci95': [0.25, 0.75]}
  test = {**estimate, 'p': 0.001}
  measures = ('exact_match', 'simulator', 'detection', 'valid_rate')
  metrics_ = {
    'task': 'features',
    'n': n,
    'groups': n,
    'silent': 1,
    'documents': 20,
    'similarity': {'kind': 'words', 'missing': dict.fromkeys(arms, 0)},
    'simulator': {'kind': 'executed'},
    'same_when_shuffled': 0,
    'same_answer_when_shuffled': 2,
    'rows': {arm: dict.fromkeys(measures, estimate) for arm in arms},
    'tests': {
      f'self_minus_{arm}': dict.fromkeys(measures[:3], test)
      for arm in arms
      if 'self' in arms and arm != 'self'
    },
    'target': 'c0ffee' * 8,
    'seed': 0,
    'split': 'test',
    'versions': {'jax': '0.10.2'},
  }
  return {
    'metrics': metrics_,
    'tables': {
      'predictions': pa.Table.from_pylist(rows),
      'exemplars': pa.Table.from_pylist(documents),
    },
  }

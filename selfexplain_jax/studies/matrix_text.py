# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A study's matrix as plain text, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import wording
from selfexplain_jax.studies import sums as sums_lib

_NAME, _CELL = 34, 48  # Columns of a terminal.


def table(
  task: str,
  blocks: Mapping[str, Mapping[str, Any]],
  arms: Sequence[str],
  rates: Mapping[str, Mapping[str, float | None]],
) -> str:
  """Renders the matrix of one question type.

  Args:
    task: the question type.
    blocks: by target, what `matrix.block` returns.
    arms: in the order in which they are shown.
    rates: by target and arm, the learning rate that was chosen.

  Returns:
    For each metric arms by targets, a figure with its interval and the figure
    of each seed; then the paired tests, with p and the sign in each seed.
  """
  lines = []
  for metric in sums_lib.METRICS[task]:
    title = f'{task}, {wording.plain(metric)}'
    lines += ['', _line(title, [f'target {name}' for name in blocks])]
    for arm in arms:
      found = [blocks[target]['rows'].get(arm) for target in blocks]
      if any(found):
        cells = [_figure(row[metric]) if row else '-' for row in found]
        lines.append(_line(wording.plain(arm), cells))
    # In the order of the tests of the first target that has them.
    names = dict.fromkeys(
      name for target in blocks for name in blocks[target]['tests']
    )
    for name in names:
      tested = [blocks[target]['tests'].get(name) for target in blocks]
      cells = [_test(test[metric]) if test else '-' for test in tested]
      lines.append(_line(wording.plain(name), cells))
  lines += ['', _line(f'{task}, learning rate', [''] * len(blocks))]
  for arm in arms:
    chosen = [rates[target].get(arm) for target in blocks]
    if any(chosen):
      cells = ['-' if rate is None else f'{rate:g}' for rate in chosen]
      lines.append(_line(wording.plain(arm), cells))
  return '\n'.join(lines[1:])


def _line(name: str, cells: Sequence[str]) -> str:
  shown = ''.join(f'{cell:<{_CELL}}' for cell in cells)
  return f'{name:<{_NAME}}{shown}'.rstrip()


def _figure(estimate: Mapping[str, Any]) -> str:
  seeds = ' '.join(_number(v) for v in estimate['by_seed'].values())
  return f'{_with_interval(estimate)} ({seeds})'


def _test(test: Mapping[str, Any]) -> str:
  signs = ''.join(
    '?' if gap is None else '+' if gap > 0 else '-' if gap < 0 else '0'
    for gap in test['by_seed'].values()
  )
  p = test['p']
  shown = '' if p is None else f' p={p:.4f}'
  return f'{_with_interval(test, "+")}{shown} {signs}'


def _with_interval(estimate: Mapping[str, Any], sign: str = '') -> str:
  ends = numbers.bounds(estimate)
  interval = (
    '' if ends is None else f' [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]'
  )
  return f'{_number(estimate["value"], sign)}{interval}'


def _number(value: float | None, sign: str = '') -> str:
  return 'undefined' if value is None else f'{value:{sign}.3f}'

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The claims of evaluations, to be looked through with filters."""

from collections.abc import Mapping
import dataclasses
import functools
import os
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import evaluations
from selfexplain_jax.reports import examples
from selfexplain_jax.reports import wording

_PAGE = 25  # Claims that are shown at once.


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """An evaluation whose claims can be looked through.

  Attributes:
    directory: its workdir.
    figures: the content of its metrics.json.
  """

  directory: str
  figures: Mapping[str, Any]

  @functools.cached_property
  def rows(self) -> list[dict[str, Any]]:
    """What every arm said of every record, as it is shown.

    Raises:
      errors.InputError: if the predictions are damaged.
    """
    rows = evaluations.table(self.directory).to_pylist()
    return [_shown(row, self.figures['task']) for row in rows]

  @property
  def arms(self) -> list[str]:
    """Who answered."""
    return wording.in_order(self.figures.get('rows', {}))

  def page(
    self, arm: str, right: str = '', words: str = '', number: int = 0
  ) -> dict[str, Any]:
    """Returns some claims of an arm.

    Args:
      arm: who made them.
      right: `true` or `false`, for those that are and are not; empty for all.
      words: that all occur in what is shown of a claim.
      number: of the page, from 0.

    Raises:
      errors.InputError: naming what there is not.
    """
    if arm not in self.arms:
      raise errors.InputError(
        f'no arm {arm!r}: expected one of {", ".join(self.arms)}'
      )
    if right not in ('', 'true', 'false'):
      raise errors.InputError(
        f'right is {right!r}: expected true, false or nothing'
      )
    wanted = words.casefold().split()
    found = [
      row
      for row in self.rows
      if row['arm'] == arm
      and right in ('', 'true' if row['right'] else 'false')
      and all(word in row['all'] for word in wanted)
    ]
    pages = max(1, -(-len(found) // _PAGE))
    if not 0 <= number < pages:
      raise errors.InputError(f'no page {number}: expected 0 to {pages - 1}')
    chosen = found[number * _PAGE : (number + 1) * _PAGE]
    return {
      'count': len(found),
      'page': number,
      'pages': pages,
      'claims': [
        {n: v for n, v in row.items() if n != 'all'} for row in chosen
      ],
    }


def find(directory: str) -> dict[str, Evaluation]:
  """Returns the evaluations in a folder, by their place in it.

  Raises:
    errors.InputError: if the figures of one are damaged.
  """
  top = os.fspath(files.path(directory))
  return {
    os.path.relpath(os.fspath(place), top): Evaluation(
      str(place), evaluations.figures(place)
    )
    for place in evaluations.find(directory)
  }


def _shown(row: Mapping[str, Any], task: str) -> dict[str, Any]:
  """What is shown of a claim, and all of it as text to search in."""
  if task == 'features':
    shown = {
      'asked': f'layer {row["layer"]}, {row["source"]}',
      'claim': row['output'],
      'shown': row['label'],
      'outcome': 'right' if row['exact_match'] else 'wrong',
      'right': bool(row['exact_match']),
    }
  else:
    where = f'{wording.plain(row["place"])}, {row["treatment"]}'
    shown = {
      'asked': f'{row["text"]} ({where})',
      'claim': examples.claim(row),
      'shown': row['expected'],
      'outcome': examples.outcome(row).split(' ', 1)[1],
      'right': bool(row['exact']),
    }
  text = ' '.join(str(value) for value in shown.values()).casefold()
  return {'arm': row['arm'], 'record': row['record'], **shown, 'all': text}

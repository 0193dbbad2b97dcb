# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Splits of published data: theirs, and a validation split cut from training.

Choices are made on validation, so it must not be of the test data; and whoever
or whatever a validation record is about is in no training record.
"""

from collections.abc import Mapping, Sequence
from typing import Any
import zlib

import ml_collections
import numpy as np

from selfexplain_jax import errors

NAMES = ('train', 'validation', 'test')


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the share of validation.

  Raises:
    errors.InputError: if it is none.
  """
  if not 0 < config.validation_share < 1:
    raise errors.InputError(
      f'config.validation_share is {config.validation_share}: expected above 0 '
      'and below 1'
    )


def split(published: str, unit: str, config: ml_collections.ConfigDict) -> str:
  """Returns the split of a record.

  Args:
    published: its split in the published data, `train` or `test`.
    unit: what it is about; all that is about the same is of one split.
    config: `seed`, and `validation_share`, which is cut from `train`.
  """
  if published != 'train':
    return published
  draw = zlib.crc32(f'{config.seed}/validation/{unit}'.encode()) / 2**32
  return 'validation' if draw < config.validation_share else 'train'


def require_all(records: Sequence[Mapping[str, Any]]) -> None:
  """Raises an error if a split has no record.

  Raises:
    errors.InputError: naming the split.
  """
  for name in NAMES:
    if not any(record['split'] == name for record in records):
      raise errors.InputError(
        f'the published data give no record of split {name}: expected more '
        'rows, or another config.validation_share'
      )


def shared(
  records: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> dict[str, dict[str, float]]:
  """Returns how much of other splits occurs in training.

  Args:
    records: of all splits.
    columns: that say what a record is about.

  Returns:
    By split and column, the share of different values that training records
    have too.
  """
  found: dict[str, dict[str, float]] = {}
  for name in NAMES[1:]:
    found[name] = {}
    for column in columns:
      learnt, own = (
        {r[column] for r in records if r['split'] == s} for s in ('train', name)
      )
      found[name][column] = len(own & learnt) / max(len(own), 1)
  return found


def with_balance(
  records: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
  """Adds `balanced` to records of changed outputs.

  Of each cell it is true of as many changed as unchanged records of a split, of
  all there are of the rarer verdict; of the other, which ones is drawn.
  """
  verdicts: dict[tuple[str, str, str], tuple[list[int], list[int]]] = {}
  for n in _order(len(records), 'balance'):
    own = verdicts.setdefault(_cell(records[n]), ([], []))
    own[bool(records[n]['changed'])].append(n)
  chosen: set[int] = set()
  for both in verdicts.values():
    even = min(map(len, both))
    for members in both:
      chosen.update(members[:even])
  return [{**r, 'balanced': n in chosen} for n, r in enumerate(records)]


def shuffled(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Returns records in an order that is not that of their files.

  Files go layer by layer, and whoever takes the first records means any.
  """
  return [records[n] for n in _order(len(records), 'order')]


def _order(count: int, purpose: str) -> list[int]:
  """Returns an order of so many things, the same each time."""
  rng = np.random.default_rng(zlib.crc32(purpose.encode()))
  return rng.permutation(count).tolist()


def _cell(record: Mapping[str, Any]) -> tuple[str, str, str]:
  return record['split'], record['place'], record['treatment']

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Chance that depends on names alone, and not on what else there is."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files

T = TypeVar('T')


def generator(*parts: str | int) -> np.random.Generator:
  """Returns a generator seeded by a hash of numbers and texts."""
  return np.random.default_rng(int(files.digest_json(parts)[:32], 16))


def fraction(*parts: str | int) -> float:
  """Returns a hash of numbers and texts, uniform from 0 to below 1."""
  return int(files.digest_json(parts)[:13], 16) / 16**13


def in_order(items: Sequence[T], key, *parts: str | int) -> list[T]:
  """Sorts items by a hash of their keys."""
  return sorted(items, key=lambda item: fraction(*parts, key(item)))


def check_shares(shares: dict[str, float]) -> None:
  """Checks the shares of validation and test.

  Raises:
    errors.InputError: if one is not above 0, or nothing is left to train on.
  """
  if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
    raise errors.InputError(
      f'config.shares is {shares}: expected shares above 0 of validation and '
      'test, together below 1'
    )


def split(seed: int, unit: str, shares: dict[str, float]) -> str:
  """Returns the split of all that is about one unit.

  Args:
    seed: of the draw.
    unit: whom or what it is about.
    shares: of `validation` and `test`.
  """
  drawn = fraction(seed, 'split', unit)
  if drawn < shares['test']:
    return 'test'
  held_out = shares['test'] + shares['validation']
  return 'validation' if drawn < held_out else 'train'

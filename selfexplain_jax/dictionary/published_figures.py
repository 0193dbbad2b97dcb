# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Figures of dictionaries held against those that were published with them.

A dictionary that is read wrongly still has directions and features. It shows in
how many fire and in how well they reconstruct, and nowhere else.
"""

from collections.abc import Mapping, Sequence

import ml_collections

from selfexplain_jax import errors

# Features that fire in a row, as a share of the width, beyond which nobody
# would have published them.
_ABSURD = 0.5

_FIGURES = ('l0', 'variance_explained')


def config() -> ml_collections.ConfigDict:
  """Returns the fields of a configuration: nothing is expected.

  `l0` and `variance_explained` are one number for all layers, or one a layer in
  ascending order; the tolerances are a share of L0, and a difference.
  """
  return ml_collections.ConfigDict(
    dict(
      l0=(),
      variance_explained=(),
      l0_tolerance=0.2,
      variance_explained_tolerance=0.05,
    )
  )


def check_config(
  expected: ml_collections.ConfigDict, layers: Sequence[int]
) -> None:
  """Checks how many numbers are given.

  Raises:
    errors.InputError: if it is neither none, nor one, nor one a layer.
  """
  for name in _FIGURES:
    if len(expected[name]) not in (0, 1, len(layers)):
      raise errors.InputError(
        f'config.expected.{name} has {len(expected[name])} numbers: expected '
        f'none, one, or one for each of the {len(layers)} layers'
      )


def given(expected: ml_collections.ConfigDict) -> bool:
  """Whether anything is expected."""
  return any(len(expected[name]) for name in _FIGURES)


def misses(
  found: Mapping[int, Mapping[str, float]],
  width: int,
  expected: ml_collections.ConfigDict,
) -> list[str]:
  """Says, a line each, where dictionaries are not as published.

  Args:
    found: what `evaluation.evaluate` found.
    width: D, of the activations.
    expected: as `config`, checked by `check_config`.
  """
  lines = []
  for n, (layer, figures) in enumerate(sorted(found.items())):
    l0 = figures['l0']
    if not 0 < l0 <= _ABSURD * width:
      lines.append(
        f'layer {layer}: {l0:.4g} features fire in a row of width {width}, '
        f'expected above 0 and at most {_ABSURD * width:.4g}: are thresholds '
        'and activations in the same units?'
      )
    for name in _FIGURES:
      if not expected[name]:
        continue
      wanted = expected[name][n if len(expected[name]) > 1 else 0]
      allowed = expected[f'{name}_tolerance']
      allowed *= wanted if name == 'l0' else 1
      if not abs(figures[name] - wanted) <= allowed:
        lines.append(
          f'layer {layer}: {name} is {figures[name]:.4g}, expected '
          f'{wanted:.4g} within {allowed:.2g}'
        )
  return lines

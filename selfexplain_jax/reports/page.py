# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What the pages of all question types share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib import parse

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from selfexplain_jax import errors
from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import plots
from selfexplain_jax.reports import wording


def template(name: str) -> jinja2.Template:
  """Returns a template, in which all text is escaped."""
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('selfexplain_jax.reports'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  environment.filters.update(
    percent=numbers.percent,
    signed=numbers.signed,
    interval=numbers.interval,
    p_value=numbers.p_value,
    arm=wording.arm,
    plain=wording.plain,
  )
  return environment.get_template(name)


def link(section: str, **fields: str) -> str:
  """Returns where a link goes that chooses what a section of the page shows.

  Args:
    section: its id.
    **fields: of the form in it, and what they are set to.
  """
  return f'#{section}?{parse.urlencode(fields)}'


def by_arm(
  predictions: pa.Table, rows: Mapping[str, Any], columns: Iterable[str]
) -> dict[str, pa.Table]:
  """Returns the predictions of each arm, in the order in which arms are shown.

  Args:
    predictions: a row for each arm and record.
    rows: figures by arm.
    columns: that the page needs.

  Raises:
    errors.InputError: if a column is missing, or there is no record of an arm.
  """
  missing = sorted(set(columns).difference(predictions.column_names))
  if missing:
    raise errors.InputError(
      f'predictions: expected columns {", ".join(missing)}, which are missing'
    )
  said = {}
  for arm in wording.in_order(rows):
    said[arm] = predictions.filter(pc.equal(predictions['arm'], arm))
    if not said[arm].num_rows:
      raise errors.InputError(f'predictions: expected rows of arm {arm!r}')
  return said


def exact_match_plot(rows: Mapping[str, Any], arms: Sequence[str]) -> str:
  """Draws exact match of every arm, with its interval."""
  estimates = [rows[arm]['exact_match'] for arm in arms]
  shares = (
    f'{wording.arm(arm)} {numbers.percent(estimate["value"])}'
    for arm, estimate in zip(arms, estimates, strict=True)
  )
  return plots.whiskers(
    'exact_match',
    f'Exact match of every arm: {", ".join(shares)}',
    [wording.arm(arm) for arm in arms],
    estimates,
  )

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Plots for people who look, as SVG to put into a page.

Equal input gives equal bytes. Text stays text, so that it can be read aloud,
searched and copied. Colours are told apart by the colour-blind and in grey, and
those outside cells follow the page where it is dark.
"""

from collections.abc import Mapping, Sequence
import html
import io
import re
from typing import Any

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import patches

from selfexplain_jax.reports import numbers

_INK = '#1a1a1a'
_EMPHASIS = '#0060a8'
_PAPER = '#ffffff'
_GRID = '#dddddd'
# Within cells, whose colours are the same on any page.
_EMPTY = '#e4e4e4'
_ON_BRIGHT, _ON_DARK = '#111111', '#fefefe'
# What a page may say that these are; alone, plots are for white paper.
_THEME = {
  _INK: 'currentColor',
  _EMPHASIS: f'var(--blue, {_EMPHASIS})',
  _PAPER: f'var(--paper, {_PAPER})',
  _GRID: f'var(--line, {_GRID})',
}
_STYLE: dict[Any, Any] = {
  'svg.fonttype': 'none',
  'font.size': 10,
  'axes.edgecolor': '#777777',
  'axes.facecolor': 'none',
  'figure.facecolor': 'none',
  'text.color': _INK,
  'axes.labelcolor': _INK,
  'xtick.color': _INK,
  'ytick.color': _INK,
  'hatch.color': '#999999',
}
_COLOUR_MAP = matplotlib.colormaps['cividis']

_LINKED_CELL = re.compile(r'(<a xlink:href="[^"]*") target="_blank">(\s*<path)')

Table = Sequence[Sequence[float | None]]


@matplotlib.rc_context(_STYLE)
def whiskers(
  name: str,
  description: str,
  labels: Sequence[str],
  estimates: Sequence[Mapping[str, Any]],
) -> str:
  """Draws shares as dots and their intervals as lines, the first on top.

  Args:
    name: of the plot, unique in the page.
    description: what it shows, for those who do not see it.
    labels: of the rows; the first is emphasised.
    estimates: for each row `value`, a share or None, and `ci95`.

  Returns:
    An svg element.
  """
  # Inches below the rows, for the axis, and per row.
  bottom, height = 0.3, 0.36 * len(labels)
  whole = bottom + height
  figure = figure_lib.Figure(figsize=(7.6, whole))
  axes = figure.add_axes((0.19, bottom / whole, 0.7, height / whole))
  for y, estimate in enumerate(estimates):
    colour = _INK if y else _EMPHASIS
    value, ends = estimate['value'], numbers.bounds(estimate)
    if ends:
      axes.plot(ends, (y, y), color=colour, linewidth=2.2 if y == 0 else 1.4)
    if value is not None:
      axes.plot(
        value,
        y,
        marker='o',
        markersize=8 if y == 0 else 6.5,
        color=colour,
        markerfacecolor=_PAPER if y else colour,
        markeredgewidth=1.4,
        clip_on=False,  # At 0 and at 1 half of it is outside.
      )
    axes.text(
      max(value or 0, ends[1] if ends else 0) + 0.02,
      y,
      numbers.percent(value),
      verticalalignment='center',
      color=colour,
      fontweight='normal' if y else 'bold',
    )
  axes.set_xlim(0, 1)
  axes.set_ylim(len(labels) - 0.4, -0.6)
  axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ['0%', '25%', '50%', '75%', '100%'])
  axes.set_yticks(range(len(labels)), labels)
  axes.tick_params(length=0)
  axes.tick_params(axis='y', pad=8)
  axes.set_axisbelow(True)
  axes.grid(axis='x', color=_GRID, linewidth=0.8)
  axes.spines[:].set_visible(False)
  return _svg(figure, name, description)


@matplotlib.rc_context(_STYLE)
def heat_map(
  name: str,
  description: str,
  row_labels: Sequence[str],
  column_labels: Sequence[str],
  values: Table,
  counts: Sequence[Sequence[int]],
  title: str = 'layers',
  difference: bool = False,
  links: Sequence[Sequence[str]] | None = None,
) -> str:
  """Draws shares, or differences of shares, over places x treatments.

  Shares are coloured from 0 to 1; differences from minus to plus the largest.

  Args:
    name: of the plot, unique in the page.
    description: what it shows, for those who do not see it.
    row_labels: places.
    column_labels: treatments.
    values: [rows, columns], None in cells without records.
    counts: numbers of records, [rows, columns].
    title: what the columns are.
    difference: whether values are differences.
    links: where cells with records lead, [rows, columns].

  Returns:
    An svg element.
  """
  rows, columns = len(row_labels), len(column_labels)
  low, high = 0.0, 1.0
  if difference:
    known = [abs(v) for row in values for v in row if v is not None]
    high = max([0.01, *known])
    low = -high
  # Margins in inches, so that cells are of one size in all maps.
  left, bottom, width, height = 1.05, 0.55, 0.66 * columns, 0.5 * rows
  whole = (left + width + 0.02, bottom + height + 0.02)
  figure = figure_lib.Figure(figsize=whole)
  axes = figure.add_axes(
    (left / whole[0], bottom / whole[1], width / whole[0], height / whole[1])
  )
  for i, row in enumerate(values):
    for j, value in enumerate(row):
      cell = patches.Rectangle((j, i), 1, 1, edgecolor=_PAPER)
      axes.add_patch(cell)
      if value is None:
        cell.set(facecolor=_EMPTY, edgecolor='#999999', hatch='////')
        continue
      colour = _COLOUR_MAP((value - low) / (high - low))
      cell.set_facecolor(colour)
      link = links[i][j] if links else None
      cell.set_url(link)
      ink = _ON_BRIGHT if _brightness(colour) > 0.5 else _ON_DARK
      text = numbers.signed(value) if difference else f'{100 * value:.0f}%'
      for y, size, line, url in (
        (i + 0.5, 10.5, text, link),
        (i + 0.82, 7.5, f'n={counts[i][j]}', None),
      ):
        axes.text(
          j + 0.5,
          y,
          line,
          fontsize=size,
          color=ink,
          horizontalalignment='center',
          url=url,
        )
  axes.set_xlim(0, columns)
  axes.set_ylim(rows, 0)
  axes.set_xticks([j + 0.5 for j in range(columns)], column_labels, fontsize=9)
  axes.set_yticks([i + 0.5 for i in range(rows)], row_labels)
  axes.set_xlabel(title)
  axes.tick_params(length=0)
  axes.spines[:].set_visible(False)
  return _svg(figure, name, description)


def _brightness(rgba: Sequence[float]) -> float:
  red, green, blue = rgba[:3]
  return 0.299 * red + 0.587 * green + 0.114 * blue


def _svg(figure: figure_lib.Figure, name: str, description: str) -> str:
  """Returns the svg element of a figure, without what varies or clashes.

  Ids that nothing refers to are dropped and the others are hashed with the
  plot's name, so that several plots fit into one page.
  """
  content = io.StringIO()
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  with matplotlib.rc_context({'svg.hashsalt': name}):
    figure.savefig(content, format='svg', metadata=nothing)
  svg = content.getvalue()
  svg = svg[svg.index('<svg') :].replace('<g id="', '<g data-part="').strip()
  for colour, meant in _THEME.items():
    svg = svg.replace(f': {colour}', f': {meant}')
  label = html.escape(description, quote=True)
  # Links open no window of their own; of a cell's two, the text is one to hear.
  svg = _LINKED_CELL.sub(r'\1 tabindex="-1" aria-hidden="true">\2', svg)
  svg = svg.replace(' target="_blank"', '')
  # What is within an image is not read aloud, links neither.
  role = 'group' if '<a ' in svg else 'img'
  return svg.replace('<svg ', f'<svg role="{role}" aria-label="{label}" ', 1)

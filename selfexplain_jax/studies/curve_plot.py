# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Scores over the number of training examples, as SVG.

Equal input gives equal bytes, and text stays text.
"""

from collections.abc import Mapping, Sequence
import html
import io
from typing import Any

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import ticker

from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import wording

_STYLE: dict[Any, Any] = {
  'svg.fonttype': 'none',
  'svg.hashsalt': 'curves',
  'font.size': 10,
  'axes.edgecolor': '#777777',
}
# Told apart by the colour-blind, and in grey by their markers.
_LINES = (
  ('#0060a8', 'o'),
  ('#d55e00', 's'),
  ('#555555', '^'),
  ('#009e73', 'D'),
)

Points = Sequence[Mapping[str, Any]]


@matplotlib.rc_context(_STYLE)
def dots(
  description: str, panels: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> str:
  """Draws panels with a dot and its interval for each of several kinds.

  Args:
    description: what it shows, for those who do not see it.
    panels: by what it shows and kind, an estimate with `value` and `ci95`; the
      same kinds in all.

  Returns:
    An svg element.
  """
  kinds = list(next(iter(panels.values())))
  figure = figure_lib.Figure(
    figsize=(4.4 * len(panels), 1.1 + 0.35 * len(kinds)), layout='constrained'
  )
  places = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
  colour, marker = _LINES[0]
  for axes, (title, estimates) in zip(places, panels.items(), strict=True):
    for row, estimate in enumerate(estimates.values()):
      if estimate['value'] is not None:
        axes.plot(estimate['value'], row, color=colour, marker=marker)
      if (ends := numbers.bounds(estimate)) is not None:
        axes.plot(ends, (row, row), color=colour, linewidth=1)
    axes.set_yticks(range(len(kinds)), [wording.plain(kind) for kind in kinds])
    axes.set_xlim(left=min(0, axes.dataLim.xmin))
    axes.set_xlabel(wording.plain(title))
    axes.grid(color='#dddddd', linewidth=0.8, axis='x')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
  places[0].set_ylim(len(kinds) - 0.5, -0.5)  # The first one on top.
  return _svg(figure, description)


@matplotlib.rc_context(_STYLE)
def curves(
  description: str,
  panels: Mapping[str, Mapping[str, Points]],
  bands: Mapping[str, Mapping[str, Points]] | None = None,
  over: str = 'training examples',
) -> str:
  """Draws panels with a line and its intervals for each arm.

  Args:
    description: what it shows, for those who do not see it.
    panels: by what it shows and arm, points with `examples`, `value` and
      `ci95`. An arm may be absent from some; it looks the same in all.
    bands: by the same, points of fits with their bands, which stand in place of
      lines between the points.
    over: what points are over, if not over numbers of examples.

  Returns:
    An svg element.
  """
  arms_of_all = dict.fromkeys(arm for arms in panels.values() for arm in arms)
  styles = dict(zip(arms_of_all, _LINES))
  lines: dict[str, Any] = {}
  figure = figure_lib.Figure(
    figsize=(4.4 * len(panels), 3.6), layout='constrained'
  )
  places = figure.subplots(1, len(panels), squeeze=False)[0]
  for axes, (title, arms) in zip(places, panels.items(), strict=True):
    for arm, points in arms.items():
      colour, marker = styles[arm]
      known = [p for p in points if p['value'] is not None]
      fitted = (bands or {}).get(title, {}).get(arm, ())
      (lines[arm],) = axes.plot(
        [p['examples'] for p in known],
        [p['value'] for p in known],
        color=colour,
        marker=marker,
        markersize=5,
        linestyle='none' if fitted else 'solid',
      )
      if fitted:
        x = [p['examples'] for p in fitted]
        axes.plot(x, [p['value'] for p in fitted], color=colour)
        axes.fill_between(
          *(x, *zip(*(p['ci95'] for p in fitted))),
          color=colour,
          alpha=0.15,
          linewidth=0,
        )
      for point in known:
        ends = numbers.bounds(point)
        if ends is not None:
          x = point['examples']
          axes.plot((x, x), ends, color=colour, linewidth=1, alpha=0.6)
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter('{x:,.0f}'))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_ylim(bottom=min(0, axes.dataLim.ymin))
    axes.set_xlabel(over)
    axes.set_ylabel(wording.plain(title))
    axes.grid(color='#dddddd', linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
  if len(places):
    names = [wording.plain(arm) for arm in styles]
    places[0].legend([lines[arm] for arm in styles], names, frameon=False)
  return _svg(figure, description)


def _svg(figure: figure_lib.Figure, description: str) -> str:
  content = io.StringIO()
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  figure.savefig(content, format='svg', metadata=nothing)
  svg = content.getvalue()
  label = html.escape(description, quote=True)
  svg = svg[svg.index('<svg') :].strip()
  return svg.replace('<svg ', f'<svg role="img" aria-label="{label}" ', 1)

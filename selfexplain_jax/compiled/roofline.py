# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How long a compiled program takes at least, and what holds it up.

Three things go on at once: products, traffic with the main memory, and messages
between chips. The longest of them is a bound from below; what overlaps badly
takes longer. Where fusions pass arrays on, traffic is counted a little high; of
kernels it is a least.
"""

import dataclasses
from typing import Any

from selfexplain_jax.compiled import chips
from selfexplain_jax.compiled import costs as costs_lib


@dataclasses.dataclass(frozen=True)
class Roofline:
  """Seconds of one run, at least.

  Attributes:
    compute: of products of matrices.
    memory: of traffic with the main memory.
    links: of messages within a slice, along one axis of its torus.
    network: of messages between slices.
  """

  compute: float
  memory: float
  links: float
  network: float

  @property
  def seconds(self) -> float:
    """The longest."""
    return max(dataclasses.astuple(self))

  @property
  def bound(self) -> str:
    """Which it is."""
    times = dataclasses.asdict(self)
    return max(times, key=lambda name: times[name])


def roofline(costs: costs_lib.Costs, chip: chips.Chip) -> Roofline:
  """Returns how long a program takes on a kind of chip."""
  sent = {
    between: sum(
      m.bytes * m.times for m in costs.messages if m.between == between
    )
    for between in (False, True)
  }
  return Roofline(
    compute=costs.passes / chip.flops,
    memory=costs.bytes / chip.bandwidth,
    links=sent[False] / chip.links,
    network=sent[True] / chip.network,
  )


def collectives(costs: costs_lib.Costs) -> dict[str, dict[str, Any]]:
  """Returns how often each kind of message runs, and bytes a chip sends."""
  found: dict[str, dict[str, Any]] = {}
  for message in costs.messages:
    where = ' between slices' if message.between else ''
    one = found.setdefault(
      f'{message.kind} of {message.group}{where}', {'times': 0, 'bytes': 0.0}
    )
    one['times'] += round(message.times)
    one['bytes'] += message.bytes * message.times
  return dict(sorted(found.items()))

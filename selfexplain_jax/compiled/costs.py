# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What one run of a compiled program takes on one chip: work, bytes, messages.

XLA's own analysis counts the body of a loop once, however often it runs, and a
kernel as nothing. Here bodies are counted as often as they run, and kernels by
formula.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import math
import re

import numpy as np

from selfexplain_jax.compiled import hlo
from selfexplain_jax.compiled import kernels
from selfexplain_jax.compiled import products

COLLECTIVES = (
  'all-gather',
  'all-reduce',
  'reduce-scatter',
  'all-to-all',
  'collective-permute',
)

# What moves nothing through the main memory.
_FREE = {
  *('parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while'),
  *('conditional', 'call', 'after-all', 'partition-id', 'replica-id', 'iota'),
  *('opt-barrier', 'custom-call', 'async-start', 'async-update', 'async-done'),
  *(
    f'{name}{part}' for name in COLLECTIVES for part in ('', '-start', '-done')
  ),
  *(
    'copy-done',
    'slice-done',
    'send',
    'send-done',
    'recv',
    'recv-done',
    'domain',
  ),
}

# Passes of a unit that multiplies bfloat16 which a product of float32 takes.
_PASSES = {'highest': 6, 'high': 3}


@dataclasses.dataclass(frozen=True)
class Message:
  """A collective operation.

  Attributes:
    kind: one of `COLLECTIVES`.
    bytes: that a chip sends, with rings.
    group: chips that take part.
    between: whether they are on several slices.
    times: how often it runs.
    channel: tells it from others.
  """

  kind: str
  bytes: float
  group: int
  between: bool
  times: float
  channel: str


@dataclasses.dataclass
class Costs:
  """Of one run on one chip.

  Attributes:
    flops: multiplications and additions of matrix products.
    passes: the same, weighted with the passes that a product takes.
    bytes: read from the main memory and written to it.
    messages: collective operations.
    kernels: names of kernels and how often they run.
    loops: loops of which nobody knows how often they run.
  """

  flops: float = 0.0
  passes: float = 0.0
  bytes: float = 0.0
  messages: list[Message] = dataclasses.field(default_factory=list)
  kernels: dict[str, float] = dataclasses.field(default_factory=dict)
  loops: int = 0

  def add(self, other: 'Costs', times: float = 1.0) -> None:
    """Adds what another takes, so many times."""
    self.flops += times * other.flops
    self.passes += times * other.passes
    self.bytes += times * other.bytes
    self.loops += other.loops
    self.messages += [
      dataclasses.replace(m, times=m.times * times) for m in other.messages
    ]
    for name, count in other.kernels.items():
      self.kernels[name] = self.kernels.get(name, 0) + times * count


def count(text: str, trips: int = 1, slice_chips: int | None = None) -> Costs:
  """Counts what a program takes.

  Args:
    text: of the program, partitioned and optimised.
    trips: how often loops run of which that is not known.
    slice_chips: chips of a slice; None if there is one slice.
  """
  return _Counter(hlo.parse(text), trips, slice_chips).whole()


class _Counter:
  """Goes through a program, each computation once."""

  def __init__(self, module: hlo.Module, trips: int, slice_chips: int | None):
    self._module, self._trips, self._slice = module, trips, slice_chips
    self._found: dict[str, Costs] = {}

  def whole(self) -> Costs:
    costs = self._executed(self._module.entry)
    # A step may be fused with work in a loop within: the whole of it runs as
    # often as the step that runs least.
    least: dict[tuple[str, str], Message] = {}
    for message in costs.messages:
      key = (message.kind, message.channel)
      if key not in least or message.times < least[key].times:
        least[key] = message
    return dataclasses.replace(costs, messages=list(least.values()))

  def _executed(self, name: str) -> Costs:
    """The costs of a computation that runs instruction by instruction."""
    if name in self._found:
      return self._found[name]
    computation = self._module.computations[name]
    costs = self._found[name] = Costs()
    # The compiler cuts a collective into steps that it fuses with other work;
    # each step names the whole of it, and all of them its channel.
    channels: set[str] = set()
    for one in computation.instructions:
      costs.bytes += self._bytes(computation, one)
      match one.opcode:
        case 'while':
          trips = self._module.trips(one)
          if trips is None:
            trips, costs.loops = self._trips, costs.loops + 1
          costs.add(self._executed(one.attribute('body') or ''), trips)
        case 'conditional':
          branches = [self._executed(branch) for branch in one.called]
          costs.add(max(branches, key=lambda c: (c.flops, c.bytes)))
        case 'call':
          costs.add(self._executed(one.attribute('to_apply') or ''))
        case 'async-start':
          costs.add(self._executed(one.attribute('calls') or ''))
        case _:
          for inner in self._within(computation, one):
            self._count(*inner, costs, channels)
    return costs

  def _within(
    self, computation: hlo.Computation, one: hlo.Instruction
  ) -> Iterator[tuple[hlo.Computation, hlo.Instruction]]:
    """Yields an instruction, or those that are fused into it."""
    yield computation, one
    if one.opcode == 'fusion':
      fused = self._module.computations[one.attribute('calls') or '']
      for inner in fused.instructions:
        yield from self._within(fused, inner)

  def _count(
    self,
    computation: hlo.Computation,
    one: hlo.Instruction,
    costs: Costs,
    channels: set[str],
  ) -> None:
    kind = one.opcode.removesuffix('-start')
    if one.opcode in ('dot', 'convolution'):
      flops = products.operations(computation, one)
      costs.flops += flops
      costs.passes += flops * _passes(computation, one)
    elif kind in COLLECTIVES:
      channel = one.attribute('channel_id') or one.name
      if channel not in channels:
        channels.add(channel)
        costs.messages.append(self._message(computation, one, kind))
        costs.bytes += _each_once(one, _operands(computation, one))
    elif one.opcode == 'custom-call':
      target = re.search(r'custom_call_target="([^"]*)"', one.rest)
      name = target[1] if target else ''
      costs.kernels[name] = costs.kernels.get(name, 0) + 1
      operands = _operands(computation, one)
      if name == 'tpu_custom_call':  # Of others nothing is known.
        # At least: blocks of some arrays are fetched again for others.
        costs.bytes += _each_once(one, operands)
      flops = kernels.operations(one, operands)
      costs.flops += flops
      costs.passes += flops

  def _message(
    self, computation: hlo.Computation, one: hlo.Instruction, kind: str
  ) -> Message:
    taken = sum(a.bytes for o in _operands(computation, one) for a in o.arrays)
    made = sum(a.bytes for a in one.arrays)
    whole = max(taken, made - taken if one.opcode.endswith('-start') else made)
    group = _group(one.rest)
    n = max(1, len(group))
    share = (n - 1) / n
    sent = {
      'all-gather': whole * share,
      'reduce-scatter': whole * share,
      'all-reduce': 2 * taken * share,
      'all-to-all': taken * share,
      'collective-permute': taken,
    }[kind]
    between = self._slice is not None and (
      len({member // self._slice for member in group}) > 1
    )
    channel = one.attribute('channel_id') or one.name
    return Message(kind, sent, n, between, 1.0, channel)

  def _bytes(self, computation: hlo.Computation, one: hlo.Instruction) -> float:
    """What an instruction reads and writes of the main memory."""
    if one.opcode in _FREE:
      return 0.0
    operands = _operands(computation, one)
    passed = self._passed_on(one)

    def size(o: hlo.Instruction) -> int:
      return sum(
        a.bytes
        for a in o.arrays
        if not a.near and math.prod(a.shape) not in passed
      )

    written, read = size(one), [size(o) for o in operands]
    if one.opcode == 'copy-start':  # Its value is target, source and a mark.
      return sum(read) + sum(a.bytes for a in one.arrays[:1] if not a.near)
    if one.opcode == 'slice-start':  # Source, target and a mark.
      source, target = one.arrays[:2]
      return float(sum(target.bytes for a in (source, target) if not a.near))
    if one.opcode in ('dynamic-slice', 'gather', 'slice'):
      return 2.0 * written
    if one.opcode in ('dynamic-update-slice', 'scatter'):
      return 2.0 * sum(read[1:])
    if one.opcode != 'fusion':
      return float(sum(read) + written)
    fused = self._module.computations[one.attribute('calls') or '']
    for place, parameter in enumerate(fused.parameters[: len(read)]):
      users = fused.users.get(parameter.name, [])
      if users and all(
        u.opcode == 'dynamic-update-slice' and u.operands[0] == parameter.name
        for u in users
      ):  # Written in place: what is not updated is not touched.
        updates = sum(
          a.bytes for u in users for a in fused.by_name[u.operands[1]].arrays
        )
        written -= read[place] - updates if read[place] else 0
        read[place] = 0
      else:
        read[place] = min(read[place], self._touched(fused, parameter))
    return float(sum(read) + max(0, written))

  def _touched(self, fused: hlo.Computation, value: hlo.Instruction) -> int:
    """Bytes of a value within a fusion that are read: of slices, theirs."""
    found = 0
    for user in fused.users.get(value.name, []):
      if user.opcode in ('dynamic-slice', 'gather', 'slice'):
        found += user.array.bytes
      elif user.opcode == 'bitcast':
        found += self._touched(fused, user)
      elif user.opcode == 'fusion':
        inner = self._module.computations[user.attribute('calls') or '']
        places = [i for i, n in enumerate(user.operands) if n == value.name]
        found += sum(
          self._touched(inner, inner.parameters[place]) for place in places
        )
      else:
        found += sum(a.bytes for a in value.arrays)
    return found

  def _passed_on(self, one: hlo.Instruction) -> set[int]:
    """Sizes of arrays that a fusion passes on with a collective under way.

    They are counted with the collective, once.
    """
    if one.opcode != 'fusion':
      return set()
    fused = self._module.computations[one.attribute('calls') or '']
    found: set[int] = set()
    for inner in fused.instructions:
      if inner.opcode.removesuffix('-start') in COLLECTIVES:
        for o in (inner, *_operands(fused, inner)):
          found |= {math.prod(a.shape) for a in o.arrays}
      elif 'AsyncCollective' in inner.rest:  # Begins or ends one.
        found |= {math.prod(a.shape) for a in one.arrays}
        for p in fused.parameters:
          found |= {math.prod(a.shape) for a in p.arrays}
    return found


def _each_once(
  one: hlo.Instruction, operands: Sequence[hlo.Instruction]
) -> int:
  """Bytes of what an instruction takes and makes in the main memory."""
  arrays = [a for o in (one, *operands) for a in o.arrays]
  return sum(a.bytes for a in arrays if not a.near)


def _operands(
  computation: hlo.Computation, one: hlo.Instruction
) -> list[hlo.Instruction]:
  """The instructions whose values one takes."""
  return [
    computation.by_name[name]
    for name in one.operands
    if name in computation.by_name
  ]


def _passes(computation: hlo.Computation, one: hlo.Instruction) -> int:
  """Passes that a product takes: one, but for precise ones of float32."""
  dtypes = {o.array.dtype for o in _operands(computation, one)}
  precise = re.search(r'operand_precision={(\w+)', one.rest)
  if 'f32' not in dtypes or not precise:
    return 1
  return _PASSES.get(precise[1], 1)


def _group(rest: str) -> list[int]:
  """The first group of chips that take part, by their numbers."""
  named = re.search(r'replica_groups=mesh\[([^\]]*)\][^{]*{([^}]*)}', rest)
  if named:
    sizes = re.findall(r"'([\w]+)'=(\d+)", named[1])
    axes = [name for name, _ in sizes]
    chips = np.arange(math.prod(int(n) for _, n in sizes))
    chips = chips.reshape([int(n) for _, n in sizes])
    own = re.findall(r"'([\w]+)'", named[2])
    first = tuple(slice(None) if name in own else 0 for name in axes)
    return chips[first].reshape(-1).tolist()
  counted = re.search(
    r'replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?', rest
  )
  if counted:
    groups, shape, order = (
      tuple(map(int, part.split(','))) if part else None
      for part in counted.groups()
    )
    chips = np.arange(math.prod(shape or ())).reshape(shape)
    if order:
      chips = chips.transpose(order)
    return chips.reshape(groups)[0].reshape(-1).tolist()
  listed = re.search(r'replica_groups={{([\d,]+)}', rest)
  if listed:
    return [int(number) for number in listed[1].split(',')]
  pairs = re.search(r'source_target_pairs={{(\d+),(\d+)}', rest)
  return [int(pairs[1]), int(pairs[2])] if pairs else [0]

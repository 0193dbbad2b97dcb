# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A compiled program, read from the text that XLA prints of it."""

from collections.abc import Iterator
import dataclasses
import functools
import math
import re

_BITS = {
  'pred': 8,
  **{f'{kind}{bits}': bits for kind in 'su' for bits in (2, 4, 8, 16, 32, 64)},
  **{'bf16': 16, 'f16': 16, 'f32': 32, 'f64': 64, 'c64': 64, 'c128': 128},
}
_ARRAY = re.compile(r'([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?')
_NAME = re.compile(r'%([\w.\-]+)')
_HEAD = re.compile(r'(?:ENTRY )?%?([\w.\-]+) \(.*\{$')


@dataclasses.dataclass(frozen=True)
class Array:
  """The type of an array.

  Attributes:
    dtype: such as 'bf16'.
    shape: its sizes.
    near: whether it lies in a chip's fast memory, beside the main one.
  """

  dtype: str
  shape: tuple[int, ...]
  near: bool

  @property
  def bytes(self) -> int:
    """What it takes, without padding."""
    return math.prod(self.shape) * _BITS.get(self.dtype, 8) // 8


@dataclasses.dataclass(frozen=True)
class Instruction:
  """An instruction.

  Attributes:
    name: of its value.
    arrays: what it makes; several for a tuple.
    opcode: such as 'fusion'.
    operands: names of what it takes; of a parameter its number, of a constant
      its value.
    rest: its attributes, as text.
    root: whether its value is that of the computation.
  """

  name: str
  arrays: tuple[Array, ...]
  opcode: str
  operands: tuple[str, ...]
  rest: str
  root: bool

  @property
  def array(self) -> Array:
    """What it makes, where that is one array."""
    return self.arrays[0]

  def attribute(self, name: str) -> str | None:
    """Returns an attribute that is a word or a name, such as `body`."""
    found = re.search(rf'\b{name}=%?([\w.\-]+)', self.rest)
    return found[1] if found else None

  def numbers(self, name: str) -> tuple[int, ...]:
    """Returns an attribute that is a list of numbers in braces."""
    found = re.search(rf'\b{name}={{([\d,]*)}}', self.rest)
    return tuple(map(int, found[1].split(','))) if found and found[1] else ()

  @property
  def called(self) -> tuple[str, ...]:
    """Names of the branches of a conditional."""
    found = re.search(r'branch_computations={([^}]*)}', self.rest)
    if found:
      return tuple(_NAME.findall(found[1]))
    both = (self.attribute('true_computation'), self.attribute('false_comput'))
    return tuple(name for name in both if name)


@dataclasses.dataclass(frozen=True)
class Computation:
  """Instructions in order."""

  instructions: tuple[Instruction, ...]

  @functools.cached_property
  def by_name(self) -> dict[str, Instruction]:
    """The instructions by the names of their values."""
    return {one.name: one for one in self.instructions}

  @functools.cached_property
  def users(self) -> dict[str, list[Instruction]]:
    """Of each value, who takes it."""
    found: dict[str, list[Instruction]] = {}
    for one in self.instructions:
      for name in one.operands:
        found.setdefault(name, []).append(one)
    return found

  @functools.cached_property
  def parameters(self) -> list[Instruction]:
    """Its parameters, in order."""
    own = [one for one in self.instructions if one.opcode == 'parameter']
    return sorted(own, key=lambda one: int(one.operands[0]))


@dataclasses.dataclass(frozen=True)
class Module:
  """A program.

  Attributes:
    computations: by name.
    entry: name of the one that runs.
  """

  computations: dict[str, Computation]
  entry: str

  def trips(self, loop: Instruction) -> int | None:
    """How often a loop runs, or at most; None if nothing tells it.

    XLA notes it for some. Else a loop counts from 0, by ones or, where XLA has
    written out some turns of it, by more; and its condition compares with the
    one whole number that is in it.
    """
    found = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.rest)
    if found:
      return int(found[1])
    condition = loop.attribute('condition') or ''
    numbers = set(self._whole_numbers(condition))
    if len(numbers) != 1:
      return None
    return -(-numbers.pop() // self._stride(loop))

  def _stride(self, loop: Instruction) -> int:
    """By how much a loop counts."""
    condition = self.computations[loop.attribute('condition') or '']
    body = self.computations[loop.attribute('body') or '']
    compared = condition.instructions[-1].operands[:1]
    counter = condition.by_name.get(compared[0]) if compared else None
    made = body.instructions[-1]
    index = counter.attribute('index') if counter else None
    if index is None or made.opcode != 'tuple':
      return 1
    added = body.by_name[made.operands[int(index)]]
    if added.opcode != 'add':
      return 1
    by = body.by_name[added.operands[1]]
    return int(by.operands[0]) if by.opcode == 'constant' else 1

  def _whole_numbers(self, name: str) -> Iterator[int]:
    """Yields the constants of a computation that are single whole numbers."""
    for one in self.computations[name].instructions:
      if one.opcode == 'constant' and one.array.dtype in ('s32', 's64', 'u32'):
        if not one.array.shape:
          yield int(one.operands[0])
      if one.opcode == 'fusion':
        yield from self._whole_numbers(one.attribute('calls') or '')


def parse(text: str) -> Module:
  """Reads a program.

  Raises:
    ValueError: if the text is none.
  """
  computations: dict[str, Computation] = {}
  entry, name, body = '', '', list[str]()
  for line in text.splitlines():
    head = _HEAD.match(line)
    if head:
      name, body = head[1], []
      if line.startswith('ENTRY'):
        entry = name
    elif line.rstrip() == '}' and name:
      computations[name] = Computation(tuple(map(_instruction, body)))
      name = ''
    elif name and line.lstrip().startswith(('%', 'ROOT ')) and ' = ' in line:
      body.append(line.strip())
    elif name and body:  # What is noted of a kernel may go over several lines.
      body[-1] += line
  if not entry:
    raise ValueError('no program: expected text of XLA with an ENTRY')
  return Module(computations, entry)


def _instruction(line: str) -> Instruction:
  root = line.startswith('ROOT ')
  name, _, right = line.removeprefix('ROOT ').partition(' = ')
  end = _closing(right, 0) + 1 if right[0] == '(' else right.index(' ')
  kind, right = right[:end], right[end:].strip()
  opcode, _, _ = right.partition('(')
  end = _closing(right, len(opcode))
  inside, rest = right[len(opcode) + 1 : end], right[end + 1 :]
  operands = tuple(_NAME.findall(inside))
  if opcode in ('parameter', 'constant'):
    operands = (inside.strip(),)
  return Instruction(
    name.strip().lstrip('%'), tuple(_arrays(kind)), opcode, operands, rest, root
  )


def _arrays(kind: str) -> Iterator[Array]:
  for dtype, sizes, layout in _ARRAY.findall(kind):
    shape = tuple(int(size) for size in sizes.split(',') if size)
    yield Array(dtype, shape, 'S(1)' in layout)


def _closing(text: str, start: int) -> int:
  """The place of the parenthesis that closes the one at `start`."""
  depth = 0
  for place in range(start, len(text)):
    depth += (text[place] == '(') - (text[place] == ')')
    if not depth:
      return place
  raise ValueError(f'no end of {text[start : start + 40]!r}')

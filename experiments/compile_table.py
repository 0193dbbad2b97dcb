# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Compiles every stage for real slices, and writes docs/slices.md.

  JAX_PLATFORMS=cpu python -m experiments.compile_table

Each case is compiled by `launch.compile_check` in a process of its own and kept
in experiments/results/compile_check; those that are there are not compiled
again. `--write` only writes the document.
"""

from collections.abc import Iterator
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from absl import app
from absl import flags

from experiments import compile_check

_WRITE = flags.DEFINE_bool('write', False, 'Compile nothing.')
_HERE = pathlib.Path(__file__).parent
_RESULTS = _HERE / 'results' / 'compile_check'
_DOCUMENT = _HERE.parent / 'docs' / 'slices.md'

_8B, _70B, _QWEN = 'llama3_1_8b', 'llama3_1_70b', 'qwen3_8b'
_OF_MODEL = tuple(s for s in compile_check.STAGES if s != 'dictionary')
_SLICES = ('v5e:4x4', 'v5e:16x16', 'v5p:4x4x4', 'v6e:8x8', 'v6e:16x16')
# Models, stages, slices, and how many of these. A dictionary does not depend on
# the model but for its width, which is 8B's.
CASES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], int], ...] = (
  (_8B, compile_check.STAGES, _SLICES, 1),
  (_QWEN, _OF_MODEL, _SLICES, 1),
  (_70B, _OF_MODEL, _SLICES, 1),
  (_8B, _OF_MODEL, ('v5e:16x16',), 2),
  (_QWEN, ('full', 'lora'), ('v6e:8x8',), 2),
  (_70B, ('lora',), ('v6e:16x16',), 2),
)

_HEAD = """# What each stage takes on TPUs, compiled and not run

Written by `JAX_PLATFORMS=cpu python -m experiments.compile_table`, with the
extra `[tpu]` installed; a single case is
`python -m launch.compile_check --topology=v5e:16x16 \\
  --config=experiments/compile_check.py:llama3_1_8b/lora`. No TPU was used: the
compiler gives bytes and programs, and the rest is arithmetic on these, so the
rates are **bounds from above**. Nothing here was measured on a chip.

- **GB per chip**: arguments + outputs - aliased + temporaries + code, of what
  the chip has. "Does not fit" is the compiler's own answer.
- **Work**: operations of matrix products of a run on a chip, in units of 10^12,
  and in brackets over what the formula in `selfexplain_jax/models/flops.py` has
  (6 for each weight and token, attention, and what is computed again).
- **Sent**: GB that a chip sends in collectives; **memory**: GB that it reads
  and writes, counted a little high.
- **Bound**: the longest of compute, memory, links (one axis of the torus) and
  network (between slices), and its seconds. **Rate**: tokens, prompts, cells,
  answers or rows per second and chip, if all else hides behind it.

Training packs 512 tokens a chip and step, recomputes all of a block, and splits
everything over all chips (`fsdp`), with AdamW in float32; an adapter has rank
128 over a bfloat16 base. Capture reads 4 positions of all layers of prompts of
512 tokens; a patched prompt has 64; an answer has 32 tokens after a question of
64. A dictionary has 131,072 features of one layer, 128 rows a chip.

At 512 tokens a chip, gathering the weights takes longer than the products do:
more rows a chip (`--config.rows_per_chip`) shift the bound from links to
compute.
"""


def cases() -> Iterator[tuple[str, str, str, int]]:
  """Yields model, stage, topology and number of slices of each case."""
  for model, stages, topologies, slices in CASES:
    for topology in topologies:
      for stage in stages:
        yield model, stage, topology, slices


def result(model: str, stage: str, topology: str, slices: int) -> pathlib.Path:
  """Where a case is kept."""
  shape = topology.replace(':', '_')
  return _RESULTS / f'{model}_{stage}_{shape}_{slices}.json'


def _compile(model: str, stage: str, topology: str, slices: int) -> None:
  """Compiles a case and keeps what was found."""
  with tempfile.TemporaryDirectory() as folder:
    command = [
      *(sys.executable, '-m', 'launch.compile_check'),
      f'--config={_HERE}/compile_check.py:{model}/{stage}',
      *(f'--topology={topology}', f'--num_slices={slices}'),
      f'--workdir={folder}',
    ]
    if slices > 1 and stage in ('full', 'lora'):  # Others split all by `data`.
      command.append(f'--config.mesh.data={slices}')
    print(' '.join(command[3:6]), flush=True)
    ended = subprocess.run(command, check=False, stderr=subprocess.PIPE)
    made = pathlib.Path(folder) / 'compile_check.json'
    if not made.exists():
      raise RuntimeError(ended.stderr.decode()[-2000:])
    _RESULTS.mkdir(parents=True, exist_ok=True)
    target = result(model, stage, topology, slices)
    target.write_text(made.read_text())


def row(model: str, stage: str, found: dict[str, Any]) -> str:
  """Returns a line of the table."""
  where = f'{found["num_slices"]} x {found["topology"]}'
  mesh = found['mesh']
  begin = f'| {model} | {stage} | {where} | {mesh} |'
  if 'bytes' not in found:
    return f'{begin} does not fit: {found["why"]} | | | | | |'
  total, room = found['bytes']['total'] / 1e9, found['memory'] / 1e9
  sent = sum(one['bytes'] for one in found['collectives'].values()) / 1e9
  share = found['operations'] / found['operations_by_formula']
  seconds = found['seconds'][found['bound']]
  fits = '' if found['fits'] else ' **does not fit**'
  return (
    f'{begin} {total:.2f} of {room:.0f}{fits} | '
    f'{found["operations"] / 1e12:.3g} ({share:.2f}) | {sent:.3g} | '
    f'{found["memory_bytes"] / 1e9:.3g} | {found["bound"]} {seconds:.3g} s | '
    f'{found["per_second_and_chip"]:,.4g} {found["unit"]} |'
  )


def document() -> str:
  """Returns the document of all cases that were compiled."""
  lines = [
    _HEAD,
    '| model | stage | slices | mesh | GB per chip | work | sent | memory | '
    'bound | rate |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ]
  for case in sorted(cases(), key=lambda c: (c[2], c[3], c[0])):
    name = result(*case)
    if name.exists():
      lines.append(row(case[0], case[1], json.loads(name.read_text())))
  return '\n'.join(lines) + '\n'


def main(argv: list[str]) -> None:
  """Compiles what is missing and writes the document."""
  del argv
  if not _WRITE.value:
    for case in cases():
      if not result(*case).exists():
        _compile(*case)
        _DOCUMENT.write_text(document())
  _DOCUMENT.write_text(document())


if __name__ == '__main__':
  app.run(main)

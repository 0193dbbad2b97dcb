# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Runs contests on an accelerator: a random model of 8B weights in bfloat16.

  pip install -e '.[reference]' accelerate
  python -m experiments.benchmarks.accelerator --workdir=/dev/shm/contests

needs a GPU with room for the weights three times, and PyTorch that can use it.
Both sides are in one process, on the same device and weights, and take turns
after a first run each, whose results are compared. What was found is kept in
experiments/results/contests and told in docs/performance.md; a share of the
peak (MFU) counts the operations that no program can do without, so that
padding, recomputation and what a plan leaves undone are not to its credit.
`--shape=8_layers` is for a look at kernels with `--profile`, and `--shape=tiny`
for trying it on a CPU.
"""

from collections.abc import Callable, Iterator
import dataclasses
import json
import os
import pathlib
import time
from typing import Any

# Of the device's memory PyTorch needs a part, too.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import capturing
from experiments.benchmarks import contestant
from experiments.benchmarks import decoding
from experiments.benchmarks import fine_tuning
from experiments.benchmarks import patch_sweep
from experiments.benchmarks import rounds
from experiments.benchmarks import table
from experiments.benchmarks.peers import capturing as peer_capturing
from experiments.benchmarks.peers import decoding as peer_decoding
from experiments.benchmarks.peers import fine_tuning as peer_fine_tuning
from experiments.benchmarks.peers import patching as peer_patching
from experiments.benchmarks.peers import planned as peer_planned
from experiments.benchmarks.peers import shared
from selfexplain_jax.compiled import chips
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import flops
from selfexplain_jax.models import fused_attention
from selfexplain_jax.models import presets

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'For dumps; best in memory.', required=True
)
_SHAPE = flags.DEFINE_enum(
  'shape', '8b', ['8b', '8_layers', 'tiny'], 'Of the model.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed runs.', lower_bound=1)
_CONTESTS = flags.DEFINE_list('contests', [], 'Which; all by default.')
_NAMES = (
  'patch_sweep',
  'capturing_all',
  'capturing_middle',
  'decoding',
  'fine_tuning_lora',
)
flags.register_validator(
  'contests',
  lambda names: set(names) <= set(_NAMES),
  f'expected some of {", ".join(_NAMES)}',
)
_PROFILE = flags.DEFINE_bool(
  'profile', False, 'Print the kernels of our runs, without contests.'
)

_SHAPES = {
  '8b': presets.shape('llama3_1_8b'),
  '8_layers': dataclasses.replace(presets.shape('llama3_1_8b'), layers=8),
  'tiny': config_lib.DecoderConfig(
    *(512, 64, 4, 4, 2, 16, 128),
    tied=False,
    dtype='bfloat16',
    parameter_dtype='bfloat16',
  ),
}
_LENGTH = 16  # Tokens of the longest prompt that is patched.
_COMPILING = 1e13  # Operations of a sweep that a program fewer is worth.
_LOOPED = 48  # Cells that are run one at a time.
_EXAMPLES = 512  # Whose answers are learnt.
_PROMPTS = 128  # Of which all layers are dumped; of which one is, four times.
_FEW = 32  # In place of both, with a tiny model.
_AT_ONCE, _OF_ONE = 16, 128  # Prompts of a batch, of all layers or of one.
_ROWS, _CAPACITY = 8, 512  # Rows of a step of training, and their tokens.

# In bfloat16 both sides round: margins, rows by their greatest value, losses.
_MARGIN, _ROW, _LOSS = 0.25, 0.1, 0.002


def _count(many: int) -> int:
  return _FEW if _SHAPE.value == 'tiny' else many


def _sweep(
  model: decoder.Decoder, torch_model: Any, folder: pathlib.Path
) -> rounds.Contest:
  asked = patch_sweep.ask(model, _LENGTH, _COMPILING)
  asked['some'] = asked['some'][:_LOOPED]

  def peer(name: str) -> contestant.Contestant:
    return peer_patching.compete(torch_model, asked, name, folder)

  return rounds.Contest(
    'cells',
    lambda: patch_sweep.compete(model, asked, mesh_lib.make_mesh()),
    {
      'pytorch_loop': (lambda: peer('pytorch_loop'), 10.0),
      'pytorch_batched': (lambda: peer('pytorch_batched'), 2.5),
      'pytorch_layered': (lambda: peer('pytorch_layered'), 2.5),
      'pytorch_planned': (
        lambda: peer_planned.compete(torch_model, asked),
        None,
      ),
    },
    lambda ours, theirs: patch_sweep.different(ours, theirs, _MARGIN),
    lambda ours: float(ours['needed']),
  )


def _dump(
  model: decoder.Decoder,
  torch_model: Any,
  folder: pathlib.Path,
  layers: tuple[int, ...],
) -> rounds.Contest:
  config, mesh = model.config, mesh_lib.make_mesh()
  one_layer = len(layers) == 1
  prompts = _count(_PROMPTS) * (4 if one_layer else 1)
  asked = capturing.ask(model, prompts, layers)
  asked['batch'] = np.array(_OF_ONE if one_layer else _AT_ONCE)
  length = asked['tokens'].shape[1]
  rows = prompts * len(asked['positions'])
  # Nothing after the last layer is wanted, and of it at other positions than
  # these no more than keys and values.
  one = flops.blocks(config, prompts, length) / config.layers
  keys = 4 * config.width * config.kv_heads * config.head_width
  needed = (max(layers) + len(asked['positions']) / length) * one
  needed += (prompts * length - rows) * keys

  def ours(name: str) -> contestant.Contestant:
    return capturing.compete(model, asked, mesh, folder, name)

  return rounds.Contest(
    'rows',
    lambda: ours(rounds.OURS),
    {
      'hidden_states': (
        lambda: peer_capturing.compete(
          torch_model.model, asked, folder / 'hidden_states'
        ),
        1.5 if one_layer else 1.0,
      ),
    },
    lambda ours, theirs: capturing.different(ours, theirs, _ROW),
    lambda _: needed / rows,
    variants={'forward_only': (lambda: ours('forward_only'), 0.9)},
  )


def _answers(
  model: decoder.Decoder, torch_model: Any, folder: pathlib.Path
) -> rounds.Contest:
  del folder
  asked = decoding.ask(model, ends=False)
  return rounds.Contest(
    'answers',
    lambda: decoding.compete(model, asked, mesh_lib.make_mesh()),
    {'generate': (lambda: peer_decoding.compete(torch_model, asked), 2.0)},
    decoding.different,
    lambda ours: float(ours['operations']),
  )


def _tuning(
  model: decoder.Decoder, torch_model: Any, folder: pathlib.Path
) -> rounds.Contest:
  asked = fine_tuning.ask(model, True, _count(_EXAMPLES))
  mesh = mesh_lib.make_mesh()

  def needed(_: contestant.Arrays) -> float:
    total = sum(
      flops.training(
        *(model.config, 1, length, int(asked['rank'])), answers=answers
      )
      for length, answers in zip(asked['length'], asked['answer'], strict=True)
    )
    return float(total / np.sum(asked['answer']))

  def peer(name: str) -> contestant.Contestant:
    peer_fine_tuning.without_adapter(torch_model)
    return peer_fine_tuning.compete(torch_model, asked, folder, name)

  def ours(rows: int) -> contestant.Contestant:
    return fine_tuning.compete(
      decoder.with_config(model, remat='products'),
      {**asked, 'rows': np.array(rows), 'capacity': np.array(_CAPACITY)},
      mesh,
    )

  return rounds.Contest(
    'answer tokens',
    lambda: ours(_ROWS),
    {
      'trainer_padded': (lambda: peer('trainer_padded'), 1.5),
      'trainer_grouped': (lambda: peer('trainer_grouped'), 1.2),
    },
    lambda ours, theirs: fine_tuning.different(ours, theirs, _LOSS),
    needed,
    variants={f'{2 * _ROWS}_rows': (lambda: ours(2 * _ROWS), None)},
  )


def _contests(
  model: decoder.Decoder, torch_model: Any, folder: pathlib.Path
) -> Iterator[tuple[str, Callable[[], rounds.Contest]]]:
  """Yields contests; the last one leaves an adapter in PyTorch's model."""
  layers = model.config.layers
  every, middle = tuple(range(layers)), (layers // 2 - 1,)
  given = model, torch_model, folder
  makers = (
    lambda: _sweep(*given),
    lambda: _dump(*given, every),
    lambda: _dump(*given, middle),
    lambda: _answers(*given),
    lambda: _tuning(*given),
  )
  yield from zip(_NAMES, makers, strict=True)


def _products(size: int) -> float:
  """Operations per second of a large product of matrices."""
  left, right = jax.random.normal(
    jax.random.key(0), (2, size, size), jnp.bfloat16
  )
  multiply = jax.jit(jnp.matmul)
  jax.block_until_ready(multiply(left, right))
  started = time.perf_counter()
  for _ in range(20):
    made = multiply(left, right)
  jax.block_until_ready(made)
  return 20 * 2 * size**3 / (time.perf_counter() - started)


def main(argv: list[str]) -> None:
  """Runs the contests and prints a line for each."""
  del argv
  device = jax.devices()[0]
  tiny = _SHAPE.value == 'tiny'
  if device.platform != 'gpu' and not tiny:
    raise app.UsageError(
      f'the device is {device.device_kind}: expected a GPU, or --shape=tiny'
    )
  peak = 1e12 if tiny else chips.peak(device.device_kind)
  rate = _products(256 if tiny else 8192)
  print(f'{device.device_kind}: products at {rate / 1e12:.0f} TFLOP/s')
  mesh = mesh_lib.make_mesh(devices=[device])
  shape = _SHAPES[_SHAPE.value]
  kind = fused_attention.fastest(device, shape.dtype)
  model = decoder.initialize(
    dataclasses.replace(shape, attention=kind), jax.random.key(0), mesh
  )
  torch_model = None if _PROFILE.value else shared.model(model)
  folder = pathlib.Path(_WORKDIR.value)
  folder.mkdir(parents=True, exist_ok=True)
  for name, make in _contests(model, torch_model, folder):
    if name not in (_CONTESTS.value or [name]):
      continue
    print(name, flush=True)
    if _PROFILE.value:
      rounds.profile(make(), peak)
      continue
    kept = table.RESULTS / f'accelerator_{name}.json'
    for found in rounds.compete(make(), _ROUNDS.value, peak):
      for one in found.values():
        one['notes']['products'] = rate
      if _SHAPE.value == '8b':
        kept.write_text(json.dumps(found, indent=1))
        table.write()


if __name__ == '__main__':
  app.run(main)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Trains an explainer on meshes of 1 to 8 CPU devices; prints JSON.

  python -m tests.distributed.equality_worker [--all]

Of meshes and kinds of training, how far the loss of the first step, its
gradient, and the loss after 20 steps are from those on one device, relative to
these. A few pairs, or with --all every kind on many meshes.
"""

from collections.abc import Sequence
import json
import sys
from typing import Any

import jax
import ml_collections
import numpy as np

from selfexplain_jax.data import feeding
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks
from selfexplain_jax.explainer import train_step
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib
from tests.models import tiny

STEPS = 20
PAIRS = (('adapter', (1, 2, 2)), ('full', (2, 2, 2)), ('parts', (2, 2, 2)))
_ALL = (
  *((2, 1, 1), (1, 2, 1), (1, 1, 2), (4, 1, 1), (1, 4, 1), (1, 2, 2)),
  *((2, 2, 1), (2, 1, 2), (8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)),
  *((4, 2, 1), (1, 4, 2), (2, 1, 4), (1, 2, 4)),
)
# All weights, an adapter, and all weights with a batch in two parts.
KINDS = ('full', 'adapter', 'parts')
_ROWS, _LENGTH, _VECTOR_ID = 16, 12, 6
_OPTIMIZER = ml_collections.ConfigDict(
  dict(
    peak_rate=0.003, adam_rate=1.0, warmup=2, weight_decay=0.1, clip_norm=1.0
  )
)


def _batches() -> list[dict[str, Any]]:
  """Packed rows that show vectors, with rows that are replayed."""
  random = np.random.default_rng(0)
  made = []
  for _ in range(STEPS):
    tokens = random.integers(7, 41, (_ROWS, _LENGTH)).astype(np.int32)
    tokens[:, 2] = tokens[:, 8] = _VECTOR_ID
    half = np.arange(_LENGTH) // 6
    text = {
      'tokens': random.integers(0, 41, (8, 7)).astype(np.int32),
      'weights': random.uniform(size=(8, 7)).astype(np.float32),
    }
    made.append(
      {
        'tokens': tokens,
        'segments': np.tile(1 + half, (_ROWS, 1)).astype(np.int32),
        'positions': np.tile(np.arange(_LENGTH) % 6, (_ROWS, 1)).astype(
          np.int32
        ),
        'answers': np.where(
          random.uniform(size=(_ROWS, _LENGTH - 1)) < 0.4,
          np.arange(_LENGTH - 1, dtype=np.int32),
          -1,
        ),
        'vectors': random.normal(size=(_ROWS, 2, 12)).astype(np.float32),
        'vector_blocks': random.integers(0, 2, (_ROWS, 2)).astype(np.int32),
        'replay': text,
      }
    )
  return made


def _placed(batch: Any) -> Any:
  return jax.tree.map(lambda x: feeding.place(x, len(x)), batch)


def trained(kind: str, mesh: jax.sharding.Mesh) -> dict[str, Any]:
  """Returns losses of all steps, and the gradient of the first."""
  with jax.set_mesh(mesh):
    # Neither the key heads nor the odd vocabulary are divisible by 8.
    shape = tiny.config(
      layers=2, width=32, heads=8, kv_heads=4, head_width=4, vocabulary=41
    )
    model = decoder.initialize(shape, jax.random.key(0), mesh)
    injection = injection_lib.make(
      'scale_and_bias',
      model,
      _VECTOR_ID,
      layer_blocks=layer_blocks.LayerBlocks(((0, 0), (0, 1))),
      projection_CxExD=np.random.default_rng(1).normal(size=(2, 32, 12)),
    )
    base: decoder.Decoder | None = None
    start: decoder.Decoder | lora.Lora = model
    if kind == 'adapter':
      base, start = model, lora.initialize(model, 4, jax.random.key(1), mesh)
    optimizer = optimizer_lib.make(_OPTIMIZER, STEPS)
    step = train_step.make_step(
      optimizer, injection, 0.5, base, 2 if kind == 'parts' else 1
    )
    batches = _batches()
    gradient = jax.jit(jax.grad(train_step.answer_loss))(
      model, injection, _placed(batches[0])
    )
    state = state_lib.start(
      train_step.Trained(start, injection.parameters), optimizer
    )
    losses = []
    for batch in batches:
      state, metrics = step(state, _placed(batch))
      losses.append(float(metrics['loss']))
  return {'losses': losses, 'gradient': jax.device_get(gradient)}


def _apart(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
  gradients = [
    np.abs(a - b).max() / np.abs(b).max()
    for a, b in zip(
      jax.tree.leaves(found['gradient']),
      jax.tree.leaves(expected['gradient']),
      strict=True,
    )
  ]
  losses = np.array(found['losses']) / np.array(expected['losses']) - 1
  return {
    'first_loss': abs(float(losses[0])),
    'gradient': float(max(gradients)),
    'last_loss': abs(float(losses[-1])),
  }


def main() -> None:
  """Prints differences by mesh and kind."""
  jax.config.update('jax_num_cpu_devices', 8)
  jax.config.update('jax_platforms', 'cpu')
  pairs: Sequence[tuple[str, tuple[int, ...]]] = PAIRS
  if '--all' in sys.argv:
    pairs = tuple((kind, sizes) for kind in KINDS for sizes in _ALL)
  alone = mesh_lib.make_mesh(1, 1, 1, jax.devices()[:1])
  expected = {kind: trained(kind, alone) for kind in ('full', 'adapter')}
  expected['parts'] = expected['full']  # It is the same batch.
  found = {}
  for kind, sizes in pairs:
    data, fsdp, tensor = sizes
    devices = jax.devices()[: data * fsdp * tensor]
    made = trained(kind, mesh_lib.make_mesh(data, fsdp, tensor, devices))
    name = f'{kind} on {"x".join(map(str, sizes))}'
    found[name] = _apart(made, expected[kind])
    told = ', '.join(f'{k} {v:.1e}' for k, v in found[name].items())
    print(f'{name}: {told}', flush=True)
  print(f'result {json.dumps(found)}')


if __name__ == '__main__':
  main()

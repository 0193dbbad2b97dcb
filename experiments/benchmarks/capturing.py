# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps activations to disk: what is to do, and our way.

  python -m experiments.benchmarks.capturing FOLDER NAME

is our side of the contest (see `contestant`), `dump.dump`; as `forward_only` it
runs the same batches and keeps nothing.
"""

import pathlib
import shutil

import jax
import numpy as np

from experiments.benchmarks import contestant
from experiments.benchmarks import models
from selfexplain_jax.activations import dump
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import reader
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import effects
from selfexplain_jax.models import decoder

_LENGTH, _BATCH = 129, 32
# Of one token in 32.
_SPARSE = (32, 64, 96, 128)
_COMPARED = 512  # Rows.


def write(
  folder: pathlib.Path, model: str, gigabytes: float, layers: tuple[int, ...]
) -> None:
  """Writes a random model and random prompts.

  Args:
    folder: for `model/` and `asked.npz`.
    model: its name in `models`.
    gigabytes: that all layers take, at all positions but the first.
    layers: that are dumped; one alone at one token in 32, several at all.
  """
  made = models.write(folder, model)
  row = 4 * made.config.width * made.config.layers
  prompts = round(gigabytes * 1e9 / row / (_LENGTH - 1) / _BATCH) * _BATCH
  asked = ask(made, prompts, layers)
  np.savez(folder / 'asked.npz', allow_pickle=False, **asked)


def ask(
  model: decoder.Decoder, prompts: int, layers: tuple[int, ...]
) -> contestant.Arrays:
  """Returns random prompts, a multiple of the batch; see `write`."""
  random = np.random.default_rng(0)
  positions = _SPARSE if len(layers) == 1 else tuple(range(1, _LENGTH))
  return {
    'tokens': random.integers(2, model.config.vocabulary, (prompts, _LENGTH)),
    'layers': np.array(layers),
    'positions': np.array(positions),
    'batch': np.array(_BATCH),
    # What is read back and compared, of all rows in order.
    'compared': np.sort(
      random.permutation(prompts * len(positions))[:_COMPARED]
    ),
  }


def different(
  ours: contestant.Arrays, theirs: contestant.Arrays, share: float = 1e-4
) -> int:
  """How many of the rows that are read back are not equal to a share."""
  if 'rows' not in theirs:
    return 0
  return contestant.unequal_rows(ours['rows'], theirs['rows'], share)


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the dump of a store, or the mere forward pass."""
  mesh = mesh_lib.make_mesh()
  with jax.set_mesh(mesh):
    model = models.load(folder, mesh)
  return compete(model, contestant.read(folder), mesh, folder, name)


def compete(
  model: decoder.Decoder,
  asked: contestant.Arrays,
  mesh: jax.sharding.Mesh,
  folder: pathlib.Path,
  name: str,
) -> contestant.Contestant:
  """Returns the dump of a store into a folder, or the mere forward pass."""
  tokens = asked['tokens'].astype(np.int32)
  size, count = int(asked['batch']), len(tokens)
  positions, layers = asked['positions'], tuple(asked['layers'].tolist())
  every = len(positions) == _LENGTH - 1
  prompts = prompts_lib.Prompts(
    ids=tokens.tolist(),
    text=[''] * count,
    positions={}
    if every
    else {str(p): np.full(count, p, np.int32) for p in positions.tolist()},
    kind=['random'] * count,
    group=['random'] * count,
    split=['train'] * count,
    answer=np.full(count, -1, np.int32),
    known=np.zeros(count, bool),
  )
  plan = dump.Plan(
    spec=layout.StoreSpec(
      target='random',
      weight_hash='random',
      tokenizer_hash='none',
      sites=('resid_post',),
      layers=layers,
      width=model.config.width,
      dtype=model.config.dtype,
      rows_per_shard=size * len(positions),
      layered=('resid_post',),
    ),
    rows=count * len(positions),
    prompts_per_shard=size,
  )
  store = folder / 'store'

  def run() -> None:
    shutil.rmtree(store, ignore_errors=True)
    with jax.set_mesh(mesh):
      dump.dump(model, prompts, plan, store)

  def forward() -> None:
    with jax.set_mesh(mesh):
      effects.run_clean(model, tokens, np.full(count, _LENGTH, np.int32), size)

  def results(_: None) -> contestant.Arrays:
    read = reader.open_store(store).read('resid_post', 0, plan.rows)
    rows = read[asked['compared']].astype(np.float32)
    return {'count': np.array(plan.rows), 'rows': rows}

  if name == 'forward_only':
    return contestant.Contestant(
      forward, lambda _: {'count': np.array(plan.rows)}
    )
  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib tensorstore')

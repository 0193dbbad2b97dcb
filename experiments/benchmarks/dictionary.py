# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trains a TopK dictionary: what is to do, and our way.

  python -m experiments.benchmarks.dictionary FOLDER NAME

is our side of the contest (see `contestant`): `dictionary.training`, on rows in
memory.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks import contestant
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import training
from selfexplain_jax.distributed import mesh as mesh_lib

_BATCH, _COMPARED = 2048, 256


def _settings(features: int, k: int) -> training.Settings:
  return training.Settings(
    features=features,
    kind='topk',
    k=k,
    dead_after=1 << 30,  # None dies, on either side.
    auxiliary_k=1,
    auxiliary_weight=0.0,
    threshold_rate=0.01,
  )


def _start(
  rows: np.ndarray, settings: training.Settings
) -> training.DictionaryState:
  key = jax.random.key(0)
  return training.start(rows[:, None], settings, optax.adam(1e-4), key)


def write(
  folder: pathlib.Path, width: int, features: int, k: int, batches: int
) -> None:
  """Writes activations and the dictionary that training begins with.

  Args:
    folder: for `asked.npz`.
    width: D.
    features: S.
    k: features that fire.
    batches: of `_BATCH` rows.
  """
  random = np.random.default_rng(0)
  # Sums of a few directions, as activations are, and some noise.
  directions = random.normal(size=(4 * width, width)).astype(np.float32)
  chosen = random.integers(len(directions), size=(batches * _BATCH, 8))
  rows = directions[chosen].sum(1)
  rows += 0.1 * random.normal(size=rows.shape).astype(np.float32)
  with jax.set_mesh(mesh_lib.make_mesh()):
    state = _start(rows[:_BATCH], _settings(features, k))
    sae = training.export(state, 0)
  np.savez(
    folder / 'asked.npz',
    allow_pickle=False,
    rows=rows,
    k=np.array(k),
    batch=np.array(_BATCH),
    compared=np.array(_COMPARED),
    encoder=np.asarray(sae.encoder_DxS),
    encoder_bias=np.asarray(sae.encoder_bias_S),
    decoder=np.asarray(sae.decoder_SxD),
    decoder_bias=np.asarray(sae.decoder_bias_D),
  )


def different(ours: contestant.Arrays, theirs: contestant.Arrays) -> int:
  """How many rows are not rebuilt alike, before training, to 1e-3."""
  return contestant.unequal_rows(ours['made'], theirs['made'], 1e-3)


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the training for one pass over the rows."""
  del name
  jax.config.update('jax_default_matmul_precision', 'float32')
  asked, mesh = contestant.read(folder), mesh_lib.make_mesh()
  rows, batch = asked['rows'], int(asked['batch'])
  settings = _settings(asked['decoder'].shape[0], int(asked['k']))
  with jax.set_mesh(mesh):
    state = [_start(rows[:batch], settings)]
    step = training.make_step(optax.adam(1e-4), settings)
    sae = training.export(state[0], 0)
    few = jnp.asarray(rows[: int(asked['compared'])])
    made = np.asarray(sae_lib.decode(sae, sae_lib.encode(sae, few)))

  def run() -> None:
    with jax.set_mesh(mesh):
      for start in range(0, len(rows), batch):
        state[0], _ = step(state[0], rows[start : start + batch, None])
      jax.block_until_ready(state[0])

  def results(_: None) -> contestant.Arrays:
    return {'count': np.array(len(rows)), 'made': made}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')

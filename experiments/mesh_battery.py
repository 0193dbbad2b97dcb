# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Runs every binary on several meshes, in one process and in several.

  python -m experiments.mesh_battery --workdir=DIR

Each reads the stages of a small quickstart that ran on one device, and does its
work on 8 devices, split 2 x 2 x 2: those of one process, of two and of four.
What it makes is compared with what one device makes. Counted are records that
differ, and verdicts among them whose margin is above 1e-4, which must not;
printed is how far numbers are apart, relative to the largest. Exits with 1
beyond the bounds.
"""

import json
import pathlib
import subprocess
import sys
from typing import Any

from absl import app
from absl import flags
import numpy as np
from pyarrow import parquet
from safetensors import numpy as safetensors_numpy

from experiments.kills import killing
from experiments.kills import stages
from selfexplain_jax.activations import reader
from selfexplain_jax.activations import vectors

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the runs.', required=True
)

# Those that take no mesh are left out.
_NAMES = [
  name
  for name in stages.BINARIES
  if name not in ('import_explainer', 'convert_published')
]
_BINARIES = flags.DEFINE_multi_enum(
  'binary', _NAMES, _NAMES, 'Which of them; may be given again.'
)

# Processes, and devices of each.
_LAYOUTS = ((1, 1), (1, 8), (2, 4), (4, 2))
_MESH = ('data=2', 'fsdp=2', 'tensor=2')
_STEPS = ('steps=20', 'checkpoint_every=10')
_FEW = ('quota.train=8', 'quota.validation=2', 'quota.test=4')
_FLAGS = {
  'make_patching': _FEW,
  'make_ablation': _FEW,
  'make_features': ('documents.labels=32', 'documents.scores=16'),
  'pretrain_target': (*_STEPS, 'batch=8'),
  'train_dictionary': _STEPS,
  'train_explainer': (*_STEPS, 'evaluate_every=20', 'batch=8'),
  'train_adapter': (*_STEPS, 'evaluate_every=20', 'batch=8'),
  'train_simulator': (*_STEPS, 'evaluate_every=20', 'batch=8'),
}

# Numbers are compared apart from what is said: margins, scores.
_MARGINS = ('clean_margin', 'treated_margin')
_SURE = 1e-4
_BOUNDS = {'loss': 1e-4, 'vectors': 1e-5, 'wrong': 0}


def _run(name: str, root: pathlib.Path, processes: int, devices: int) -> None:
  """Runs a binary; what is there already is not done again."""
  workdir = root / f'{name}_{processes}x{devices}'
  binary = stages.BINARIES[name][0]
  own = [f'--config.{flag}' for flag in _FLAGS.get(name, ())]
  if devices > 1:
    own += [f'--config.mesh.{size}' for size in _MESH]
  job = killing.Job(
    command=[
      *(sys.executable, '-m', f'launch.{binary}'),
      f'--config=experiments/kills/stages.py:{name}',
      *stages.inputs(name, root / 'source'),
      *own,
    ],
    processes=processes,
    environment={
      'JAX_NUM_CPU_DEVICES': str(devices),
      'JAX_COMPILATION_CACHE_DIR': str(root / 'programs'),
    },
  )
  job.undisturbed(workdir)


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
  """How far arrays are apart, relative to the largest number."""
  if found.shape != expected.shape:
    return float('inf')
  if not expected.size:
    return 0.0
  scale = max(float(np.abs(expected).max()), 1e-30)
  return float(np.abs(found.astype(float) - expected).max()) / scale


def _losses(workdir: pathlib.Path) -> np.ndarray:
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  shown = [json.loads(line) for line in lines]
  return np.array([line['loss'] for line in shown if 'loss' in line])


def _records(name: pathlib.Path) -> list[dict[str, Any]]:
  return parquet.read_table(name).to_pylist()


def _compare(found: pathlib.Path, expected: pathlib.Path) -> dict[str, Any]:
  """Compares two workdirs of a binary, by all that they have."""
  result: dict[str, Any] = {}
  if (expected / 'metrics.jsonl').exists():
    result['loss'] = _apart(_losses(found), _losses(expected))
  weights = 'model/model.safetensors'
  if (expected / weights).exists():
    ours, theirs = (
      safetensors_numpy.load((folder / weights).read_bytes())
      for folder in (found, expected)
    )
    result['weights'] = max(_apart(ours[n], theirs[n]) for n in theirs)
  if (expected / 'manifest.json').exists() and (expected / 'shards').exists():
    ours_, theirs_ = reader.open_store(found), reader.open_store(expected)
    result['vectors'] = max(
      _apart(
        np.asarray(ours_.read(site, 0, ours_.rows), np.float32),
        np.asarray(theirs_.read(site, 0, theirs_.rows), np.float32),
      )
      for site in theirs_.manifest.spec.sites
    )
  for table in ('records.parquet', 'predictions.parquet'):
    if (expected / table).exists():
      result |= _compare_records(
        _records(found / table), _records(expected / table)
      )
  if (expected / 'vectors').exists():
    result['vectors'] = _apart(
      vectors.read_vectors(found / 'vectors'),
      vectors.read_vectors(expected / 'vectors'),
    )
  return result


def _compare_records(
  found: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> dict[str, Any]:
  """Counts records that differ, and verdicts that should not have."""
  if len(found) != len(expected):
    return {
      'records': len(expected),
      'differ': abs(len(found) - len(expected)),
      'wrong': abs(len(found) - len(expected)),
    }

  def said(record: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in record.items() if not isinstance(v, float)}

  differ = wrong = 0
  for ours, theirs in zip(found, expected, strict=True):
    if said(ours) != said(theirs):
      differ += 1
      margins = [theirs[name] for name in _MARGINS if name in theirs]
      wrong += (
        bool(margins)
        and min(margins) > _SURE
        and 'changed' in theirs
        and (ours['changed'] != theirs['changed'])
      )
  return {'records': len(expected), 'differ': differ, 'wrong': wrong}


def main(argv: list[str]) -> None:
  """Runs all of it and prints a table."""
  del argv
  root = pathlib.Path(_WORKDIR.value).absolute()
  root.mkdir(parents=True, exist_ok=True)
  subprocess.run(
    [
      *(sys.executable, '-m', 'launch.quickstart'),
      *('--config=experiments/quickstart.py:test', f'--workdir={root}/source'),
    ],
    check=True,
    capture_output=True,
  )
  beyond = 0
  print('| binary | processes x devices | what differs |\n|---|---|---|')
  for name in _BINARIES.value:
    for processes, devices in _LAYOUTS:
      _run(name, root, processes, devices)
      if devices == 1:
        continue
      found = _compare(
        root / f'{name}_{processes}x{devices}', root / f'{name}_1x1'
      )
      bad = [k for k, bound in _BOUNDS.items() if found.get(k, 0) > bound]
      beyond += len(bad)
      told = ', '.join(
        f'{k} {v:.1e}' if isinstance(v, float) else f'{k} {v}'
        for k, v in found.items()
      )
      mark = f' **{", ".join(bad)} beyond the bound**' if bad else ''
      print(f'| {name} | {processes} x {devices} | {told}{mark} |', flush=True)
  if beyond:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)

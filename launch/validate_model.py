# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Validates a model directory: is it what it says, and is it run right?

Checks names, shapes and dtypes of all tensors against config.json, and runs
canaries. With --reference, which needs the [reference] extra, also compares
every site in float32, the distributions in each dtype, and greedy generations
with those of `transformers`. Exits with 1, naming what is wrong, if a check
fails. docs/divergence.md says how to go on from there.
"""

from collections.abc import Iterator
import os
import sys

from absl import flags
import jax

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface
from selfexplain_jax.validation import canaries
from selfexplain_jax.validation import check as check_lib
from selfexplain_jax.validation import comparison
from selfexplain_jax.validation import stored

_MODEL = flags.DEFINE_string('model', None, 'Hugging Face directory or hub id.')
_REFERENCE = flags.DEFINE_bool(
  'reference', False, 'Also compare with `transformers`.'
)
_DTYPE = flags.DEFINE_enum(
  'dtype', 'float32', artefact.DTYPES, 'That the canaries are run in.'
)
_BATCH = flags.DEFINE_integer('batch', 8, 'Sequences.', lower_bound=1)
_LENGTH = flags.DEFINE_integer(
  'length', 32, 'Tokens of each sequence.', lower_bound=2
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of the token ids.', lower_bound=0)


def checks(directory: str) -> Iterator[check_lib.Check]:
  """Prints what the directory holds and yields what each check finds."""
  summary, shape = (
    stored.summarize(directory),
    huggingface.read_config(directory),
  )
  most = shape.max_positions - comparison.NEW_TOKENS
  if _LENGTH.value > most:
    raise errors.InputError(
      f'--length={_LENGTH.value}: expected at most {most}, so that '
      f'{comparison.NEW_TOKENS} more fit the positions of {directory}'
    )
  print(
    f'{directory}: {summary.family}, {shape.layers} layers of width '
    f'{shape.width}, vocabulary {shape.vocabulary}'
  )
  print(f'{summary.parameters:,} parameters, {summary.bytes:,} bytes\n')

  # What it holds, and what must hold of any model.
  mesh = mesh_lib.make_mesh()
  with jax.set_mesh(mesh):
    model = huggingface.load(directory, mesh, _DTYPE.value, _DTYPE.value)
    yield summary.check()
    asked = canaries.random_prompts(
      shape.vocabulary,
      _BATCH.value,
      _LENGTH.value,
      _SEED.value,
      huggingface.read_token_ids(directory)[0],
    )
    yield from canaries.run(model, asked)
    del model

    # What `transformers` makes of it.
    if _REFERENCE.value:
      yield from comparison.compare(directory, _reference(), mesh, asked)


def _reference() -> comparison.Load:
  """Returns what loads the reference; its libraries are an extra."""
  try:
    from experiments.reference import model
  except ModuleNotFoundError as e:
    if e.name not in ('torch', 'transformers'):
      raise
    raise errors.InputError(
      f'--reference needs {e.name}, which is not installed: expected it after '
      "`pip install 'selfexplain_jax[reference]'`"
    ) from e
  return model.Model


def run() -> int:
  """Prints a line for each check; returns the exit code."""
  if not _MODEL.value:
    raise errors.InputError('--model is missing: expected a directory')
  if _REFERENCE.value:
    _reference()  # Not after all the other work.
  failed = []
  for check in checks(os.fspath(hub.local(_MODEL.value))):
    print(check)
    failed += [] if check.ok else [check]
  for check in failed[:1]:
    print(f'failed: {check.name}: {check.detail}', file=sys.stderr)
  return int(bool(failed))


if __name__ == '__main__':
  cli.launch_flags(run)

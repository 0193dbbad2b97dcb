# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checks that `transformers` and `peft` load what this project writes.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.check_exports --models=tests/models/data

Exports each model of the folder, as one file and in shards, and an adapter of
it with random weights; loads them with `transformers` and `peft` in float32 and
compares weights and logits. Prints the largest differences, and exits with 1 if
a weight differs or a logit does by more than the bound.
"""

from collections.abc import Sequence
import functools
import pathlib
import sys
import tempfile
from typing import Any
from unittest import mock

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import peft as peft_lib
import torch

from experiments.reference import hugging_face
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from selfexplain_jax.models import shards

_MODELS = flags.DEFINE_string(
  'models', 'tests/models/data', 'Folder of the models.'
)
_BOUND = flags.DEFINE_float('bound', 2e-4, 'Largest difference of a logit.')

_RANK = 3


@jax.jit
def _logits(model: decoder.Decoder, tokens_BxT: jax.Array) -> jax.Array:
  return decoder.unembed(model, decoder.forward(model, tokens_BxT)[0])


def _difference(theirs: Any, ours: decoder.Decoder) -> float:
  """The largest difference of logits on random tokens."""
  shape, vocabulary = (2, 24), ours.config.vocabulary
  tokens = np.random.default_rng(0).integers(0, vocabulary, shape, np.int32)
  with torch.no_grad():
    expected = theirs(torch.from_numpy(tokens.astype(np.int64))).logits.numpy()
  return float(np.abs(_logits(ours, jnp.asarray(tokens)) - expected).max())


def _adapter(model: decoder.Decoder) -> lora.Lora:
  """An adapter in which every factor matters."""
  random = np.random.default_rng(1)
  shapes = jax.eval_shape(
    lambda key: lora.Lora(model, _RANK, key), jax.random.key(0)
  )
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(size=x.shape) * 0.2, x.dtype), shapes
  )


def _check(directory: pathlib.Path, folder: pathlib.Path) -> tuple[bool, float]:
  """Exports a model and an adapter: whether weights are equal, and logits."""
  model = huggingface.load(directory, mesh_lib.make_mesh())
  huggingface.save(model, folder / 'one', bos_id=1, eos_id=2)
  small = functools.partial(shards.write, shard_bytes=8000)
  with mock.patch.object(shards, 'write', small):
    huggingface.save(model, folder / 'many', bos_id=1, eos_id=2)
  before = hugging_face.load(str(directory)).state_dict()
  same, worst = True, 0.0
  for layout in ('one', 'many'):
    theirs = hugging_face.load(str(folder / layout))
    after = theirs.state_dict()
    same &= sorted(before) == sorted(after)
    same &= all(torch.equal(before[name], after[name]) for name in before)
    worst = max(worst, _difference(theirs, model))
  adapter = _adapter(model)
  peft.save(adapter, model, folder / 'adapter', str(folder / 'one'))
  base = hugging_face.load(str(folder / 'one'))
  adapted = peft_lib.PeftModel.from_pretrained(base, str(folder / 'adapter'))
  merged = lora.adapt(model, adapter)
  return same, max(worst, _difference(adapted.eval(), merged))


def main(argv: Sequence[str]) -> None:
  """Prints the table and exits with 1 beyond the bound."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  good = True
  print(f'{"model":20} weights   logits')
  for config in sorted(pathlib.Path(_MODELS.value).glob('*/config.json')):
    with tempfile.TemporaryDirectory() as folder:
      same, worst = _check(config.parent, pathlib.Path(folder))
    said = 'equal' if same else 'differ'
    print(f'{config.parent.name:20} {said:7} {worst:8.1e}')
    good &= same and worst <= _BOUND.value
  if not good:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compares a model with `transformers` in float32: logits and every site.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.compare --model=../shared/data/stories260k

Prints the largest absolute difference on random token ids, beside the largest
magnitude, and exits with 1 if any difference exceeds the bound.
"""

from collections.abc import Sequence
import sys

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments.reference import hugging_face
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import sites as sites_lib

_MODEL = flags.DEFINE_string(
  'model', None, 'Hugging Face directory.', required=True
)
_BATCH = flags.DEFINE_integer('batch', 4, 'Sequences.')
_LENGTH = flags.DEFINE_integer('length', 64, 'Tokens of each sequence.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the token ids.')
_BOUND = flags.DEFINE_float(
  'bound', 1e-4, 'Largest absolute difference allowed, of logits and of sites.'
)


def ours(directory: str, tokens_BxT: np.ndarray) -> dict[str, np.ndarray]:
  """Returns what `hugging_face.run` returns, by this project's decoder."""
  mesh = mesh_lib.make_mesh()
  model = huggingface.load(directory, mesh, 'float32', 'float32')
  batch, length = tokens_BxT.shape
  tap = capture_lib.build(
    model.config,
    tuple(site.name for site in sites_lib.SITES),
    tuple(range(model.config.layers)),
    np.broadcast_to(np.arange(length), (batch, length)),
  )

  @jax.jit
  def run(model: decoder.Decoder, tap: capture_lib.Capture) -> dict:
    hidden, kept = decoder.forward(model, jnp.asarray(tokens_BxT), tap=tap)
    return {'logits': decoder.unembed(model, hidden), **kept}

  with jax.set_mesh(mesh):
    return jax.device_get(run(model, tap))


def main(argv: Sequence[str]) -> None:
  """Prints the table and exits with 1 beyond the bound."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  vocabulary = huggingface.read_config(_MODEL.value).vocabulary
  shape = (_BATCH.value, _LENGTH.value)
  random = np.random.default_rng(_SEED.value)
  tokens_BxT = random.integers(0, vocabulary, shape, np.int32)
  found = ours(_MODEL.value, tokens_BxT)
  expected = hugging_face.run(hugging_face.load(_MODEL.value), tokens_BxT)
  worst = 0.0
  print(f'{"tensor":12} {"difference":>11} {"magnitude":>11}')
  for name, value in expected.items():
    difference = float(np.abs(found[name] - value).max())
    worst = max(worst, difference)
    print(f'{name:12} {difference:11.2e} {np.abs(value).max():11.2e}')
  same = np.mean(found['logits'].argmax(-1) == expected['logits'].argmax(-1))
  print(f'top-1 agreement {same:.4f} over {tokens_BxT.size} positions')
  print(f'largest difference {worst:.2e}, bound {_BOUND.value:.0e}')
  if not worst <= _BOUND.value:  # NaN is beyond any bound.
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Models that contests are about: random, in the form of Hugging Face."""

import pathlib

import jax
import tokenizers

from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface

SHAPES = {
  # That of the quickstart's target.
  'world': config_lib.DecoderConfig(
    *(622, 128, 6, 4, 4, 32, 384), max_positions=64
  ),
  '15m': config_lib.DecoderConfig(
    *(32000, 288, 6, 6, 6, 48, 768), max_positions=256
  ),
}


def write(
  folder: pathlib.Path, name: str, likely: float = 1.0
) -> decoder.Decoder:
  """Writes the model of a contest to `folder/model`, and returns it.

  Args:
    folder: of the contest.
    name: of the model, in `SHAPES`.
    likely: what the row of token 1 is multiplied with, and so its logits.
  """
  model = decoder.initialize(
    SHAPES[name], jax.random.key(0), mesh_lib.make_mesh()
  )
  table = model.embedding
  table.set_value(table[...].at[1].multiply(likely))  # Also unembeds.
  (folder / 'model').mkdir(parents=True, exist_ok=True)
  huggingface.save(model, folder / 'model')
  # Some peers load no model without one; nothing is tokenised.
  words = {'<s>': 0, '</s>': 1}
  tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, '<s>'))
  tokenizer.save(str(folder / 'model' / 'tokenizer.json'))
  return model


def load(
  folder: pathlib.Path, mesh: jax.sharding.Mesh, dtype: str = 'float32'
) -> decoder.Decoder:
  """Loads the model of a contest for our side."""
  jax.config.update('jax_default_matmul_precision', 'float32')
  return huggingface.load(folder / 'model', mesh, dtype=dtype)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A model directory with its tokenizer."""

import jax

from selfexplain_jax import files
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib


def save(
  model: decoder.Decoder,
  tokenizer: tokenizer_lib.Tokenizer,
  directory: files.PathLike,
) -> None:
  """Writes a model and its tokenizer as one Hugging Face directory."""
  tokenizer.save(directory)
  huggingface.save(
    model, directory, bos_id=tokenizer.bos_id, eos_id=tokenizer.eos_id
  )


def load(
  directory: files.PathLike, mesh: jax.sharding.Mesh
) -> tuple[decoder.Decoder, tokenizer_lib.Tokenizer]:
  """Reads a model and its tokenizer, in float32.

  A directory without a tokenizer gets one that writes token i as `t{i}`.

  Raises:
    errors.InputError: if the directory holds no model.
  """
  model = huggingface.load(
    directory, mesh, dtype='float32', parameter_dtype='float32'
  )
  if (files.path(directory) / 'tokenizer.json').exists():
    return model, tokenizer_lib.load(directory)
  bos_id, eos_id = huggingface.read_token_ids(directory)
  return model, tokenizer_lib.id_tokenizer(
    model.config.vocabulary, bos_id, eos_id
  )

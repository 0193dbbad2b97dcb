# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A model directory with its tokenizer."""

import jax

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import decoder
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import peft
from selfexplain_jax.models import peft_config
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.models import word_tokenizers

# Tokenizers as other libraries keep them.
_OTHER_FORMS = ('tokenizer.model', 'vocab.json', 'tokenizer_config.json')

# That models run in.
DTYPES = ('float32', 'bfloat16')


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
  directory: files.PathLike,
  mesh: jax.sharding.Mesh,
  dtype: str = 'float32',
  parameter_dtype: str | None = None,
) -> tuple[decoder.Decoder, tokenizer_lib.Tokenizer]:
  """Reads a model, and its tokenizer as `load_tokenizer` does.

  Args:
    directory: of the model.
    mesh: where its parameters go.
    dtype: of activations.
    parameter_dtype: of parameters; that of activations if None.

  Raises:
    errors.InputError: if the directory holds no model, or there is no such
      dtype.
  """
  model = huggingface.load(
    directory, mesh, dtype=dtype, parameter_dtype=parameter_dtype or dtype
  )
  return model, load_tokenizer(directory)


def load_tokenizer(directory: files.PathLike) -> tokenizer_lib.Tokenizer:
  """Reads the tokenizer of a model's directory.

  An adapter without any has its base's. A model without any gets one that
  writes token i as `t{i}`.

  Raises:
    errors.InputError: if the directory holds no model, or a tokenizer in a form
      that is not read.
  """
  directory = hub.local(directory)
  if (files.path(directory) / 'tokenizer.json').exists():
    return tokenizer_lib.load(directory)
  for name in _OTHER_FORMS:
    if (files.path(directory) / name).exists():
      raise errors.InputError(
        f'{directory} has {name} and no tokenizer.json: expected that file, '
        'which `transformers` writes of any fast tokenizer'
      )
  if peft.is_adapter(directory):
    return load_tokenizer(peft_config.base(directory))
  vocabulary = huggingface.read_config(directory).vocabulary
  bos_id, eos_id = huggingface.read_token_ids(directory)
  return word_tokenizers.of_ids(vocabulary, bos_id, eos_id)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A model of `transformers` with the weights of one of ours, in one process."""

import gc
import pathlib
import tempfile
from typing import Any

import jax
import torch
import transformers

from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.models import tensor_names


def model(ours: decoder.Decoder) -> Any:
  """Returns the model on the device that ours is on, which is a single one.

  Matrices are laid out as those that `transformers` loads, so they are copied;
  nothing goes through the host.
  """
  jax.block_until_ready(ours)  # PyTorch has a stream of its own.
  with tempfile.TemporaryDirectory() as folder:
    huggingface_config.write_config(ours.config, pathlib.Path(folder), None, 1)
    config = transformers.AutoConfig.from_pretrained(folder)
  dtype = getattr(torch, ours.config.parameter_dtype)
  with torch.device('meta'):
    made: Any = transformers.AutoModelForCausalLM.from_config(
      config, dtype=dtype
    )
  state = {}
  for tensors, param in tensor_names.parameters(ours):
    value = torch.from_dlpack(param.get_value())
    parts = value if tensors.stacked else value[None]
    for name, one in zip(tensors.names, parts, strict=True):
      turned = one.T if tensors.transposed else one
      state[name] = turned.clone(memory_format=torch.contiguous_format)
  made.load_state_dict(state, assign=True)
  device = made.model.embed_tokens.weight.device
  with torch.device(device):  # What is no parameter was made without values.
    made.model.rotary_emb = type(made.model.rotary_emb)(config)
  return made.eval()


def free() -> None:
  """Gives memory back that PyTorch keeps of what is no longer there."""
  gc.collect()
  if torch.cuda.is_available():
    torch.cuda.empty_cache()


def lacks_memory(error: RuntimeError) -> bool:
  """Whether PyTorch or JAX says that the device has no room left."""
  return isinstance(error, torch.OutOfMemoryError) or (
    isinstance(error, jax.errors.JaxRuntimeError)
    and 'RESOURCE_EXHAUSTED' in str(error)
  )

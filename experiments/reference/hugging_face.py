# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The reference: logits and every site of a `transformers` model, by hooks."""

from typing import Any

import numpy as np
import torch
import transformers

from selfexplain_jax.models import sites as sites_lib


def load(directory: str) -> Any:
  """Loads a causal language model in float32 with plain attention."""
  return transformers.AutoModelForCausalLM.from_pretrained(
    directory, dtype=torch.float32, attn_implementation='eager'
  ).eval()


def run(model: Any, tokens_BxT: np.ndarray) -> dict[str, np.ndarray]:
  """Runs the model once.

  Args:
    model: a Llama, Qwen3 or Gemma 2 `...ForCausalLM`.
    tokens_BxT: token ids, without padding.

  Returns:
    `logits` f32[B, T, V] and every site by its name, f32[L, B, T, D], or
    f32[B, T, D] for sites without layers.
  """
  seen: dict[str, list[np.ndarray]] = {s.name: [] for s in sites_lib.SITES}

  def keep(site: str, value: Any) -> None:
    # Before transformers 5 a block returned a tuple, and attention still does.
    value = value[0] if isinstance(value, tuple) else value
    assert value.ndim == 3, (site, value.shape)
    seen[site].append(value.detach().numpy().copy())

  def output(site: str) -> Any:
    return lambda module, args, out: keep(site, out)

  def argument(site: str) -> Any:
    return lambda module, args: keep(site, args[0])

  core = model.model
  handles = [
    core.embed_tokens.register_forward_hook(output('embed')),
    core.norm.register_forward_hook(output('final_norm')),
  ]
  for layer in core.layers:
    # Gemma 2 norms what is added, and so has other names for its norms.
    post_norms = hasattr(layer, 'post_feedforward_layernorm')
    attention, norm, mlp = (
      (
        layer.post_attention_layernorm,
        layer.pre_feedforward_layernorm,
        layer.post_feedforward_layernorm,
      )
      if post_norms
      else (layer.self_attn, layer.post_attention_layernorm, layer.mlp)
    )
    handles += [
      layer.register_forward_pre_hook(argument('resid_pre')),
      attention.register_forward_hook(output('attn_out')),
      norm.register_forward_pre_hook(argument('resid_mid')),
      mlp.register_forward_hook(output('mlp_out')),
      layer.register_forward_hook(output('resid_post')),
    ]
  try:
    with torch.no_grad():
      logits = model(torch.from_numpy(np.array(tokens_BxT, np.int64))).logits
  finally:
    for handle in handles:
      handle.remove()
  return {
    'logits': logits.numpy(),
    **{
      name: np.stack(values) if sites_lib.site(name).layered else values[0]
      for name, values in seen.items()
    },
  }

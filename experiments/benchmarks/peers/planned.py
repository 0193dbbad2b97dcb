# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Our plan of a patch sweep, carried out by plain PyTorch.

  PEERS_PYTHON -m experiments.benchmarks.peers.planned FOLDER NAME

Shows what of a ratio is the plan's and what is the compiler's. The model is a
Llama of `transformers`, whose modules are called one by one.
"""

import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from experiments.benchmarks import contestant


def _attend(layer: Any, query: Any, key: Any, value: Any, seen: Any) -> Any:
  mixed = torch.nn.functional.scaled_dot_product_attention(
    *(query, key, value),
    attn_mask=seen[:, None],
    enable_gqa=key.shape[1] < query.shape[1],
  )
  batch, heads, length, width = mixed.shape
  mixed = mixed.transpose(1, 2).reshape(batch, length, heads * width)
  return layer.self_attn.o_proj(mixed)


def _causal(length: int, rows: int, device: Any) -> Any:
  seen = torch.ones(length, length, dtype=torch.bool, device=device).tril()
  return seen.expand(rows, -1, -1)


def _heads(projection: Any, x: Any, width: int) -> Any:
  """[B, heads, T, W] of the stream after its norm."""
  return projection(x).unflatten(-1, (-1, width)).transpose(1, 2)


def _turned(x: Any, turn: tuple[Any, Any]) -> Any:
  low, high = x.chunk(2, -1)
  cosine, sine = (part[:, None] for part in turn)
  return x * cosine + torch.cat([-high, low], -1) * sine


def _mlp(layer: Any, x: Any) -> Any:
  return x + layer.mlp(layer.post_attention_layernorm(x))


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the sweep of the model in a folder."""
  del name
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder / 'model', dtype=torch.float32
  ).eval()
  return compete(model, contestant.read(folder))


def compete(model: Any, given: contestant.Arrays) -> contestant.Contestant:
  """Returns the sweep as planned."""
  device = model.device
  asked = {k: torch.tensor(v, device=device) for k, v in given.items()}
  asked['vector'] = asked['vector'].to(model.dtype)
  layers, width = model.model.layers, model.config.head_dim
  tokens, length = asked['tokens'], asked['length']
  count, padded = tokens.shape
  batches = list(
    zip(asked['begin'].tolist(), asked['width'].tolist(), asked['batches'])
  )

  def clean() -> tuple[list[Any], list[Any], list[Any]]:
    """Streams before each layer, keys and values, of whole prompts."""
    place = torch.arange(padded, device=device).expand(count, padded)
    x = model.model.embed_tokens(tokens)
    turn = model.model.rotary_emb(x, place)
    seen = _causal(padded, count, device)
    streams, keys, values = [], [], []
    for layer in layers:
      streams.append(x)
      h = layer.input_layernorm(x)
      query = _turned(_heads(layer.self_attn.q_proj, h, width), turn)
      keys.append(_turned(_heads(layer.self_attn.k_proj, h, width), turn))
      values.append(_heads(layer.self_attn.v_proj, h, width))
      x = x + _attend(layer, query, keys[-1], values[-1], seen)
      x = _mlp(layer, x)
    return [*streams, x], keys, values

  def tail(kept: Any, begin: int, size: int, cells: Any) -> Any:
    """Logits of cells, from a layer and a number of positions on."""
    streams, keys, values = kept
    prompt = asked['prompt'][cells]
    rows = torch.arange(len(cells), device=device)
    first = (length[prompt] - size).clamp(min=0)
    place = first[:, None] + torch.arange(size, device=device)
    last = length[prompt] - 1 - first
    at = asked['position'][cells] - first
    x = streams[begin][prompt[:, None], place]
    mine = asked['layer'][cells] + 1

    def write(x: Any, layer: int) -> Any:
      here = mine == layer
      x[rows[here], at[here]] = asked['vector'][cells[here]]
      return x

    x = write(x, begin)
    turn = model.model.rotary_emb(x, place)
    before = torch.arange(padded, device=device)[None, None]
    before = (before < first[:, None, None]).expand(-1, size, -1)
    seen = torch.cat([before, _causal(size, len(rows), device)], -1)
    for index in range(begin, len(layers)):
      layer = layers[index]
      h = layer.input_layernorm(x)
      key = _turned(_heads(layer.self_attn.k_proj, h, width), turn)
      value = _heads(layer.self_attn.v_proj, h, width)
      key = torch.cat([keys[index][prompt], key], 2)
      value = torch.cat([values[index][prompt], value], 2)
      if index == len(layers) - 1:  # No more than the last position is wanted.
        x, h, seen = (part[rows, last][:, None] for part in (x, h, seen))
        turn = tuple(part[rows, last][:, None] for part in turn)
      query = _turned(_heads(layer.self_attn.q_proj, h, width), turn)
      x = _mlp(layer, x + _attend(layer, query, key, value, seen))
      if index < len(layers) - 1:
        x = write(x, index + 1)
    if begin == len(layers):
      x = x[rows, last][:, None]
    else:
      here = (mine == len(layers)) & (at == last)
      x[rows[here], 0] = asked['vector'][cells[here]]
    return model.lm_head(model.model.norm(x[:, 0]))

  def run() -> contestant.Arrays:
    made, order = [], []
    with torch.inference_mode():
      kept = clean()
      for begin, size, cells in batches:
        cells = cells[cells >= 0]
        made.append(tail(kept, begin, size, cells).topk(2))
        order.append(cells)
    top = torch.cat([one.values for one in made]).float().cpu().numpy()
    return {
      'count': np.array(len(top)),
      'cells': torch.cat(order).cpu().numpy(),
      'token': torch.cat([one.indices[:, 0] for one in made]).cpu().numpy(),
      'margin': top[:, 0] - top[:, 1],
    }

  return contestant.Contestant(run, lambda made: made)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers')

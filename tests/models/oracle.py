# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The slow decoder that the fast one is compared with.

Plain numpy in float64, one prompt at a time, a Python loop over layers and one
over heads; no scan, no cache, no tap. It shares no code with the package but
the container of the weights.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

# Maps (site, layer, value [T, D]) to the value to go on with.
Edit = Callable[[str, int, np.ndarray], np.ndarray]


def _norm(x: np.ndarray, weight: np.ndarray, config: Any) -> np.ndarray:
  gain = 1 + weight if config.norm_offset else weight
  square = np.mean(x**2, -1, keepdims=True)
  return x / np.sqrt(square + config.norm_epsilon) * gain


def _cap(x: np.ndarray, cap: float | None) -> np.ndarray:
  return x if cap is None else np.tanh(x / cap) * cap


def _activate(x: np.ndarray, name: str) -> np.ndarray:
  if name == 'silu':
    return x / (1 + np.exp(-x))
  inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
  return x * (1 + np.tanh(inner)) / 2


def _frequencies(config: Any) -> np.ndarray:
  """Straight from the definition of Llama 3, one frequency after the other."""
  out = []
  for i in range(config.head_width // 2):
    f = config.rope_theta ** (-2 * i / config.head_width)
    s = config.rope_scaling
    if s is not None:
      length = 2 * np.pi / f
      if length > s.original_positions / s.low_frequency_factor:
        f = f / s.factor
      elif length >= s.original_positions / s.high_frequency_factor:
        blend = (s.original_positions / length - s.low_frequency_factor) / (
          s.high_frequency_factor - s.low_frequency_factor
        )
        f = (1 - blend) * f / s.factor + blend * f
    out.append(f)
  return np.array(out)


def _rotate(x_TxW: np.ndarray, frequency: np.ndarray) -> np.ndarray:
  """Turns channel pairs as complex numbers."""
  low, high = np.split(x_TxW, 2, -1)
  angle = np.arange(len(x_TxW))[:, None] * frequency
  turned = (low + 1j * high) * np.exp(1j * angle)
  return np.concatenate([turned.real, turned.imag], -1)


def forward(
  model: Any,
  tokens_T: np.ndarray,
  edit: Edit | None = None,
  embeddings_TxD: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[tuple[str, int], np.ndarray]]:
  """Runs one prompt.

  Args:
    model: a `decoder.Decoder`.
    tokens_T: token ids.
    edit: what to write where; None for nothing.
    embeddings_TxD: taken in place of the token embeddings.

  Returns:
    The logits f64[T, V], and every site's value f64[T, D], as it was gone on
    with, by (site, layer).
  """
  c, sites = model.config, {}

  def weight(param: Any) -> np.ndarray:
    return np.asarray(param[...], np.float64)

  def visit(site: str, layer: int, x: np.ndarray) -> np.ndarray:
    x = x if edit is None else edit(site, layer, x.copy())
    sites[site, layer] = x
    return x

  frequency = _frequencies(c)
  table = weight(model.embedding)
  length = len(tokens_T)
  back = np.arange(length)[:, None] - np.arange(length)
  x = embeddings_TxD
  if x is None:
    x = table[tokens_T] * (c.width**0.5 if c.embedding_scaled else 1)
  x = visit('embed', 0, x)
  stacked = {
    name: weight(param)
    for name, param in vars(model.layers).items()
    if hasattr(param, 'get_value')
  }
  for i in range(c.layers):
    w = {name: value[i] for name, value in stacked.items()}
    x = visit('resid_pre', i, x)
    h = _norm(x, w['attention_norm'], c)
    heads, window = [], (c.windows[i] if c.windows else 0)
    hidden = (back < 0) | (back >= (window or length))
    for head in range(c.heads):
      group = head // (c.heads // c.kv_heads)
      at = slice(head * c.head_width, (head + 1) * c.head_width)
      kv_at = slice(group * c.head_width, (group + 1) * c.head_width)
      query, key = h @ w['query'][:, at], h @ w['key'][:, kv_at]
      if c.query_key_norm:
        query = _norm(query, w['query_norm'], c)
        key = _norm(key, w['key_norm'], c)
      score = _rotate(query, frequency) @ _rotate(key, frequency).T
      score = _cap(score / np.sqrt(c.query_scale or c.head_width), c.score_cap)
      score = np.where(hidden, -np.inf, score)
      score = np.exp(score - score.max(-1, keepdims=True))
      score /= score.sum(-1, keepdims=True)
      heads.append(score @ (h @ w['value'][:, kv_at]))
    added = np.concatenate(heads, -1) @ w['output']
    if c.post_norms:
      added = _norm(added, w['attention_post_norm'], c)
    x = visit('resid_mid', i, x + visit('attn_out', i, added))
    h = _norm(x, w['mlp_norm'], c)
    h = _activate(h @ w['gate'], c.activation) * (h @ w['up'])
    added = h @ w['down']
    if c.post_norms:
      added = _norm(added, w['mlp_post_norm'], c)
    x = visit('resid_post', i, x + visit('mlp_out', i, added))
  x = _norm(x, weight(model.final_norm), c)
  x = visit('final_norm', 0, x)
  logits = x @ (table if c.tied else weight(model.unembedding)).T
  return _cap(logits, c.logit_cap), sites


def generate(model: Any, prompt: list[int], new_tokens: int) -> list[int]:
  """Greedy continuation, each token from a run over the whole text so far."""
  ids = list(prompt)
  for _ in range(new_tokens):
    ids.append(int(np.argmax(forward(model, np.array(ids))[0][-1])))
  return ids[len(prompt) :]

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A `transformers` model as `validation.comparison.Reference`."""

import os

import numpy as np
import torch
import transformers

from experiments.reference import hugging_face


class Model:
  """A model of a directory in float32."""

  def __init__(self, directory: str | os.PathLike[str]):
    transformers.utils.logging.disable_progress_bar()
    self._model = hugging_face.load(os.fspath(directory))
    self._model.generation_config.eos_token_id = None

  def run(self, tokens_BxT: np.ndarray) -> dict[str, np.ndarray]:
    """Returns logits and every site, as `hugging_face.run`."""
    return hugging_face.run(self._model, tokens_BxT)

  def generate(
    self, prompts: list[list[int]], new_tokens: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Continues each prompt alone, with a cache; see `Reference`."""
    rows = [self._continue(prompt, new_tokens) for prompt in prompts]
    tokens, margins = zip(*rows, strict=True)
    return np.array(tokens, np.int32), np.array(margins, np.float32)

  def _continue(
    self, prompt: list[int], new_tokens: int
  ) -> tuple[list[int], list[float]]:
    ids = torch.tensor([prompt])
    made = self._model.generate(
      ids,
      attention_mask=torch.ones_like(ids),
      max_new_tokens=new_tokens,
      do_sample=False,
      output_logits=True,
      return_dict_in_generate=True,
    )
    top = torch.topk(torch.cat(made.logits), 2).values
    tokens = made.sequences[0, len(prompt) :].tolist()
    return tokens, (top[:, 0] - top[:, 1]).tolist()

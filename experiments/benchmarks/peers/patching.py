# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Peers' sides of the patch sweep.

  PEERS_PYTHON -m experiments.benchmarks.peers.patching FOLDER NAME

NAME is a library and how it is used: `loop`, one cell at a time; or `batched`,
all prompts at a layer and position at a time, which documentations say is fast.
Neither runs all of the sweep: rates are of the cells that are.
"""

from collections.abc import Callable, Iterator
import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from experiments.benchmarks import contestant

# Layers and positions that are run of a batched sweep.
_GROUPS = 24

# Logits f32[B, V] at the last position of each of B prompts, given tokens
# [B, T], lengths [B], a layer, a position and vectors [B, D].
_Patched = Callable[..., torch.Tensor]


def _pytorch(model: Any) -> _Patched:
  """A hook on a layer, and logits of the last positions alone."""

  def run(tokens, length, layer, position, vector):
    def write(module, args, output):
      del module, args
      hidden = output[0] if isinstance(output, tuple) else output
      hidden[:, position] = vector
      return output

    handle = model.model.layers[layer].register_forward_hook(write)
    try:
      hidden = model.model(input_ids=tokens, use_cache=False)[0]
    finally:
      handle.remove()
    return model.lm_head(hidden[torch.arange(len(tokens)), length - 1])

  return run


def _nnsight(model: Any) -> _Patched:
  import nnsight

  # Without the head, whose logits at all other positions are not wanted.
  traced = nnsight.NNsight(model.model)

  def run(tokens, length, layer, position, vector):
    rows = torch.arange(len(tokens))
    with traced.trace(input_ids=tokens, use_cache=False):
      traced.layers[layer].output[:, position, :] = vector
      hidden = traced.norm.output.save()
    return model.lm_head(hidden[rows, length - 1])

  return run


def _transformer_lens(model: Any, folder: pathlib.Path) -> _Patched:
  from transformer_lens.model_bridge import TransformerBridge

  bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model)

  def run(tokens, length, layer, position, vector):
    def write(value, hook):
      del hook
      value[:, position] = vector
      return value

    logits = bridge.run_with_hooks(
      tokens, fwd_hooks=[(f'blocks.{layer}.hook_out', write)]
    )
    return logits[torch.arange(len(tokens)), length - 1]

  return run


def _groups(asked: dict[str, Any], way: str) -> Iterator[np.ndarray]:
  """Yields cells that are run at once, of one layer and position."""
  if way == 'loop':
    yield from asked['some'][:, None]
    return
  _, group = np.unique(
    np.stack([asked['layer'], asked['position']]), axis=1, return_inverse=True
  )
  order = np.random.default_rng(0).permutation(group.max() + 1)
  for number in order[:_GROUPS]:
    yield np.flatnonzero(group == number)


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the sweep as a peer does it."""
  asked = contestant.read(folder)
  library, _, way = name.rpartition('_')
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder / 'model', dtype=torch.float32
  ).eval()
  match library:
    case 'pytorch':
      patched = _pytorch(model)
    case 'nnsight':
      patched = _nnsight(model)
    case 'transformer_lens':
      patched = _transformer_lens(model, folder / 'model')
    case _:
      raise ValueError(f'no contestant {name}')
  tokens = torch.tensor(asked['tokens'])
  length = torch.tensor(asked['length'])
  vector = torch.tensor(asked['vector'])
  groups = list(_groups(asked, way))

  def run() -> contestant.Arrays:
    made = []
    with torch.inference_mode():
      for cells in groups:
        prompt = torch.tensor(asked['prompt'][cells])
        longest = int(length[prompt].max())
        logits = patched(
          tokens[prompt, :longest],
          length[prompt],
          int(asked['layer'][cells[0]]),
          int(asked['position'][cells[0]]),
          vector[cells],
        )
        made.append(logits.topk(2))
    top = torch.cat([one.values for one in made]).numpy()
    cells = np.concatenate(groups)
    return {
      'count': np.array(len(cells)),
      'cells': cells,
      'token': torch.cat([one.indices[:, 0] for one in made]).numpy(),
      'margin': top[:, 0] - top[:, 1],
    }

  return contestant.Contestant(run, lambda made: made)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers nnsight transformer-lens')

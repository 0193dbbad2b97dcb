# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Peers' sides of the patch sweep.

  PEERS_PYTHON -m experiments.benchmarks.peers.patching FOLDER NAME

NAME is a library and how it is used: `loop`, one cell at a time; `batched`, all
prompts at a layer and position at a time, which documentations say is fast; or
`layered`, hundreds of cells of a layer at a time, as accelerators want it. None
runs all of the sweep: rates are of the cells that are.
"""

from collections.abc import Callable, Iterator
import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from experiments.benchmarks import contestant

# Layers and positions that are run of a batched sweep; of a layered one so many
# batches of so many cells.
_GROUPS = 24
_BATCHES, _BATCH = 6, 512

# Logits f32[B, V] at the last position of each of B prompts, given tokens
# [B, T], lengths [B], a layer, a position and vectors [B, D].
_Patched = Callable[..., torch.Tensor]


def _pytorch(model: Any) -> _Patched:
  """A hook on a layer, and logits of the last positions alone."""

  def run(tokens, length, layer, position, vector):
    rows = torch.arange(len(tokens), device=tokens.device)

    def write(module, args, output):
      del module, args
      hidden = output[0] if isinstance(output, tuple) else output
      hidden[rows, position] = vector
      return output

    handle = model.model.layers[layer].register_forward_hook(write)
    try:
      hidden = model.model(input_ids=tokens, use_cache=False)[0]
    finally:
      handle.remove()
    return model.lm_head(hidden[rows, length - 1])

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
  """Yields cells that are run at once: of one layer, mostly of one position."""
  if way == 'loop':
    yield from asked['some'][:, None]
    return
  if way == 'layered':
    for layer in np.linspace(0, asked['layer'].max(), _BATCHES, dtype=int):
      yield np.flatnonzero(asked['layer'] == layer)[:_BATCH]
    return
  _, group = np.unique(
    np.stack([asked['layer'], asked['position']]), axis=1, return_inverse=True
  )
  order = np.random.default_rng(0).permutation(group.max() + 1)
  for number in order[:_GROUPS]:
    yield np.flatnonzero(group == number)


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the sweep of the model in a folder."""
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder / 'model', dtype=torch.float32
  ).eval()
  return compete(model, contestant.read(folder), name, folder)


def compete(
  model: Any, asked: contestant.Arrays, name: str, folder: pathlib.Path
) -> contestant.Contestant:
  """Returns the sweep as a peer does it."""
  library, _, way = name.rpartition('_')
  match library:
    case 'pytorch':
      patched = _pytorch(model)
    case 'nnsight':
      patched = _nnsight(model)
    case 'transformer_lens':
      patched = _transformer_lens(model, folder / 'model')
    case _:
      raise ValueError(f'no contestant {name}')
  tokens, length, position, vector = (
    torch.tensor(asked[part], device=model.device)
    for part in ('tokens', 'length', 'position', 'vector')
  )
  vector = vector.to(model.dtype)
  groups = list(_groups(asked, way))

  def run() -> contestant.Arrays:
    made = []
    with torch.inference_mode():
      for cells in groups:
        prompt = torch.tensor(asked['prompt'][cells], device=model.device)
        longest = int(asked['length'][asked['prompt'][cells]].max())
        logits = patched(
          tokens[prompt, :longest],
          length[prompt],
          int(asked['layer'][cells[0]]),
          # Others than plain PyTorch take one position of all.
          position[cells] if library == 'pytorch' else int(position[cells[0]]),
          vector[cells],
        )
        made.append(logits.topk(2))
    top = torch.cat([one.values for one in made]).float().cpu().numpy()
    cells = np.concatenate(groups)
    return {
      'count': np.array(len(cells)),
      'cells': cells,
      'token': torch.cat([one.indices[:, 0] for one in made]).cpu().numpy(),
      'margin': top[:, 0] - top[:, 1],
    }

  return contestant.Contestant(run, lambda made: made)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers nnsight transformer-lens')

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Hidden states of `transformers`, kept by safetensors, in a contest of dumps.

PEERS_PYTHON -m experiments.benchmarks.peers.capturing FOLDER NAME
"""

import pathlib
import shutil
from typing import Any

import numpy as np
import safetensors.torch
import torch
import transformers

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the dump by the model in a folder."""
  model = transformers.AutoModel.from_pretrained(
    folder / 'model', dtype=torch.float32
  ).eval()
  return compete(model, contestant.read(folder), folder / name)


def compete(
  model: Any, asked: contestant.Arrays, kept: pathlib.Path
) -> contestant.Contestant:
  """Returns the dump of all batches, each a file; the model has no head."""
  tokens, positions = (
    torch.tensor(asked[name], device=model.device)
    for name in ('tokens', 'positions')
  )
  layers, size = asked['layers'].tolist(), int(asked['batch'])
  last: dict[str, torch.Tensor] = {}

  def keep(module: Any, args: Any, output: Any) -> None:
    del module, args
    last['stream'] = output[0] if isinstance(output, tuple) else output

  def run() -> None:
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    # The last of the hidden states is one after the final norm.
    hook = model.layers[-1].register_forward_hook(keep)
    with hook, torch.inference_mode():
      for start in range(0, len(tokens), size):
        found = model(
          tokens[start : start + size],
          output_hidden_states=True,
          use_cache=False,
        ).hidden_states
        streams = [*found[1:-1], last['stream']]
        rows = {
          str(layer): streams[layer][:, positions].contiguous()
          for layer in layers
        }
        safetensors.torch.save_file(rows, kept / f'{start:06d}.safetensors')

  def results(_: None) -> contestant.Arrays:
    read = [
      safetensors.torch.load_file(file) for file in sorted(kept.iterdir())
    ]
    rows = [
      np.concatenate(
        [one[str(layer)].flatten(0, 1).float().numpy() for one in read]
      )
      for layer in layers
    ]
    count = len(rows[0])
    chosen = np.stack([one[asked['compared']] for one in rows], 1)
    return {'count': np.array(count), 'rows': chosen}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers safetensors')

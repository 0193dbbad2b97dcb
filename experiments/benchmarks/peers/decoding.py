# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""`generate` of `transformers` in a contest of decoding.

  PEERS_PYTHON -m experiments.benchmarks.peers.decoding FOLDER NAME

Questions of about one length share a batch, as on our side.
"""

import pathlib
from typing import Any

import numpy as np
import torch
import transformers

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the answering by the model in a folder."""
  del name
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder / 'model', dtype=torch.float32
  ).eval()
  return compete(model, contestant.read(folder))


def compete(model: Any, asked: contestant.Arrays) -> contestant.Contestant:
  """Returns the answering of all questions."""
  new, size = int(asked['new']), int(asked['batch'])
  end = int(asked['end_id'])
  order = np.argsort(asked['length'], kind='stable')

  def run() -> np.ndarray:
    answers = np.full((len(order), new), end, np.int64)
    for start in range(0, len(order), size):
      chosen = order[start : start + size]
      longest = int(asked['length'][chosen].max())
      ids = torch.zeros((len(chosen), longest), dtype=torch.long)
      mask = torch.zeros_like(ids)
      for row, index in enumerate(chosen):
        own = asked['length'][index]
        ids[row, longest - own :] = torch.tensor(asked['tokens'][index, :own])
        mask[row, longest - own :] = 1
      with torch.inference_mode():
        made = model.generate(
          ids.to(model.device),
          attention_mask=mask.to(model.device),
          max_new_tokens=new,
          do_sample=False,
          eos_token_id=end,
          pad_token_id=max(end, 0),
        )
      said = made[:, longest:].cpu().numpy()
      answers[chosen, : said.shape[1]] = said
    return answers

  def results(answers: np.ndarray) -> contestant.Arrays:
    return {'count': np.array(len(answers)), 'answers': answers}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch transformers')

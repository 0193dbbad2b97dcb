# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""dictionary_learning in a contest of dictionaries.

PEERS_PYTHON -m experiments.benchmarks.peers.dictionary_learning FOLDER NAME
"""

import pathlib

from dictionary_learning.trainers import top_k
import numpy as np
import torch

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the training for one pass over the rows."""
  del name
  asked = {k: torch.tensor(v) for k, v in contestant.read(folder).items()}
  features, width = asked['decoder'].shape
  trainer = top_k.TopKTrainer(
    steps=1_000_000,
    activation_dim=width,
    dict_size=features,
    k=int(asked['k']),
    layer=0,
    lm_name='random',
    lr=1e-4,
    device='cpu',
    auxk_alpha=0.0,  # None dies, on either side.
  )
  ae = trainer.ae
  with torch.no_grad():
    ae.encoder.weight.copy_(asked['encoder'].T)
    ae.encoder.bias.copy_(asked['encoder_bias'])
    ae.decoder.weight.copy_(asked['decoder'].T)
    ae.b_dec.copy_(asked['decoder_bias'])
    made = ae(asked['rows'][: int(asked['compared'])]).numpy()
  rows, batch = asked['rows'], int(asked['batch'])
  steps = [0]

  def run() -> None:
    for start in range(0, len(rows), batch):
      steps[0] += 1  # From 1: the first would look for a median.
      trainer.update(steps[0], rows[start : start + batch])

  def results(_: None) -> contestant.Arrays:
    return {'count': np.array(len(rows)), 'made': made}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch dictionary-learning')

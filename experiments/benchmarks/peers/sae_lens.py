# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""SAELens in a contest of dictionaries.

  PEERS_PYTHON -m experiments.benchmarks.peers.sae_lens FOLDER NAME

NAME is `sae_lens`, or `sae_lens_sparse` for its sparse activations.
"""

import pathlib

import numpy as np
import sae_lens
from sae_lens import config as config_lib
from sae_lens.training import sae_trainer
import torch

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the training for one pass over the rows."""
  asked = {k: torch.tensor(v) for k, v in contestant.read(folder).items()}
  features, width = asked['decoder'].shape
  sae = sae_lens.TopKTrainingSAE(
    sae_lens.TopKTrainingSAEConfig(
      d_in=width,
      d_sae=features,
      k=int(asked['k']),
      use_sparse_activations=name.endswith('sparse'),
      # With it sparse activations have no gradients.
      rescale_acts_by_decoder_norm=False,
    )
  )
  with torch.no_grad():
    sae.W_enc.copy_(asked['encoder'])
    sae.b_enc.copy_(asked['encoder_bias'])
    sae.W_dec.copy_(asked['decoder'])
    sae.b_dec.copy_(asked['decoder_bias'])
    made = sae(asked['rows'][: int(asked['compared'])]).numpy()
  rows, batch = asked['rows'], int(asked['batch'])
  trainer = sae_trainer.SAETrainer(
    config_lib.SAETrainerConfig(
      total_training_samples=1 << 40,
      train_batch_size_samples=batch,
      lr=1e-4,
      lr_end=1e-4,
      dead_feature_window=1 << 30,
    ),
    sae,
    iter(()),
  )

  def run() -> None:
    for start in range(0, len(rows), batch):
      trainer.maybe_reset_sparsity()
      trainer.step(rows[start : start + batch])
      trainer.n_training_steps += 1

  def results(_: None) -> contestant.Arrays:
    return {'count': np.array(len(rows)), 'made': made}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'torch sae-lens')

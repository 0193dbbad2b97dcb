# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""SAELens' runner that caches activations, in a contest of capture.

  PEERS_PYTHON -m experiments.benchmarks.peers.sae_lens_runner FOLDER NAME

It reads one site, as here one layer's output, at evenly spaced positions.
"""

import pathlib
import shutil

import datasets
import numpy as np
import sae_lens
import transformers

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the dump of the layer."""
  asked = contestant.read(folder)
  tokens, positions = asked['tokens'], asked['positions']
  (layer,), size = asked['layers'].tolist(), int(asked['batch'])
  first, step = int(positions[0]), int(positions[1] - positions[0])
  site, kept = f'model.layers.{layer}', folder / name
  rows = datasets.Dataset.from_dict({'input_ids': tokens.tolist()})
  width = transformers.AutoConfig.from_pretrained(folder / 'model').hidden_size
  config = sae_lens.CacheActivationsRunnerConfig(
    dataset_path='',
    model_name=str(folder / 'model'),
    model_class_name='AutoModelForCausalLM',
    model_batch_size=size,
    hook_name=site,
    d_in=width,
    training_tokens=len(tokens) * len(positions),
    context_size=tokens.shape[1],
    new_cached_activations_path=str(kept),
    shuffle=False,
    device='cpu',
    buffer_size_gb=size * len(positions) * width * 4 / 1e9,
    prepend_bos=False,
    seqpos_slice=(first, None, step),
    streaming=False,
  )

  def make() -> sae_lens.CacheActivationsRunner:
    return sae_lens.CacheActivationsRunner(config, override_dataset=rows)

  # One runs once; making it loads the model, which is not timed.
  runners = [make()]

  def run() -> None:
    shutil.rmtree(kept, ignore_errors=True)
    runners.pop().run()

  def results(_: None) -> contestant.Arrays:
    runners.append(make())
    read = datasets.load_from_disk(str(kept)).with_format('numpy')[site]
    found = np.asarray(read).reshape(-1, 1, width)
    return {'count': np.array(len(found)), 'rows': found[asked['compared']]}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'sae-lens')

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Effects of patching a model without texts, on its own samples.

For any Hugging Face directory without a tokenizer; the layer blocks are those
of a model of 5 layers, such as stories260K. Token ids are written `t17 t402`.

  python -m launch.dump_activations --workdir=STORE \
    --config=experiments/patching/stories.py:dump --config.target=MODEL_DIR
  python -m launch.make_explanations --workdir=SET \
    --config=experiments/patching/stories.py:explanations \
    --config.target=MODEL_DIR --config.store=STORE
  python -m launch.evaluate_fidelity --workdir=DIR \
    --config=experiments/patching/stories.py:evaluation \
    --config.target=MODEL_DIR --config.explanations=SET

There is no explainer: the effects are run again, and the controls that need no
language model say how much of them can be told without one.
"""

import ml_collections

from experiments import evaluation
from experiments.patching import explanations
from experiments.world import dump

BLOCKS = tuple((i, i) for i in range(5)) + ((0, 1), (2, 3), (0, 2), (2, 4))


def get_config(stage: str) -> ml_collections.ConfigDict:
  """Returns the configuration of `dump`, `explanations` or `evaluation`."""
  match stage:
    case 'dump':
      config = dump.get_config()
      config.prompts.source = 'samples'
      config.prompts.samples = dict(count=1500, length=24)
    case 'explanations':
      config = explanations.get_config()
      config.blocks = BLOCKS
      config.quota = dict(train=60, validation=10, test=20)
    case 'evaluation':
      config = evaluation.get_config()
    case _:
      raise ValueError(
        f'no stage {stage!r}: expected dump, explanations or evaluation'
      )
  return config

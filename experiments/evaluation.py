# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Evaluates explainers on people, or features, that they never saw.

python -m launch.evaluate_fidelity --workdir=DIR \
    --config=experiments/evaluation.py \
    --config.target=MODEL_DIR --config.explanations=SET_DIR \
    --config.initial=MODEL_DIR --config.explainers.self=EXPLAINER_DIR

The explanation set says which task it is. Of features, the dictionary that they
are of has to be named too.
"""

import ml_collections

from experiments import endpoint


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.explanations = ''
  config.dictionary = ''
  config.split = 'test'
  config.examples = 0  # All of them.
  config.seed = 0
  # Of the activations and parameters of the target and of explainers.
  config.dtype = 'float32'
  # Whether verdicts that another batch shape turns round are scored.
  config.keep_unstable = False
  # What `self` was trained from, for the untrained arm.
  config.initial = ''
  # Directories of explainers; an arm without one is left out. Without any, the
  # controls that need no language model are evaluated alone.
  config.explainers = dict(self='', stranger='', twin='', text_only='')
  # Who answers, such as ('self', 'shuffled_vector'); if empty all that can.
  config.arms = ()
  # Who says how similar descriptions of features are to their labels: `words`,
  # by the words that they share; `endpoint`, a language model behind one; or
  # `embeddings`, those of the encoder `model`.
  config.judge = dict(kind='words', **endpoint.get_config())
  # The directory of a trained simulator, which says where descriptions of
  # features hold; a world's are executed without one. One that does not say so
  # itself is of a convention, such as `published`.
  config.simulator = ''
  config.simulator_convention = ''
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config

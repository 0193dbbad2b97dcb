# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Takes a published explainer of the paper as one that can be evaluated.

  python -m launch.import_explainer --workdir=DIR \
    --config=experiments/published_explainer.py \
    --config.checkpoint=Transluce/act_patch_llama3.1_8b_llama3.1_8b \
    --config.tokenizer=meta-llama/Llama-3.1-8B \
    --config.phrasings=base_base_act_patch_cf.yaml

The phrasings are the authors' config that the checkpoint was trained with.
DIR/model is an explainer for `evaluate_fidelity`. The weights are read where
they are: a directory, or an id of the Hugging Face hub.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.checkpoint = ''
  config.phrasings = ''  # A YAML file.
  config.tokenizer = ''  # Directory or id, if the checkpoint has none.
  config.chat = False
  # Those of Llama's Instruct models were trained on chats of two BOS.
  config.doubled_bos = False
  config.seed = 0  # Of nothing: every stage has one.
  return config

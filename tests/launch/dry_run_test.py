# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the sizes that dry runs print of a model of 8 billion parameters.

Of the model there is nothing but its configuration and a tokenizer: a dry run
reads no weights. Sizes are worked out here from the shapes alone.
"""

import json
import pathlib
import re

from absl.testing import absltest
import ml_dtypes
import numpy as np

from experiments import evaluation
from experiments import paper
from experiments.ablation import mmlu
from experiments.features import dictionary
from experiments.features import dump
from experiments.patching import llama3_1_8b_self
from experiments.world import pretrain
from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import pretrain_target
from launch import train_dictionary
from launch import train_explainer
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import writer
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.tasks import patching
from tests.models import real
from tests.models import text_tokenizers

# Llama-3.1-8B.
_V, _D, _L, _H, _KV, _W, _M = 128_256, 4096, 32, 32, 8, 128, 14_336
_BLOCK = 2 * _D * _W * (_H + _KV) + 3 * _D * _M
_NORMS = (2 * _L + 1) * _D
_PARAMETERS = _L * _BLOCK + 2 * _V * _D + _NORMS
# What a token is multiplied with.
_WEIGHTS = _L * _BLOCK + _V * _D
_CHIPS = 16
_TPU = 3e13  # Operations a second and chip, assumed.


def _gb(size: float) -> str:
  return f'{size / 1e9:.3g} GB'


class DryRunTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.target = self.folder / '8b'
    self.tokenizer = text_tokenizers.write_llama(self.target)
    real.write(paper.LLAMA, self.target)

  def told(self, stage, config):
    """What a dry run says, in one line; it leaves nothing behind."""
    with self.assertLogs() as log:
      stage.run(config, str(self.folder / 'none'), True)
    self.assertFalse((self.folder / 'none').exists())
    return ' '.join(record.getMessage() for record in log.records)

  def explained(self):
    """A set of a few patches, with vectors as wide as the model."""
    ids = self.tokenizer.encode_prompt('The mother tongue of Anna')
    records = [
      {
        'task': patching.NAME,
        'split': split,
        'group': f'person {n}',
        'place': 'relation',
        'treatment': '0 to 7',
        'vectors': [n],
        'answer': 'The output would remain unchanged from <<< French>>>.',
        'prompt_kind': 'tongue',
        'prompt_ids': ids,
        'text': 'The mother tongue of Anna',
        'clean_id': 1,
        'treated_id': 1,
        'clean_token': ' French',
        'treated_token': ' French',
        'changed': False,
        'balanced': False,
        'counterfactual_group': 'another',
        'site': 'resid_post',
        'first_layer': 0,
        'last_layer': 7,
        'position': 2,
        **patching.pieces(self.tokenizer, ids, 2),
      }
      for n, split in enumerate(('train', 'validation', 'test'))
    ]
    made_of = {'weight_hash': 'w', 'tokenizer_hash': self.tokenizer.digest()}
    explanations.write(
      self.folder / 'set',
      records,
      patching.SCHEMA,
      np.zeros((3, _D), np.float32),
      {'task': patching.NAME, 'target': made_of},
    )
    return str(self.folder / 'set')

  def test_the_number_of_parameters_is_the_published_one(self):
    self.assertEqual(_PARAMETERS, 8_030_261_248)

  def test_pretraining(self):
    config = pretrain.get_config()
    config.model.update(
      dict(width=_D, layers=_L, heads=_H, kv_heads=_KV, head_width=_W)
    )
    config.model.mlp_width = _M
    config.mesh.fsdp = _CHIPS
    told = self.told(pretrain_target, config)
    tokens = 400 * 32 * 64
    (weights,) = re.findall(r'([\d.]+) M weights', told)
    # The world's vocabulary is small, and its embedding is tied.
    vocabulary = (float(weights) * 1e6 - _L * _BLOCK) / _D
    self.assertBetween(vocabulary, 100, 2000)
    minutes = 6 * float(weights) * 1e6 * tokens / (_TPU * _CHIPS) / 60
    self.assertIn(f'roughly {minutes:.1f} minutes', told)

  def test_dumping(self):
    texts = self.folder / 'texts.jsonl'
    line = json.dumps({'text': 'a' * 40})
    texts.write_text(f'{line}\n' * 100)
    config = dump.get_config()
    config.target, config.layers = str(self.target), (15, 16)
    config.prompts.text.update(dict(files=str(texts), count=100, length=24))
    config.mesh.fsdp = _CHIPS
    told = self.told(dump_activations, config)
    ids = self.tokenizer.encode_document('a' * 40)[:24]
    rows = 100 * (len(ids) - 1)
    self.assertIn(f'{100 * len(ids)} tokens, {rows} rows of 2 layers', told)
    size = rows * (2 * _D * 2 + 16)  # In bfloat16, and where a row is from.
    self.assertIn(f'{size / 1e9:.3f} GB', told)
    device = 2 * ((_PARAMETERS - _NORMS) / _CHIPS + _NORMS)
    self.assertIn(f'takes {_gb(device)} on each of {_CHIPS} devices', told)

  def test_training_a_dictionary(self):
    prompts = prompts_lib.Prompts(
      ids=[[1, 2, 3, 4]] * 16,
      text=['x'] * 16,
      positions={},
      kind=['document'] * 16,
      group=[f'document {i}' for i in range(16)],
      split=['train'] * 14 + ['validation'] * 2,
      answer=np.full(16, -1, np.int32),
      known=np.ones(16, bool),
    )
    store = self.folder / 'store'
    prompts_lib.write(prompts, store)
    self._write_store(store, rows=48)
    config = dictionary.get_config()
    config.target, config.store = str(self.target), str(store)
    config.features, config.batch, config.steps = 131_072, 4096, 1000
    config.mesh.fsdp = _CHIPS
    told = self.told(train_dictionary, config)
    weights = 2 * _D * 131_072
    self.assertIn(f'{weights / 1e6:.2f} M weights in all', told)
    self.assertIn(f'with gradients and optimizer {_gb(16 * weights)}', told)
    read = 2 * 4 * (1 + 2)
    flops = 6 * weights * 4096 * 1000 + 2 * _WEIGHTS * read
    self.assertIn(f'roughly {flops / (_TPU * _CHIPS) / 60:.1f} minutes', told)

  def _write_store(self, store, rows):
    spec = layout.StoreSpec(
      target='8b',
      weight_hash='w',
      tokenizer_hash=self.tokenizer.digest(),
      sites=('resid_post',),
      layers=(15,),
      width=_D,
      dtype='bfloat16',
      rows_per_shard=rows,
      layered=('resid_post',),
    )
    made = writer.StoreWriter(store, spec, rows)
    position = np.tile(np.arange(1, 4, dtype=np.int32), rows // 3)
    document = np.repeat(np.arange(rows // 3), 3)
    made.write_shard(
      0,
      {
        'resid_post': np.zeros((rows, 1, _D), ml_dtypes.bfloat16),
        'token_id': position,
        'document': document,
        'position': position,
      },
    )
    made.finish()

  def test_making_an_ablation_set(self):
    chat = self.folder / 'chat'
    tokenizer = text_tokenizers.write_llama(chat, chat=True)
    real.write(paper.LLAMA_INSTRUCT, chat)
    lines = [
      dict(
        question=f'Which is {n}?', choices=['a', 'b', 'c', 'd'], answer=n % 4
      )
      for n in range(40)
    ]
    questions = self.folder / 'questions.jsonl'
    questions.write_text('\n'.join(map(json.dumps, lines)))
    config = mmlu.get_config()
    config.target, config.questions = str(chat), str(questions)
    config.dtype, config.mesh.fsdp = 'bfloat16', _CHIPS
    told = self.told(make_explanations, config)
    found = re.search(r'(\d+) forwards of (\d+) tokens', told)
    self.assertIsNotNone(found)
    # With the hint and without, in two batch shapes.
    self.assertEqual(int(found[1]), 4 * 40)
    system = len(tokenizer.encode(config.system))
    self.assertBetween(int(found[2]), system + 40, system + 200)
    flops = 2 * _WEIGHTS * int(found[1]) * int(found[2])
    minutes = flops / (_TPU * _CHIPS) / 60
    self.assertIn(f'roughly {minutes:.1f} minutes', told)

  def test_tuning(self):
    flow = llama3_1_8b_self.get_config()
    flow.target = flow.initial = str(self.target)
    config = flow.copy_and_resolve_references().explainer
    config.explanations.patching = self.explained()
    told = self.told(train_explainer, config)
    tokens = 8_400 * 8 * 512
    self.assertIn(f'{tokens / 1e6:.2f} M tokens', told)
    minutes = 6 * _WEIGHTS * tokens / (_TPU * _CHIPS) / 60
    self.assertIn(f'roughly {minutes:.1f} minutes', told)
    # Of rank 128, of each of the seven matrices of a block.
    lora = _L * 128 * (2 * (_D + _H * _W) + 2 * (_D + _KV * _W) + 3 * (_D + _M))
    self.assertEqual(lora, 335_544_320)  # As that of the published adapter.
    self.assertIn(
      f'{lora / 1e6:.2f} M weights trained of {_PARAMETERS / 1e6:.2f} M', told
    )
    # The frozen base; the adapter, its gradient and Adam's two means; a count.
    total = 2 * _PARAMETERS + 16 * lora
    self.assertIn(f'weights, gradients and optimizer {_gb(total)}', told)

  def test_evaluating(self):
    config = evaluation.get_config()
    config.target, config.dtype = str(self.target), 'bfloat16'
    config.explanations = self.explained()
    config.mesh.fsdp = _CHIPS
    told = self.told(evaluate_fidelity, config)
    device = 2 * ((_PARAMETERS - _NORMS) / _CHIPS + _NORMS)
    self.assertIn(
      f'takes {_gb(2 * _PARAMETERS)}, on each of {_CHIPS} devices '
      f'{_gb(device)}',
      told,
    )


if __name__ == '__main__':
  absltest.main()

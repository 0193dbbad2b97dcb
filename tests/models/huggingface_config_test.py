# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of reading and refusing the configurations of Hugging Face models."""

import functools
import json
import pathlib
import shutil

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import huggingface_config

_DATA = pathlib.Path(__file__).parent / 'data'

_REMOVED = object()

# Model, change of config.json, what the refusal must name.
_BAD_CONFIGS: tuple[tuple[str, str, dict, str], ...] = (
  ('unknown', 'llama', dict(logit_softcap=30.0), 'logit_softcap.* 30.0'),
  ('quantised', 'llama', dict(quantization_config={}), 'quantization_config'),
  ('family', 'llama', dict(model_type='gemma'), 'gemma.*llama or qwen3 or'),
  ('bias', 'llama', dict(attention_bias=True), 'attention_bias.*False'),
  ('activation', 'llama', dict(hidden_act='gelu'), "gelu.*'silu'"),
  ('window', 'qwen3', dict(sliding_window=64), 'sliding_window.* 64'),
  ('kinds', 'qwen3', dict(layer_types=['sliding_attention']), 'layer_types'),
  ('no_window', 'gemma2', dict(sliding_window=None), 'sliding_window.*integer'),
  (
    'two_windows',
    'gemma2',
    dict(sliding_window_size=6),
    '6.*as sliding_window',
  ),
  ('one_kind', 'gemma2', dict(layer_types=['full_attention']), '2 layers of'),
  ('cap', 'gemma2', dict(final_logit_softcapping=_REMOVED), 'capping.*number'),
  ('zero_cap', 'gemma2', dict(attn_logit_softcapping=0.0), 'score_cap=0.0'),
  ('exact_gelu', 'gemma2', dict(hidden_activation='gelu'), 'gelu_pytorch_tanh'),
  ('both_ways', 'gemma2', dict(use_bidirectional_attention=True), 'None or Fa'),
  ('dtype', 'llama', dict(dtype='float8_e4m3fn'), 'dtype.*float32, bfloat16'),
  ('tied', 'llama', dict(tie_word_embeddings='no'), 'tie_word_embeddings'),
  ('absent', 'llama', dict(hidden_size=_REMOVED), 'hidden_size.*integer'),
  ('negative', 'llama', dict(num_hidden_layers=-1), 'num_hidden_layers'),
  ('text', 'llama', dict(vocab_size='40'), 'vocab_size.*integer'),
  ('epsilon', 'llama', dict(rms_norm_eps=None), 'rms_norm_eps.*number'),
  ('head_width', 'qwen3', dict(head_dim=_REMOVED), 'head_dim.*integer'),
  ('groups', 'llama', dict(num_key_value_heads=3), 'heads=4.*kv_heads=3'),
  (
    'rope_type',
    'llama',
    dict(rope_parameters=dict(rope_type='yarn', factor=2.0)),
    'yarn.*default or llama3',
  ),
  (
    'rope_attribute',
    'llama',
    dict(rope_parameters=dict(rope_type='default', beta_fast=2)),
    'rope_parameters.*beta_fast',
  ),
  (
    'rope_incomplete',
    'llama',
    dict(rope_parameters=dict(rope_type='llama3', factor=2.0)),
    'low_freq_factor.*number',
  ),
  ('two_ropes', 'llama', dict(rope_theta=5e5), 'rope_theta and rope_scaling'),
)


class ConfigTest(parameterized.TestCase):
  def _copy(self, name):
    """A copy of a model to spoil."""
    target = pathlib.Path(self.create_tempdir().full_path) / name
    return pathlib.Path(shutil.copytree(_DATA / name, target))

  def _configure(self, directory, changes):
    path = directory / 'config.json'
    content = {**json.loads(path.read_text()), **changes}
    content = {k: v for k, v in content.items() if v is not _REMOVED}
    path.write_text(json.dumps(content))

  @parameterized.named_parameters(*_BAD_CONFIGS)
  def test_refuses_configuration(self, name, changes, pattern):
    directory = self._copy(name)
    self._configure(directory, changes)
    with self.assertRaisesRegex(errors.InputError, pattern) as raised:
      huggingface.read_config(directory)
    self.assertIn(str(directory / 'config.json'), str(raised.exception))
    self.assertNotIn('\n', str(raised.exception))

  def test_ropes_of_transformers_4_and_5_are_read_alike(self):
    directory = self._copy('llama_tied_scaled')
    expected = huggingface.read_config(directory)
    self.assertIsNotNone(expected.rope_scaling)
    path = directory / 'config.json'
    table = json.loads(path.read_text())['rope_parameters']
    theta = table.pop('rope_theta')
    old = dict(rope_scaling=table, rope_theta=theta)
    self._configure(directory, dict(rope_parameters=_REMOVED, **old))
    self.assertEqual(huggingface.read_config(directory), expected)
    self._configure(directory, dict(rope_scaling=_REMOVED, rope_theta=5e5))
    plain = huggingface.read_config(directory)
    self.assertEqual((plain.rope_theta, plain.rope_scaling), (5e5, None))

  def test_llama_derives_what_old_files_leave_out(self):
    directory = self._copy('llama')
    self._configure(
      directory,
      dict.fromkeys(('num_key_value_heads', 'head_dim'), _REMOVED),
    )
    config = huggingface.read_config(directory)
    self.assertEqual((config.kv_heads, config.head_width), (4, 4))

  def test_gemma2_files_of_transformers_4_are_read_alike(self):
    directory = self._copy('gemma2_tied')
    expected = huggingface.read_config(directory)
    self.assertEqual(expected.windows, (5, 0))
    self._configure(
      directory,
      dict(
        layer_types=_REMOVED,
        tie_word_embeddings=_REMOVED,
        hidden_act='gelu_pytorch_tanh',
        cache_implementation='hybrid',
        sliding_window_size=5,
      ),
    )
    self.assertEqual(huggingface.read_config(directory), expected)

  def test_token_ids(self):
    directory = self._copy('llama')
    read = functools.partial(huggingface_config.read_token_ids, directory)
    self._configure(directory, dict(bos_token_id=None, eos_token_id=[7, 8]))
    self.assertEqual(read(), (None, 7))
    for changes, pattern in (
      (dict(eos_token_id=None), 'eos_token_id'),
      (dict(eos_token_id=3, bos_token_id='<s>'), 'bos_token_id'),
    ):
      self._configure(directory, changes)
      with self.assertRaisesRegex(errors.InputError, pattern):
        read()


if __name__ == '__main__':
  absltest.main()

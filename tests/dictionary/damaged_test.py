# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Damaged dictionaries of every published format: one line says what it is."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import dictionaries
from tests.dictionary import published
from tests.models import tiny

CONFIG = tiny.model(layers=2).config

# What writes a whole one, by format.
WRITERS: dict[str, Callable[..., pathlib.Path]] = {
  'SAELens': published.saelens_v6,
  'Llama Scope': published.llama_scope,
  'Gemma Scope': published.gemma_scope,
}

Damage = Callable[[pathlib.Path], None]


def _cut(name: str, share: float) -> Damage:
  """Cuts a file short."""

  def damage(folder: pathlib.Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])

  return damage


def _say(name: str, **fields: Any) -> Damage:
  """Changes fields of a JSON file; None takes one away."""

  def damage(folder: pathlib.Path) -> None:
    content = {**json.loads((folder / name).read_text()), **fields}
    content = {k: v for k, v in content.items() if v is not None}
    (folder / name).write_text(json.dumps(content))

  return damage


def _write(name: str, content: str) -> Damage:
  """Writes something else in place of a file."""

  def damage(folder: pathlib.Path) -> None:
    (folder / name).write_text(content)

  return damage


def _change(tensors: dict[str, Any], name: str, act: Callable) -> None:
  made = act(tensors.pop(name, None))
  if made is not None:
    tensors[name] = made


def _weights(file: str, name: str, act: Callable) -> Damage:
  """Changes one tensor of a safetensors file, or takes it away."""

  def damage(folder: pathlib.Path) -> None:
    tensors = published.read_tensors(folder / file)
    _change(tensors, name, act)
    published.write_tensors(folder / file, tensors)

  return damage


def _arrays(name: str, act: Callable) -> Damage:
  """Changes one array of an npz file, or takes it away."""

  def damage(folder: pathlib.Path) -> None:
    with np.load(folder / 'params.npz') as content:
      arrays = dict(content)
    _change(arrays, name, act)
    np.savez(folder / 'params.npz', **arrays)

  return damage


def _nothing(value: Any) -> None:
  del value


def _narrower(value: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(value[..., :-1])


def _not_finite(value: np.ndarray) -> np.ndarray:
  value = np.array(value)
  value.reshape(-1)[len(value) // 2] = np.inf
  return value


def _integers(value: np.ndarray) -> np.ndarray:
  return value.astype(np.int32)


_SAELENS = 'sae_weights.safetensors'
_LLAMA = published.LLAMA_WEIGHTS

# Format, name, what damages a folder, and what the error says.
CASES: tuple[tuple[str, str, Damage, str], ...] = (
  ('SAELens', 'cut', _cut(_SAELENS, 0.9), 'is not a whole safetensors file'),
  ('SAELens', 'header cut', _cut(_SAELENS, 0.01), 'not a whole safetensors'),
  (
    'SAELens',
    'no weights',
    lambda folder: (folder / _SAELENS).unlink(),
    'no dictionary: expected a file at .*sae_weights.safetensors',
  ),
  (
    'SAELens',
    'missing tensor',
    _weights(_SAELENS, 'b_dec', _nothing),
    'has no tensor b_dec: expected one of shape',
  ),
  (
    'SAELens',
    'unknown tensor',
    _weights(_SAELENS, 'scaling_factor', lambda _: np.ones(20, np.float32)),
    "has a tensor 'scaling_factor': expected none but",
  ),
  (
    'SAELens',
    'wrong width',
    _weights(_SAELENS, 'W_dec', _narrower),
    r'W_dec has shape \(20, 15\), expected \(20, 16\)',
  ),
  (
    'SAELens',
    'not finite',
    _weights(_SAELENS, 'W_enc', _not_finite),
    'encoder has values that are not finite',
  ),
  (
    'SAELens',
    'integers',
    _weights(_SAELENS, 'b_enc', _integers),
    'b_enc has type I32, expected one of F64',
  ),
  (
    'SAELens',
    'unknown field',
    _say('cfg.json', finetuning_scaling_factor=True),
    "has a field 'finetuning_scaling_factor': expected none but",
  ),
  (
    'SAELens',
    'unknown architecture',
    _say('cfg.json', architecture='gated'),
    "has architecture='gated': expected 'topk' or",
  ),
  (
    'SAELens',
    'normalised row by row',
    _say('cfg.json', normalize_activations='layer_norm'),
    "normalize_activations='layer_norm': expected 'none' or",
  ),
  ('SAELens', 'no JSON', _cut('cfg.json', 0.5), 'is not valid JSON'),
  (
    'SAELens',
    'unknown site',
    _say('cfg.json', metadata={'hook_name': 'blocks.0.attn.hook_z'}),
    'is of hook blocks.0.attn.hook_z: expected one of blocks',
  ),
  ('Llama Scope', 'cut', _cut(_LLAMA, 0.9), 'not a whole safetensors file'),
  (
    'Llama Scope',
    'no weights',
    lambda folder: (folder / _LLAMA).unlink(),
    'no dictionary: expected a file at .*final.safetensors',
  ),
  (
    'Llama Scope',
    'missing tensor',
    _weights(_LLAMA, 'decoder.bias', _nothing),
    'has no tensor decoder.bias: expected one of shape',
  ),
  (
    'Llama Scope',
    'wrong width',
    _say('hyperparams.json', d_model=17),
    r'encoder.weight has shape \(20, 16\), expected \(20, 17\)',
  ),
  (
    'Llama Scope',
    'not finite',
    _weights(_LLAMA, 'decoder.weight', _not_finite),
    'decoder has values that are not finite',
  ),
  (
    'Llama Scope',
    'unknown field',
    _say('hyperparams.json', n_decoders=2),
    "has a field 'n_decoders': expected none but",
  ),
  (
    'Llama Scope',
    'unknown architecture',
    _say('hyperparams.json', use_glu_encoder=True),
    'use_glu_encoder=True: expected False',
  ),
  (
    'Llama Scope',
    'no threshold',
    _say('hyperparams.json', jump_relu_threshold=None),
    "has no field 'jump_relu_threshold': expected one",
  ),
  (
    'Llama Scope',
    'norm of 0',
    _say(
      'hyperparams.json', dataset_average_activation_norm={'in': 0, 'out': 1}
    ),
    'norm has in=0: expected a number above 0',
  ),
  (
    'Llama Scope',
    'transcoder',
    _say('hyperparams.json', hook_point_out='blocks.0.hook_mlp_out'),
    'writes blocks.0.hook_mlp_out: expected a dictionary',
  ),
  (
    'Llama Scope',
    'another layer than its name',
    _say(
      'hyperparams.json',
      hook_point_in='blocks.1.hook_resid_post',
      hook_point_out='blocks.1.hook_resid_post',
    ),
    "expected 'blocks.0.hook_resid_post', as the folder's name says",
  ),
  ('Gemma Scope', 'cut', _cut('params.npz', 0.9), 'is not a whole npz file'),
  ('Gemma Scope', 'empty', _cut('params.npz', 0), 'is not a whole npz file'),
  (
    'Gemma Scope',
    'no zip',
    _write('params.npz', 'version https://git-lfs.github.com/spec/v1'),
    'is not a whole npz file',
  ),
  (
    'Gemma Scope',
    'missing array',
    _arrays('threshold', _nothing),
    'has no tensor threshold: expected one of shape',
  ),
  (
    'Gemma Scope',
    'unknown array',
    _arrays('scaling_factor', lambda _: np.ones(1024, np.float32)),
    "has a tensor 'scaling_factor': expected none but",
  ),
  (
    'Gemma Scope',
    'wrong width',
    _arrays('W_dec', _narrower),
    r'W_dec has shape \(1024, 15\), expected \(1024, 16\)',
  ),
  (
    'Gemma Scope',
    'not finite',
    _arrays('b_enc', _not_finite),
    'encoder_bias has values that are not finite',
  ),
  (
    'Gemma Scope',
    'pickled',
    _arrays('b_dec', lambda _: np.array([{}], dtype=object)),
    'b_dec.npy has type object, expected one of floating',
  ),
  (
    'Gemma Scope',
    'another number of features than its name',
    _arrays('W_enc', lambda value: np.tile(value, 2)),
    'W_enc has shape|b_enc has shape',
  ),
)


class DamagedTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  @parameterized.parameters(*WRITERS)
  def test_a_whole_one_is_opened(self, form):
    WRITERS[form](self.root, width=CONFIG.width)
    found = dictionaries.load(self.root, lambda: 'abc', CONFIG)
    self.assertEqual(found.stored[0].format, form)

  @parameterized.named_parameters(
    (f'{form} {name}'.replace(' ', '_'), form, damage, message)
    for form, name, damage, message in CASES
  )
  def test_one_line_says_what_is_wrong(self, form, damage, message):
    damage(WRITERS[form](self.root, width=CONFIG.width))
    with self.assertRaisesRegex(errors.InputError, message) as caught:
      _ = dictionaries.load(self.root, lambda: 'abc', CONFIG).digest
    self.assertNotIn('\n', str(caught.exception))
    self.assertIn(str(self.root), str(caught.exception))


if __name__ == '__main__':
  absltest.main()

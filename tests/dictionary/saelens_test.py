# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of dictionaries in files."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from tests.dictionary import fixtures

X = np.random.default_rng(3).normal(size=(50, 6)).astype(np.float32)


class SaelensTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path) / 'one'

  def save(self, k=None):
    sae = fixtures.random_sae(6, 20, k)
    saelens.save(sae, self.folder, {'hook_name': 'blocks.3.hook_mlp_out'})
    return sae

  def change(self, **fields):
    """Changes fields of the config; None takes one away."""
    name = self.folder / 'cfg.json'
    config = {**json.loads(name.read_text()), **fields}
    config = {k: v for k, v in config.items() if v is not None}
    name.write_text(json.dumps(config))

  def tensors(self):
    content = (self.folder / 'sae_weights.safetensors').read_bytes()
    return safetensors_numpy.load(content)

  def write(self, **tensors):
    content = safetensors_numpy.save(tensors)
    (self.folder / 'sae_weights.safetensors').write_bytes(content)

  @parameterized.parameters(None, 3)
  def test_round_trip(self, k):
    sae = self.save(k)
    found = saelens.load(self.folder)
    self.assertEqual(found.k, k)
    for name in ('encoder_DxS', 'encoder_bias_S', 'decoder_SxD'):
      np.testing.assert_array_equal(getattr(found, name), getattr(sae, name))
    np.testing.assert_array_equal(
      sae_lib.encode(found, X), sae_lib.encode(sae, X)
    )
    files = {f.name: f.read_bytes() for f in self.folder.iterdir()}
    saelens.save(found, self.folder, {'hook_name': 'blocks.3.hook_mlp_out'})
    again = {f.name: f.read_bytes() for f in self.folder.iterdir()}
    self.assertEqual(files, again)

  def test_names_are_those_of_saelens(self):
    self.save()
    config = json.loads((self.folder / 'cfg.json').read_text())
    self.assertEqual(
      config,
      {
        'architecture': 'jumprelu',
        'd_in': 6,
        'd_sae': 20,
        'dtype': 'float32',
        'device': 'cpu',
        'apply_b_dec_to_input': True,
        'normalize_activations': 'none',
        'reshape_activations': 'none',
        'metadata': {'hook_name': 'blocks.3.hook_mlp_out'},
      },
    )
    shapes = {name: value.shape for name, value in self.tensors().items()}
    expected = {'W_enc': (6, 20), 'b_enc': (20,), 'W_dec': (20, 6)}
    expected |= {'b_dec': (6,), 'threshold': (20,)}
    self.assertEqual(shapes, expected)
    self.save(3)
    config = json.loads((self.folder / 'cfg.json').read_text())
    self.assertEqual((config['architecture'], config['k']), ('topk', 3))
    self.assertNotIn('threshold', self.tensors())
    self.assertEqual(
      str(saelens.folder('/a', 'resid_post', 4)),
      '/a/dictionaries/blocks.4.hook_resid_post',
    )

  def test_formula_is_that_of_saelens(self):
    self.save()
    t = {name: np.float64(value) for name, value in self.tensors().items()}
    for subtracted in (True, False):
      self.change(apply_b_dec_to_input=subtracted)
      inside = X - t['b_dec'] * subtracted
      values = inside @ t['W_enc'] + t['b_enc']
      expected = np.maximum(values, 0) * (values > t['threshold'])
      sae = saelens.load(self.folder)
      features = sae_lib.encode(sae, X)
      np.testing.assert_allclose(features, expected, 0, 1e-4)
      np.testing.assert_allclose(
        sae_lib.decode(sae, features),
        expected @ t['W_dec'] + t['b_dec'],
        0,
        1e-3,
      )

  @parameterized.product(
    subtracted=(True, False), kind=('jumprelu', 'topk', 'batchtopk', 'standard')
  )
  def test_scales_and_norms_are_folded_in(self, subtracted, kind):
    """The published forward pass, on activations scaled by hand."""
    rescaled = kind in ('topk', 'batchtopk')
    self.save()
    tensors = self.tensors()
    if kind != 'jumprelu':
      threshold = tensors.pop('threshold')
    if kind == 'batchtopk':
      tensors['topk_threshold'] = np.array(threshold.mean(), np.float64)
    self.write(**tensors)
    self.change(
      architecture=kind,
      apply_b_dec_to_input=subtracted,
      normalize_activations='expected_average_only_in',
      rescale_acts_by_decoder_norm=rescaled or None,
      k=3 if rescaled else None,
    )
    scale = 0.3
    (self.folder / 'activation_scaler.json').write_text(
      json.dumps({'scaling_factor': scale})
    )
    t = {name: np.float64(value) for name, value in tensors.items()}
    norms = np.linalg.norm(t['W_dec'], axis=1) if rescaled else np.ones(20)
    inside = X * scale - t['b_dec'] * subtracted
    values = np.maximum((inside @ t['W_enc'] + t['b_enc']) * norms, 0)
    if kind == 'topk':
      fires = values >= np.sort(values, 1)[:, -3:-2]
    else:
      fires = values > t.get('threshold', t.get('topk_threshold', 0))
    expected = values * fires
    self.assertBetween(fires.mean(), 0.1, 0.9)
    sae = saelens.load(self.folder)
    features = sae_lib.encode(sae, X)
    np.testing.assert_allclose(features, expected, 1e-4, 1e-4)
    made = (expected / norms @ t['W_dec'] + t['b_dec']) / scale
    np.testing.assert_allclose(sae_lib.decode(sae, features), made, 0, 1e-3)

  def test_standard_is_a_threshold_of_zero(self):
    self.save()
    self.change(architecture='standard')
    tensors = self.tensors()
    del tensors['threshold']
    self.write(**tensors)
    values = (X - tensors['b_dec']) @ tensors['W_enc'] + tensors['b_enc']
    found = sae_lib.encode(saelens.load(self.folder), X)
    np.testing.assert_allclose(found, np.maximum(values, 0), 0, 1e-4)

  @parameterized.parameters(
    ({'architecture': 'gated'}, "architecture='gated': expected 'topk' or"),
    ({'architecture': None}, "no field 'architecture'"),
    ({'normalize_activations': 'layer_norm'}, "='layer_norm': expected 'none'"),
    (
      {'normalize_activations': 'constant_norm_rescale'},
      "='constant_norm_rescale': expected 'none' or",
    ),
    (
      {'normalize_activations': 'expected_average_only_in'},
      'the scale is not known: expected',
    ),
    (
      {'rescale_acts_by_decoder_norm': True},
      'expected it of topk or batchtopk, not jumprelu',
    ),
    ({'metadata': 'layer 3'}, "metadata='layer 3': expected dict"),
    ({'apply_b_dec_to_input': 1}, 'apply_b_dec_to_input=1: expected True or'),
    ({'reshape_activations': 'hook_z'}, "reshape_activations='hook_z'"),
    ({'finetuning_scaling_factor': True}, "field 'finetuning_scaling_factor'"),
    ({'d_in': '6'}, "d_in='6': expected an integer"),
    ({'d_sae': 21}, r'W_enc has shape \(6, 20\), expected \(6, 21\)'),
    ({'architecture': 'topk'}, "no field 'k'"),
    (
      {'architecture': 'topk', 'k': 3},
      "has a tensor 'threshold': expected none but",
    ),
    ({'dtype': 'int8'}, "dtype='int8'"),
  )
  def test_refuses_by_name(self, change, message):
    self.save()
    self.change(**change)
    with self.assertRaisesRegex(errors.InputError, message):
      saelens.load(self.folder)

  def test_refuses_damaged_weights(self):
    self.save()
    tensors = self.tensors()
    del tensors['b_enc']
    self.write(**tensors)
    with self.assertRaisesRegex(errors.InputError, 'no tensor b_enc: expected'):
      saelens.load(self.folder)
    (self.folder / 'sae_weights.safetensors').write_bytes(b'1234')
    with self.assertRaisesRegex(
      errors.InputError, 'not a whole safetensors file'
    ):
      saelens.load(self.folder)
    (self.folder / 'sae_weights.safetensors').unlink()
    with self.assertRaisesRegex(errors.InputError, 'no dictionary: expected'):
      saelens.load(self.folder)


if __name__ == '__main__':
  absltest.main()

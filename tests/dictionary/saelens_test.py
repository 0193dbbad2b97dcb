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
    ({'normalize_activations': 'layer_norm'}, "expected 'none'"),
    ({'reshape_activations': 'hook_z'}, "reshape_activations='hook_z'"),
    ({'finetuning_scaling_factor': True}, "field 'finetuning_scaling_factor'"),
    ({'d_in': '6'}, "d_in='6': expected an integer"),
    ({'d_sae': 21}, r'W_dec has shape \(20, 6\), expected \(21, 6\)'),
    ({'architecture': 'topk'}, "no field 'k'"),
    ({'architecture': 'topk', 'k': 3}, 'threshold has shape .* expected None'),
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
    with self.assertRaisesRegex(errors.InputError, 'b_enc has shape None'):
      saelens.load(self.folder)
    (self.folder / 'sae_weights.safetensors').write_bytes(b'1234')
    with self.assertRaisesRegex(errors.InputError, 'no safetensors file'):
      saelens.load(self.folder)
    (self.folder / 'sae_weights.safetensors').unlink()
    with self.assertRaisesRegex(errors.InputError, 'no dictionary: expected'):
      saelens.load(self.folder)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that dictionaries of Llama Scope do what their authors say."""

import math
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import llama_scope
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from tests.dictionary import published

X = np.random.default_rng(3).normal(size=(50, 6)).astype(np.float32)


def _published(folder, config, x):
  """Their inference, step by step: scales first, then norms, then thresholds.

  Returns features whose decoder columns have length 1, the reconstruction, and
  the lengths of the columns.
  """
  t = {
    name: np.asarray(value, np.float64)
    for name, value in published.read_tensors(
      folder / published.LLAMA_WEIGHTS
    ).items()
  }
  encoder, encoder_bias = t['encoder.weight'], t['encoder.bias']
  decoder = t['decoder.weight']
  decoder_bias = t.get('decoder.bias', np.zeros(len(decoder)))
  if config['norm_activation'] == 'dataset-wise':
    norm = config['dataset_average_activation_norm']
    scale = math.sqrt(len(decoder)) / norm['in']
    scale_out = math.sqrt(len(decoder)) / norm['out']
    encoder_bias = encoder_bias / scale
    decoder = decoder * scale / scale_out
    decoder_bias = decoder_bias / scale_out
  lengths = np.ones(len(encoder))
  if config['sparsity_include_decoder_norm']:
    lengths = np.sqrt((decoder**2).sum(0))
  values = []
  for row in np.float64(x):
    if config['apply_decoder_bias_to_pre_encoder']:
      row = row - decoder_bias
    values.append(
      [
        (encoder[i] @ row + encoder_bias[i]) * lengths[i]
        for i in range(len(encoder))
      ]
    )
  features = np.array(values)
  features[features <= config['jump_relu_threshold']] = 0
  made = features @ (decoder / lengths).T + decoder_bias
  return features, made, lengths


class LlamaScopeTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  @parameterized.product(
    subtracted=(True, False),
    norms=(True, False),
    normed=('dataset-wise', 'inference'),
  )
  def test_does_what_is_published(self, subtracted, norms, normed):
    changes = {
      'apply_decoder_bias_to_pre_encoder': subtracted,
      'sparsity_include_decoder_norm': norms,
      'norm_activation': normed,
      'dataset_average_activation_norm': {'in': 1.5, 'out': 1.5},
      'jump_relu_threshold': 0.75,
    }
    folder = published.llama_scope(self.root, **changes)
    features, made, lengths = _published(folder, changes, X)
    self.assertBetween((features > 0).mean(), 0.1, 0.9)
    sae = llama_scope.open_directory(folder).load()
    found = np.asarray(sae_lib.encode(sae, X))
    np.testing.assert_array_equal(found > 0, features > 0)
    np.testing.assert_allclose(found * lengths, features, 1e-4, 1e-4)
    np.testing.assert_allclose(sae_lib.decode(sae, found), made, 1e-3, 1e-3)

  def test_threshold_is_in_units_of_raw_activations(self):
    """By hand: width 4, norm 1, so that a scale of 2 is folded in."""
    folder = published.llama_scope(
      self.root,
      width=4,
      features=1,
      dataset_average_activation_norm={'in': 1.0, 'out': 1.0},
      jump_relu_threshold=3.0,
    )
    published.write_tensors(
      folder / published.LLAMA_WEIGHTS,
      {
        'encoder.weight': np.float32([[1, 0, 0, 0]]),
        'encoder.bias': np.float32([2]),
        'decoder.weight': np.float32([[0], [0.5], [0], [0]]),
        'decoder.bias': np.float32([0, 0, 0, 6]),
      },
    )
    sae = llama_scope.open_directory(folder).load()
    x = np.zeros((2, 4), np.float32)
    x[:, 0] = 4.9, 5.1  # Encoded 5.9 and 6.1; times the norm 0.5, about 3.
    found = np.asarray(sae_lib.encode(sae, x))
    np.testing.assert_allclose(found, [[0], [6.1]], 1e-6)
    made = sae_lib.decode(sae, found)
    np.testing.assert_allclose(
      made, [[0, 0, 0, 3], [0, 3.05, 0, 3]], 1e-6, 1e-6
    )

  def test_directions_are_columns_of_the_file(self):
    folder = published.llama_scope(self.root, 7)
    stored = llama_scope.open_directory(folder)
    columns = published.read_tensors(folder / published.LLAMA_WEIGHTS)[
      'decoder.weight'
    ]
    index = np.array([5, 0, 5])
    np.testing.assert_array_equal(
      stored.directions(index), columns.T[index].astype(np.float32)
    )
    self.assertEqual(stored.model, 'Llama3_1-8B-Base')
    self.assertEqual(stored.hook, 'blocks.7.hook_resid_post')

  def test_without_a_decoder_bias(self):
    folder = published.llama_scope(self.root, use_decoder_bias=False)
    with self.assertRaisesRegex(errors.InputError, "tensor 'decoder.bias'"):
      llama_scope.open_directory(folder)
    tensors = published.read_tensors(folder / published.LLAMA_WEIGHTS)
    del tensors['decoder.bias']
    published.write_tensors(folder / published.LLAMA_WEIGHTS, tensors)
    sae = llama_scope.open_directory(folder).load()
    self.assertFalse(np.any(sae.decoder_bias_D))

  @parameterized.parameters(
    ({'hook_point_out': 'blocks.0.hook_mlp_out'}, 'writes blocks.0.hook_mlp'),
    ({'act_fn': 'topk', 'jump_relu_threshold': 0.0}, 'a number above 0'),
    (
      {'norm_activation': 'token-wise'},
      "'token-wise': expected 'dataset-wise'",
    ),
    ({'use_glu_encoder': True}, 'use_glu_encoder=True: expected False'),
    ({'n_layers': 2}, "a field 'n_layers': expected none but"),
    ({'dataset_average_activation_norm': {'in': 2.0}}, "no field 'out'"),
    ({'dataset_average_activation_norm': 2.0}, "no field 'in'"),
    ({'sparsity_include_decoder_norm': None}, 'no field .sparsity_include'),
    ({'d_sae': 21}, r'encoder.weight has shape \(20, 6\), expected \(21, 6\)'),
    (
      dict.fromkeys(
        ('hook_point_in', 'hook_point_out'), 'blocks.1.hook_resid_post'
      ),
      "expected 'blocks.0.hook_resid_post', as the folder's name says",
    ),
  )
  def test_refuses_by_name(self, changes, message):
    folder = published.llama_scope(self.root, **changes)
    with self.assertRaisesRegex(errors.InputError, message):
      llama_scope.open_directory(folder)


if __name__ == '__main__':
  absltest.main()

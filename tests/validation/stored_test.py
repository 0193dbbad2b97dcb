# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what the headers of a model directory say."""

from absl.testing import absltest
import jax
import ml_dtypes
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import huggingface
from selfexplain_jax.validation import stored
from tests.models import tiny

MODEL = tiny.model()


class StoredTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = files.path(self.create_tempdir().full_path)
    huggingface.save(MODEL, self.folder, eos_id=2)
    self.weights = self.folder / 'model.safetensors'

  def test_counts_what_is_there(self):
    found = stored.summarize(self.folder)
    leaves = jax.tree.leaves(MODEL)
    self.assertEqual(found.family, 'llama')
    self.assertEqual(found.parameters, sum(leaf.size for leaf in leaves))
    self.assertEqual(found.bytes, 4 * found.parameters)
    # Nine tensors in each of three layers, and three besides.
    self.assertEqual(found.dtypes, {'float32': 9 * 3 + 3})
    self.assertTrue(found.check().ok)

  def test_reads_the_files_of_an_index_alone(self):
    tensors = safetensors_numpy.load(self.weights.read_bytes())
    expected = stored.summarize(self.folder)
    files.write_bytes(self.folder / 'extra.safetensors', b'something else')
    self.assertEqual(stored.summarize(self.folder), expected)
    self.weights.unlink()
    names = sorted(tensors)
    parts = {'a.safetensors': names[:7], 'b.safetensors': names[7:]}
    for file, part in parts.items():
      content = safetensors_numpy.save({n: tensors[n] for n in part})
      files.write_bytes(self.folder / file, content)
    table = {name: file for file, part in parts.items() for name in part}
    files.write_json(
      self.folder / 'model.safetensors.index.json', {'weight_map': table}
    )
    self.assertEqual(stored.summarize(self.folder), expected)

  def test_names_the_first_tensor_of_another_dtype(self):
    tensors = safetensors_numpy.load(self.weights.read_bytes())
    for name in ('model.norm.weight', 'model.layers.1.mlp.up_proj.weight'):
      tensors[name] = tensors[name].astype(ml_dtypes.bfloat16)
    files.write_bytes(self.weights, safetensors_numpy.save(tensors))
    check = stored.summarize(self.folder).check()
    self.assertFalse(check.ok)
    self.assertEqual(
      check.detail,
      'model.layers.1.mlp.up_proj.weight is bfloat16: config.json says float32',
    )

  def test_refuses_what_is_no_safetensors_file(self):
    for content in (b'', b'some', b'\xff' * 30, b'\x02' + b'\x00' * 7 + b'{x'):
      files.write_bytes(self.weights, content)
      with self.assertRaisesRegex(errors.InputError, 'is not a whole'):
        stored.summarize(self.folder)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of loading, saving and refusing Hugging Face directories.

What the tiny models under `data/` must give was computed by `transformers`:
see experiments/reference/make_parity.py.
"""

import functools
import json
import pathlib
import shutil
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import shards
from selfexplain_jax.models import sites as sites_lib
from tests.models import tiny

_DATA = pathlib.Path(__file__).parent / 'data'
_STORIES = pathlib.Path(__file__).parents[3] / 'shared' / 'data' / 'stories260k'
_MODELS = (
  'llama',
  'llama_tied_scaled',
  'qwen3',
  'qwen3_tied',
  'gemma2',
  'gemma2_tied',
)


def _change_rows(tensors):
  tensors['model.layers.1.mlp.up_proj.weight'] = np.zeros((5, 16), np.float32)


def _drop(tensors):
  del tensors['model.layers.1.self_attn.k_proj.weight']


def _add(tensors):
  tensors['model.layers.0.self_attn.q_norm.weight'] = np.ones(8, np.float32)


def _change_dtype(tensors):
  tensors['model.norm.weight'] = np.ones(16, np.float64)


_BAD_TENSORS = (
  ('shape', _change_rows, r'1\.mlp\.up_proj\.weight.*\(5, 16\).*\(24, 16\)'),
  ('missing', _drop, r'1\.self_attn\.k_proj\.weight is missing.*\(16, 16\)'),
  ('unexpected', _add, r'unexpected.*0\.self_attn\.q_norm\.weight.*\(8,\)'),
  ('dtype', _change_dtype, r'model\.norm\.weight has dtype F64'),
)


@jax.jit
def _forward(model, tokens, tap):
  hidden, kept = decoder.forward(model, tokens, tap=tap)
  return {'logits': decoder.unembed(model, hidden), **kept}


def _load(directory, *args):
  return huggingface.load(directory, mesh_lib.make_mesh(), *args)


def _sites(model, tokens):
  tap = capture_lib.build(
    model.config,
    tuple(site.name for site in sites_lib.SITES),
    tuple(range(model.config.layers)),
    np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape),
  )
  return _forward(model, tokens, tap)


class HuggingfaceTest(parameterized.TestCase):
  def _copy(self, name):
    """A copy of a model to spoil."""
    target = pathlib.Path(self.create_tempdir().full_path) / name
    return pathlib.Path(shutil.copytree(_DATA / name, target))

  def _retensor(self, directory, change):
    path = directory / huggingface.WEIGHTS
    tensors = safetensors_numpy.load_file(path)
    change(tensors)
    safetensors_numpy.save_file(tensors, path)

  @parameterized.parameters(*_MODELS)
  def test_logits_sites_and_generation_equal_transformers(self, name):
    model = _load(_DATA / name)
    expected = safetensors_numpy.load_file(
      _DATA / name / 'expected.safetensors'
    )
    found = _sites(model, expected['tokens'])
    self.assertLen(found, 8)
    for key, value in found.items():
      self.assertEqual(value.shape, expected[key].shape)
      np.testing.assert_allclose(value, expected[key], 0, 5e-5, err_msg=key)
    generated = generate.generate(
      model,
      jnp.asarray(expected['prompts']),
      jnp.asarray(expected['prompt_lengths']),
      new_tokens=expected['generated'].shape[1],
      end_id=-1,
    )
    np.testing.assert_array_equal(generated.tokens, expected['generated'])

  @absltest.skipUnless(
    _STORIES.is_dir(), 'no ../shared/data/stories260k beside the project'
  )
  def test_real_model_equals_transformers(self):
    expected = safetensors_numpy.load_file(_DATA / 'stories260k.safetensors')
    logits = _sites(_load(_STORIES), expected['tokens'])['logits']
    np.testing.assert_allclose(logits[:, -4:], expected['last_logits'], 0, 1e-4)
    self.assertEqual(huggingface.read_token_ids(_STORIES), (1, 2))

  @parameterized.parameters(*_MODELS)
  def test_round_trip_keeps_every_bit(self, name):
    folder = pathlib.Path(self.create_tempdir().full_path)
    narrow = _load(_DATA / name, 'bfloat16', 'bfloat16')
    huggingface.save(narrow, folder / 'narrow', eos_id=2)
    again = _load(folder / 'narrow')
    self.assertEqual(again.config, narrow.config)
    jax.tree.map(np.testing.assert_array_equal, again, narrow)
    model = _load(_DATA / name)
    huggingface.save(model, folder / 'a', bos_id=1, eos_id=2)
    huggingface.save(_load(folder / 'a'), folder / 'b', bos_id=1, eos_id=2)
    for file in ('config.json', huggingface.WEIGHTS):
      self.assertEqual(
        (folder / 'a' / file).read_bytes(), (folder / 'b' / file).read_bytes()
      )
    before = safetensors_numpy.load_file(_DATA / name / huggingface.WEIGHTS)
    after = safetensors_numpy.load_file(folder / 'b' / huggingface.WEIGHTS)
    self.assertEqual(sorted(before), sorted(after))
    for key in before:
      np.testing.assert_array_equal(before[key], after[key], strict=True)
    self.assertEqual(
      huggingface.read_config(_DATA / name),
      huggingface.read_config(folder / 'b'),
    )
    self.assertEqual(huggingface.read_token_ids(folder / 'b'), (1, 2))
    same = {
      huggingface.weight_hash(of)
      for of in (model, _DATA / name, str(folder / 'b'))
    }
    self.assertLen(same, 1)

  def test_hash_depends_on_every_weight(self):
    directory = self._copy('llama')
    before = huggingface.weight_hash(directory)

    def nudge(tensors):
      tensors['model.norm.weight'][3] *= 1 + 1e-6

    self._retensor(directory, nudge)
    self.assertNotEqual(huggingface.weight_hash(directory), before)
    self.assertNotEqual(huggingface.weight_hash(_load(directory)), before)

  def test_dtypes_are_the_stored_ones_unless_named(self):
    narrow = _load(_DATA / 'llama', None, 'bfloat16')
    self.assertEqual(narrow.config.dtype, 'float32')
    folder = self.create_tempdir().full_path
    huggingface.save(narrow, folder)
    model = _load(folder)
    self.assertEqual(model.layers.query[...].dtype, jnp.bfloat16)
    self.assertEqual(model.config.dtype, 'bfloat16')
    np.testing.assert_array_equal(
      model.layers.query[...],
      _load(_DATA / 'llama').layers.query[...].astype(jnp.bfloat16),
    )
    wide = _load(folder, 'float32', 'float32')
    self.assertEqual(wide.embedding[...].dtype, jnp.float32)

  def test_a_file_is_that_of_the_library(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    model = _load(_DATA / 'gemma2', None, 'bfloat16')
    huggingface.save(model, folder)
    path = folder / huggingface.WEIGHTS
    expected = safetensors_numpy.save(
      safetensors_numpy.load_file(path), metadata={'format': 'pt'}
    )
    self.assertEqual(path.read_bytes(), expected)

  def test_big_models_are_written_in_shards(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    model = _load(_DATA / 'llama')
    huggingface.save(model, folder)
    digest = huggingface.weight_hash(folder)
    small = functools.partial(shards.write, shard_bytes=8000)
    with mock.patch.object(shards, 'write', small):
      huggingface.save(model, folder)
    self.assertFalse((folder / huggingface.WEIGHTS).exists())
    index = json.loads((folder / huggingface.INDEX).read_text())
    names = sorted(path.name for path in folder.glob('*.safetensors'))
    self.assertEqual(names, sorted({*index['weight_map'].values()}))
    self.assertEqual(names[0], f'model-00001-of-{len(names):05}.safetensors')
    self.assertGreater(len(names), 3)
    sizes = []
    for name in names:
      part = safetensors_numpy.load_file(folder / name)
      for tensor in part:
        self.assertEqual(index['weight_map'][tensor], name)
      sizes.append(sum(value.nbytes for value in part.values()))
    self.assertLessEqual(max(sizes), 8000)
    self.assertEqual(sum(sizes), index['metadata']['total_size'])
    self.assertEqual(huggingface.weight_hash(folder), digest)
    # As one file again, nothing is left that could be read instead.
    huggingface.save(model, folder)
    self.assertFalse((folder / huggingface.INDEX).exists())
    self.assertEqual(huggingface.weight_hash(_load(folder)), digest)

  def test_sharded_directory(self):
    directory = self._copy('qwen3')
    path = directory / huggingface.WEIGHTS
    tensors = safetensors_numpy.load_file(path)
    path.unlink()
    table = {}
    for i in range(3):
      name = f'model-{i}.safetensors'
      part = {key: tensors[key] for key in sorted(tensors)[i::3]}
      safetensors_numpy.save_file(part, directory / name)
      table.update(dict.fromkeys(part, name))
    index = directory / huggingface.INDEX
    index.write_text(json.dumps({'metadata': {}, 'weight_map': table}))
    self.assertEqual(
      huggingface.weight_hash(_load(directory)),
      huggingface.weight_hash(_DATA / 'qwen3'),
    )
    (directory / 'model-1.safetensors').unlink()
    with self.assertRaisesRegex(errors.InputError, 'model-1.safetensors'):
      _load(directory)
    index.write_text('{"weight_map": ["model-0.safetensors"]}')
    with self.assertRaisesRegex(errors.InputError, 'weight_map'):
      _load(directory)

  @parameterized.named_parameters(*_BAD_TENSORS)
  def test_refuses_tensors(self, change, pattern):
    directory = self._copy('llama')
    self._retensor(directory, change)
    with self.assertRaisesRegex(errors.InputError, pattern):
      _load(directory)

  @parameterized.parameters(4, 60, 10_000)
  def test_refuses_truncated_weights(self, size):
    directory = self._copy('llama')
    path = directory / huggingface.WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with self.assertRaisesRegex(errors.InputError, 'whole safetensors'):
      _load(directory)

  @parameterized.parameters('config.json', huggingface.WEIGHTS)
  def test_refuses_missing_file(self, name):
    directory = self._copy('llama')
    (directory / name).unlink()
    with self.assertRaisesRegex(errors.InputError, name):
      _load(directory)

  def test_a_model_of_no_family_is_not_written(self):
    model = tiny.model(**{**tiny.gemma2(2), 'activation': 'silu'})
    folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(errors.InputError, 'activation=.*one family'):
      huggingface.save(model, folder)
    self.assertEmpty(list(pathlib.Path(folder).iterdir()))

  def test_explainers_of_the_paper(self):
    directory = self._copy('llama')
    random = np.random.default_rng(0)
    projections = {
      layer: random.normal(size=(16, 12)).astype(np.float32)
      for layer in (10, 2)
    }

    def extend(tensors):
      for name in ('model.embed_tokens.weight', 'lm_head.weight'):
        tensors[name] = np.concatenate([tensors[name], tensors[name][:2]])
      for layer, value in projections.items():
        tensors[f'embed_projs.{layer}.weight'] = value

    self._retensor(directory, extend)
    with self.assertRaises(errors.InputError):
      _load(directory)
    model = _load(directory, None, None, True)
    self.assertEqual(model.config.vocabulary, 42)
    plain = _load(_DATA / 'llama')
    np.testing.assert_array_equal(
      model.embedding[...][:40], plain.embedding[...]
    )
    found = huggingface.projections(directory)
    self.assertEqual(list(found), [2, 10])
    for layer, value in projections.items():
      np.testing.assert_array_equal(found[layer], value)
    self.assertEmpty(huggingface.projections(_DATA / 'llama'))

  def test_refuses_projections_of_another_width(self):
    directory = self._copy('llama')

    def extend(tensors):
      tensors['embed_projs.0.weight'] = np.ones((12, 16), np.float32)

    self._retensor(directory, extend)
    with self.assertRaisesRegex(
      errors.InputError, r'embed_projs.0.*\(16, 16\)'
    ):
      huggingface.projections(directory)


if __name__ == '__main__':
  absltest.main()

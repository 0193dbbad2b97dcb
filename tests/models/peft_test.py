# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of adapters in PEFT's layout.

Those under `data/` were written by `peft`, which also computed what they must
give: see experiments/reference/make_adapters.py.
"""

import json
import pathlib
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.models import tiny

_DATA = pathlib.Path(__file__).parent / 'data'
_ADAPTERS = (('adapter_published', 'llama'), ('adapter_pattern', 'gemma2_tied'))
_TOKENS = np.array([[1, 5, 9, 13], [3, 2, 7, 7]], np.int32)

# Changes of adapter_config.json, and what the refusal must name.
_BAD_CONFIGS: tuple[tuple[str, dict, str], ...] = (
  ('kind', dict(peft_type='IA3'), "peft_type.*IA3.*'LORA'"),
  ('dora', dict(use_dora=True), 'use_dora.*False'),
  ('bias', dict(bias='all'), "bias.*'none'"),
  ('ranks', dict(rank_pattern={'q_proj': 8}), 'rank_pattern'),
  ('alphas', dict(alpha_pattern={'q_proj': 8}), 'alpha_pattern'),
  ('start', dict(init_lora_weights='pissa'), 'init_lora_weights.*pissa'),
  ('transposed', dict(fan_in_fan_out=True), 'fan_in_fan_out'),
  ('layers', dict(layers_to_transform=[1]), 'layers_to_transform.*2 layers'),
  ('tokens', dict(trainable_token_indices=[3]), 'trainable_token_indices'),
  ('unknown', dict(use_magic=1), 'use_magic'),
  ('saved', dict(modules_to_save=['norm']), 'modules_to_save.*embed_tokens'),
  ('rank', dict(r=0), "'r' is 0.*positive"),
  ('other_rank', dict(r=2), r'lora_A.*\(4, \d+\).*adapter_config.*\(2, \d+\)'),
  ('alpha', dict(lora_alpha=None), 'lora_alpha.*number'),
  ('base', dict(base_model_name_or_path=None), 'base_model_name_or_path'),
  ('no_base', dict(base_model_name_or_path='/nowhere'), '/nowhere'),
  ('none', dict(target_modules=['c_attn']), 'target_modules.*at least one'),
  ('table', dict(target_modules=['q_proj', 'lm_head']), 'no others'),
  ('pattern', dict(target_modules='(q_proj'), 'target_modules.*a pattern'),
  ('number', dict(target_modules=3), 'target_modules.*names or a pattern'),
  ('fewer', dict(target_modules=['q_proj']), 'unexpected tensor.*lora_A'),
)


def _mesh():
  return mesh_lib.make_mesh()


@jax.jit
def _run(model, tokens):
  return decoder.unembed(model, decoder.forward(model, tokens)[0])


def _random(model, embedding=True):
  """An adapter in which every factor matters."""
  random = np.random.default_rng(1)
  new = jax.tree.map(
    lambda x: jnp.asarray(random.normal(size=x.shape) * 0.2, jnp.float32),
    jax.eval_shape(lambda key: lora.Lora(model, 3, key), jax.random.key(0)),
  )
  if not embedding:
    new.embedding = new.embedding.replace(new.embedding[...] * 0)
  return new


class PeftTest(parameterized.TestCase):
  def _adapter(self, name, base, **changes):
    """A copy of an adapter that names its base where it is now."""
    folder = pathlib.Path(self.create_tempdir().full_path) / name
    shutil.copytree(_DATA / name, folder)
    path = folder / 'adapter_config.json'
    content = json.loads(path.read_text())
    content['base_model_name_or_path'] = str(_DATA / base)
    path.write_text(json.dumps({**content, **changes}))
    return folder

  @parameterized.parameters(*_ADAPTERS)
  def test_logits_equal_those_of_peft(self, name, base):
    folder = self._adapter(name, base)
    expected = safetensors_numpy.load_file(folder / 'expected.safetensors')
    model = huggingface.load(folder, _mesh())
    found = _run(model, expected['tokens'])
    np.testing.assert_allclose(found, expected['logits'], 0, 5e-5)
    plain = _run(huggingface.load(_DATA / base, _mesh()), expected['tokens'])
    self.assertGreater(np.abs(plain - found).max(), 0.5)
    self.assertEqual(model.config, huggingface.read_config(folder))
    self.assertEqual(huggingface.read_token_ids(folder), (1, 2))

  def test_an_embedding_trained_alone_unties(self):
    folder = self._adapter(*_ADAPTERS[1])
    base = huggingface.load(_DATA / 'gemma2_tied', _mesh())
    merged = peft.merge(folder, base, _mesh())
    np.testing.assert_array_equal(merged.unembedding[...], base.embedding[...])
    folder = self._adapter(*_ADAPTERS[1], ensure_weight_tying=True)
    self.assertTrue(huggingface.read_config(folder).tied)
    self.assertIsNone(peft.merge(folder, base, _mesh()).unembedding)

  @parameterized.parameters(
    (
      [
        'q_proj',
        'k_proj',
        'v_proj',
        'o_proj',
        'gate_proj',
        'mlp.up_proj',
        'down_proj',
      ],
    ),
    ('all-linear',),
    (r'model\.layers\.\d+\..*_proj',),
  )
  def test_ways_to_name_modules(self, targets):
    changes = dict(target_modules=targets, layers_to_transform=[0, 1])
    folder = self._adapter(*_ADAPTERS[0], **changes)
    self.assertEqual(
      huggingface.weight_hash(folder),
      huggingface.weight_hash(self._adapter(*_ADAPTERS[0])),
    )

  @parameterized.parameters({}, dict(tied=True), tiny.gemma2(2))
  def test_comes_back(self, **changes):
    model = tiny.model(**{'layers': 2, **changes})
    folder = pathlib.Path(self.create_tempdir().full_path)
    huggingface.save(model, folder / 'base', eos_id=2)
    adapter = _random(model)
    peft.save(adapter, model, folder / 'adapter', str(folder / 'base'))
    found = peft.load(folder / 'adapter', model, _mesh())
    self.assertEqual(jax.tree.structure(found), jax.tree.structure(adapter))
    for name in ('factors', 'embedding'):
      jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 0, 1e-6),
        getattr(found, name),
        getattr(adapter, name),
      )
    np.testing.assert_allclose(
      _run(huggingface.load(folder / 'adapter', _mesh()), _TOKENS),
      _run(lora.adapt(model, adapter), _TOKENS),
      0,
      1e-4,
    )

  def test_without_a_change_no_embedding_is_stored(self):
    model = tiny.model(layers=2, tied=True)
    folder = pathlib.Path(self.create_tempdir().full_path)
    peft.save(_random(model, embedding=False), model, folder, 'a/b')
    tensors = safetensors_numpy.load_file(folder / peft.WEIGHTS)
    self.assertLen(tensors, 2 * 2 * len(lora.MATRICES))
    found = peft.load(folder, model, _mesh())
    self.assertFalse(np.any(found.embedding[...]))

  def test_an_adapter_with_tables_of_its_own_can_only_be_merged(self):
    for name, base in _ADAPTERS:
      model = huggingface.load(_DATA / base, _mesh())
      with self.assertRaisesRegex(errors.InputError, 'merge it into the base'):
        peft.load(self._adapter(name, base), model, _mesh())

  def test_added_tokens_enlarge_the_vocabulary(self):
    folder = self._adapter(*_ADAPTERS[0])
    path = folder / peft.WEIGHTS
    tensors = safetensors_numpy.load_file(path)
    for name, value in tensors.items():
      if 'lora' not in name:
        tensors[name] = np.concatenate([value, value[:3]])
    safetensors_numpy.save_file(tensors, path)
    model = huggingface.load(folder, _mesh())
    self.assertEqual(model.config.vocabulary, 43)
    logits = _run(model, np.array([[1, 41]], np.int32))
    np.testing.assert_array_equal(logits[..., 40:], logits[..., :3])

  def test_the_base_may_have_another_dtype(self):
    folder = self._adapter(*_ADAPTERS[0])
    model = huggingface.load(folder, _mesh(), 'bfloat16', 'bfloat16')
    wide = huggingface.load(folder, _mesh())
    self.assertEqual(model.layers.query[...].dtype, jnp.bfloat16)
    # Rounded once: the base, before, and the sum.
    np.testing.assert_allclose(
      model.layers.query[...], wide.layers.query[...], 2**-7, 2**-8
    )

  def test_hash_depends_on_base_scale_and_tensors(self):
    plain = self._adapter(*_ADAPTERS[0])
    scaled = self._adapter(*_ADAPTERS[0], lora_alpha=2)
    other = self._adapter('adapter_published', 'llama_tied_scaled')
    changed = self._adapter(*_ADAPTERS[0])
    tensors = safetensors_numpy.load_file(changed / peft.WEIGHTS)
    next(iter(tensors.values()))[0] += 1
    safetensors_numpy.save_file(tensors, changed / peft.WEIGHTS)
    digests = {*map(huggingface.weight_hash, (plain, scaled, other, changed))}
    self.assertLen(digests, 4)

  @parameterized.named_parameters(*_BAD_CONFIGS)
  def test_refuses_configuration(self, changes, pattern):
    folder = self._adapter(*_ADAPTERS[0], **changes)
    with self.assertRaisesRegex(errors.InputError, pattern) as raised:
      huggingface.read_config(folder)
    self.assertNotIn('\n', str(raised.exception))

  @parameterized.parameters(
    ('model.layers.0.mlp.up_proj.lora_B.weight', None, 'up_proj.* is missing'),
    ('lm_head.weight', np.ones((40, 8), np.float32), r'lm_head.*\(40, 16\)'),
    ('model.norm.weight', np.ones(16, np.float32), 'unexpected.*model.norm'),
  )
  def test_refuses_tensors(self, name, value, pattern):
    folder = self._adapter(*_ADAPTERS[0])
    tensors = safetensors_numpy.load_file(folder / peft.WEIGHTS)
    tensors.pop(f'base_model.model.{name}', None)
    if value is not None:
      tensors[f'base_model.model.{name}'] = value
    safetensors_numpy.save_file(tensors, folder / peft.WEIGHTS)
    with self.assertRaisesRegex(errors.InputError, pattern):
      huggingface.load(folder, _mesh())

  def test_refuses_a_missing_file(self):
    folder = self._adapter(*_ADAPTERS[0])
    (folder / peft.WEIGHTS).unlink()
    with self.assertRaisesRegex(errors.InputError, 'adapter_model.safetensors'):
      huggingface.load(folder, _mesh())


if __name__ == '__main__':
  absltest.main()

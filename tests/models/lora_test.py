# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of adapters: in the scan, merged, trained."""

import contextlib
import io
import re

from absl.testing import absltest
import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import optax

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import checkpoints
from selfexplain_jax.training import state as state_lib
from tests.models import tiny

MODEL = tiny.model(layers=2)
RANK = 3
TOKENS = np.array([[1, 5, 9, 13], [3, 2, 7, 7]], np.int32)


def _new():
  return lora.Lora(MODEL, RANK, jax.random.key(0))


def _random(seed=1):
  """Returns an adapter in which every factor matters."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape) * 0.2, jnp.float32),
    jax.eval_shape(_new),
  )


@jax.jit
def _run(model, adapter=None, tap=None):
  hidden, kept = decoder.forward(model, TOKENS, tap=tap, adapter=adapter)
  return decoder.unembed(model, hidden), kept


def _copy(tree):
  return jax.tree.map(lambda x: np.array(x), tree)


class AdapterTest(absltest.TestCase):
  def test_a_new_one_changes_nothing(self):
    new = _new()
    before, _ = _run(MODEL)
    np.testing.assert_array_equal(_run(MODEL, new.factors)[0], before)
    np.testing.assert_array_equal(_run(lora.adapt(MODEL, new))[0], before)

  def test_what_it_adds_is_not_kept_on_its_own(self):
    model = decoder.with_config(MODEL, remat='products')
    said = io.StringIO()

    def total(adapter):
      hidden, _ = decoder.forward(model, TOKENS, adapter=adapter.factors)
      return jnp.sum(hidden)

    with contextlib.redirect_stdout(said):
      jax.ad_checkpoint.print_saved_residuals(total, _new())
    config = MODEL.config
    stacked = re.findall(
      rf'f32\[{config.layers},2,4,(\d+)\] output of scan', said.getvalue()
    )
    # What goes into a block, and its products; the last is in what comes next.
    heads, kv_heads = (
      n * config.head_width for n in (config.heads, config.kv_heads)
    )
    self.assertCountEqual(
      map(int, stacked),
      [config.width] * 2 + [heads] + [kv_heads] * 2 + [config.mlp_width] * 2,
    )

  def test_in_the_scan_equals_merged(self):
    adapter, base = _random(), _copy(MODEL)
    positions = np.tile(np.arange(4, dtype=np.int32), (2, 1))
    sites = ('attn_out', 'mlp_out', 'resid_post')
    tap = capture.build(MODEL.config, sites, (0, 1), positions)
    embedded = lora.with_embedding(MODEL, adapter)
    scanned, kept = _run(embedded, adapter.factors, tap)
    merged, expected = _run(lora.adapt(MODEL, adapter), None, tap)
    np.testing.assert_allclose(scanned, merged, 1e-5, 1e-5)
    for site in sites:
      np.testing.assert_allclose(kept[site], expected[site], 1e-5, 1e-5)
    self.assertGreater(np.abs(merged - _run(MODEL)[0]).max(), 0.1)
    # The base is as it was.
    jax.tree.map(np.testing.assert_array_equal, _copy(MODEL), base)

  def test_the_scale_is_of_the_product(self):
    half = lora.Lora(MODEL, RANK, jax.random.key(0), scale=0.5)
    whole = lora.Lora(MODEL, RANK, jax.random.key(0))
    for name in lora.MATRICES:
      up = getattr(_random().factors, f'{name}_up')
      setattr(half.factors, f'{name}_up', up)
      setattr(whole.factors, f'{name}_up', up.replace(up[...] / 2))
    scaled, _ = _run(MODEL, half.factors)
    expected, _ = _run(MODEL, whole.factors)
    np.testing.assert_allclose(scaled, expected, 1e-5, 1e-5)
    merged, _ = _run(lora.adapt(MODEL, half))
    np.testing.assert_allclose(merged, expected, 1e-4, 1e-4)

  def test_every_factor_matters_and_no_other_matrix_is_changed(self):
    adapter = _random()
    merged = lora.adapt(MODEL, adapter)
    for name in lora.MATRICES:
      down, up = (
        np.asarray(getattr(adapter.factors, f'{name}_{f}')[...], np.float64)
        for f in ('down', 'up')
      )
      before = np.asarray(getattr(MODEL.layers, name)[...], np.float64)
      for layer in range(2):
        np.testing.assert_allclose(
          getattr(merged.layers, name)[...][layer],
          before[layer] + down[layer] @ up[layer],
          0,
          1e-5,
        )
    np.testing.assert_array_equal(
      merged.embedding[...], MODEL.embedding[...] + adapter.embedding[...]
    )
    for name in ('final_norm', 'unembedding'):
      np.testing.assert_array_equal(
        getattr(merged, name)[...], getattr(MODEL, name)[...]
      )

  def test_without_an_embedding_the_bases_stays(self):
    adapter = lora.Lora(MODEL, RANK, jax.random.key(0), embedding=False)
    self.assertIsNone(adapter.embedding)
    random = _random()
    adapter.factors = random.factors
    merged, whole = lora.adapt(MODEL, adapter), lora.adapt(MODEL, random)
    jax.tree.map(np.testing.assert_array_equal, merged.layers, whole.layers)
    np.testing.assert_array_equal(merged.embedding[...], MODEL.embedding[...])
    self.assertIs(lora.with_embedding(MODEL, adapter), MODEL)

  def test_is_sharded_from_its_birth_and_a_function_of_its_key(self):
    mesh = mesh_lib.make_mesh()
    made = lora.initialize(MODEL, RANK, jax.random.key(0), mesh)
    abstract = jax.eval_shape(_new)
    expected = jax.tree.leaves(axis_rules.shardings(abstract, mesh))
    for param, sharding in zip(jax.tree.leaves(made), expected, strict=True):
      self.assertEqual(param.sharding, sharding)
      self.assertEqual(param.dtype, jnp.float32)
    for name, spec in (
      ('query_down', (None, 'fsdp', None)),
      ('query_up', (None, None, ('tensor', 'fsdp'))),
      ('down_down', (None, ('tensor', 'fsdp'), None)),
      ('down_up', (None, None, 'fsdp')),
    ):
      axes = getattr(made.factors, name).axes
      self.assertEqual(
        axis_rules.partition_spec(axes), jax.sharding.PartitionSpec(*spec)
      )
    again = lora.initialize(MODEL, RANK, jax.random.key(0), mesh)
    jax.tree.map(np.testing.assert_array_equal, _copy(made), _copy(again))


class TrainingTest(absltest.TestCase):
  def test_gradients_reach_the_adapter_alone(self):
    base = _copy(MODEL)
    injection = injection_lib.Injection('replace_embedding', 6, 1.0)
    optimizer = optax.sgd(0.1)
    step = train_step.make_step(optimizer, injection, 0.0, MODEL)
    adapter = _random()
    before = _copy(adapter)
    tokens = np.array([[1, 6, 9, 13, 2]], np.int32)
    batch = {
      'tokens': tokens,
      'segments': np.ones_like(tokens),
      'positions': np.arange(5, dtype=np.int32)[None],
      'answers': np.array([[2, 3]], np.int32),
      'vectors': np.ones((1, 1, 16), np.float32),
    }
    start = train_step.Trained(adapter, injection_lib.NO_PARAMETERS)
    state = state_lib.start(start, optimizer)
    losses = []
    for _ in range(3):
      state, metrics = step(state, batch)
      losses.append(float(metrics['loss']))
    self.assertLess(losses[2], losses[0])
    for name, old, new in zip(
      checkpoints.leaf_names(before),
      jax.tree.leaves(before),
      jax.tree.leaves(_copy(state.model.model)),
      strict=True,
    ):
      self.assertGreater(np.abs(new - old).max(), 0, name)
    jax.tree.map(np.testing.assert_array_equal, _copy(MODEL), base)


if __name__ == '__main__':
  absltest.main()

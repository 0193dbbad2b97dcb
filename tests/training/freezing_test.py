# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of freezing, down to what a training step moves."""

from absl.testing import absltest
import jax
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import train_step
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import checkpoints
from selfexplain_jax.training import freezing
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib

_SHAPE = config_lib.DecoderConfig(
  vocabulary=20,
  width=16,
  layers=2,
  heads=2,
  kv_heads=2,
  head_width=8,
  mlp_width=24,
)
_OPTIMIZER = ml_collections.ConfigDict(
  dict(peak_rate=0.1, adam_rate=1.0, warmup=1, weight_decay=0.1, clip_norm=1.0)
)
_FROZEN = ('gate', 'up', 'down')


def _moved(trained, base, frozen):
  """Names of the leaves that three steps change."""
  optimizer = optimizer_lib.make(_OPTIMIZER, 8, frozen)
  step = train_step.make_step(
    optimizer,
    injection.Injection('replace_embedding', 6, 1.0),
    0.0,
    base,
    frozen,
  )
  rng = np.random.default_rng(0)
  batch = {
    'tokens': rng.integers(7, 20, (2, 9)).astype(np.int32),
    'segments': np.ones((2, 9), np.int32),
    'positions': np.tile(np.arange(9, dtype=np.int32), (2, 1)),
    'weights': np.ones((2, 9), np.float32),
    'vectors': np.ones((2, 1, 16), np.float32),
  }
  batch['tokens'][:, 2] = 6
  before = jax.device_get(jax.tree.leaves(trained))
  state = state_lib.start(jax.tree.map(jax.numpy.copy, trained), optimizer)
  for _ in range(3):
    state, _ = step(state, batch)
  after = jax.device_get(jax.tree.leaves(state.model))
  names = checkpoints.leaf_names(trained)
  return {
    name
    for name, a, b in zip(names, before, after, strict=True)
    if not np.array_equal(a, b)
  }


class FreezingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh()
    self.enter_context(jax.set_mesh(self.mesh))
    self.model = decoder.initialize(_SHAPE, jax.random.key(0), self.mesh)

  def test_frozen_leaves_stay_bit_for_bit_and_all_others_move(self):
    names = set(checkpoints.leaf_names(self.model))
    frozen = {f'layers.{name}' for name in _FROZEN}
    self.assertEqual(_moved(self.model, None, _FROZEN), names - frozen)
    self.assertEqual(_moved(self.model, None, ()), names)

  def test_nothing_is_remembered_of_frozen_leaves(self):
    memory = optimizer_lib.make(_OPTIMIZER, 8, _FROZEN).init(self.model)
    remembered = checkpoints.leaf_names(memory)
    self.assertFalse([n for n in remembered if n.endswith(_FROZEN)])
    self.assertTrue([n for n in remembered if n.endswith('query')])

  def test_an_adapter_is_trained_whole(self):
    adapter = lora.initialize(self.model, 2, jax.random.key(1), self.mesh)
    names = set(checkpoints.leaf_names(adapter))
    self.assertEqual(_moved(adapter, self.model, ()), names)
    # Names of an adapter's factors end in 'up' and 'down', and are not those.
    self.assertEqual(_moved(adapter, self.model, _FROZEN), names)

  def test_an_unknown_name_is_refused(self):
    freezing.check(self.model, _FROZEN)
    with self.assertRaisesRegex(errors.InputError, "'gates'.*gate"):
      freezing.check(self.model, ('gates',))


if __name__ == '__main__':
  absltest.main()

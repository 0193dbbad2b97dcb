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
_NAMES = ('gate', 'up', 'down')
_BOTH = freezing.Frozen(_NAMES, 2)
_FIRST = freezing.Frozen(_NAMES, 1)


def _moved(trained, base, frozen):
  """Names of the leaves that three steps change, of stacks the rows."""
  optimizer = optimizer_lib.make(_OPTIMIZER, 8, frozen)
  step = train_step.make_step(
    optimizer,
    injection.Injection('replace_embedding', 6, 1.0),
    0.0,
    base,
  )
  rng = np.random.default_rng(0)
  batch = {
    'tokens': rng.integers(7, 20, (2, 9)).astype(np.int32),
    'segments': np.ones((2, 9), np.int32),
    'positions': np.tile(np.arange(9, dtype=np.int32), (2, 1)),
    'answers': np.tile(np.arange(8, dtype=np.int32), (2, 1)),
    'vectors': np.ones((2, 1, 16), np.float32),
  }
  batch['tokens'][:, 2] = 6
  before = jax.device_get(jax.tree.leaves(trained))
  start = train_step.Trained(
    jax.tree.map(jax.numpy.copy, trained), injection.NO_PARAMETERS
  )
  state = state_lib.start(start, optimizer)
  for _ in range(3):
    state, _ = step(state, batch)
  after = jax.device_get(jax.tree.leaves(state.model.model))
  names = checkpoints.leaf_names(trained)
  moved = set()
  for name, a, b in zip(names, before, after, strict=True):
    stacked = name.startswith('layers.')
    parts = enumerate(zip(a, b, strict=True)) if stacked else [('', (a, b))]
    moved |= {f'{name}{i}' for i, (a, b) in parts if not np.array_equal(a, b)}
  return moved


class FreezingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh()
    self.enter_context(jax.set_mesh(self.mesh))
    self.model = decoder.initialize(_SHAPE, jax.random.key(0), self.mesh)

  def test_what_is_frozen_stays_bit_for_bit_and_all_else_moves(self):
    everything = _moved(self.model, None, freezing.NOTHING)
    self.assertContainsSubset(
      {'embedding', 'final_norm', 'layers.query0', 'layers.down1'}, everything
    )
    for frozen in (_FIRST, _BOTH):
      held = {
        f'layers.{name}{block}'
        for name in _NAMES
        for block in range(frozen.blocks)
      }
      self.assertContainsSubset(held, everything)
      self.assertEqual(_moved(self.model, None, frozen), everything - held)

  def test_an_adapter_is_trained_whole(self):
    adapter = lora.initialize(self.model, 2, jax.random.key(1), self.mesh)
    names = set(checkpoints.leaf_names(adapter))
    self.assertEqual(_moved(adapter, self.model, freezing.NOTHING), names)
    # Names of an adapter's factors end in 'up' and 'down', and are not those.
    self.assertEqual(_moved(adapter, self.model, _BOTH), names)

  def test_what_the_model_lacks_is_refused(self):
    freezing.check(self.model, _BOTH)
    for frozen, what in (
      (freezing.Frozen(('gates',), 1), "'gates'.*gate"),
      (freezing.Frozen(('embedding',), 1), "'embedding'.*gate"),
      (freezing.Frozen(('gate',), 3), 'blocks is 3: expected 0 to 2'),
    ):
      with self.assertRaisesRegex(errors.InputError, what):
        freezing.check(self.model, frozen)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the table of axes, on meshes that no machine needs to have."""

from absl.testing import absltest
from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
from tests.models import tiny

P = jax.sharding.PartitionSpec


def _mesh(data, fsdp, tensor):
  return jax.sharding.AbstractMesh((data, fsdp, tensor), mesh_lib.AXES)


class TableTest(absltest.TestCase):
  def test_every_rule_names_axes_of_the_mesh(self):
    for name, axes in axis_rules.RULES.items():
      named = (axes,) if isinstance(axes, str) else axes or ()
      self.assertContainsSubset(named, mesh_lib.AXES, name)

  def test_spec(self):
    self.assertEqual(
      axis_rules.partition_spec(('batch', None, 'mlp')),
      P(('data', 'fsdp'), None, 'tensor'),
    )

  def test_refuses_an_unknown_name(self):
    with self.assertRaisesRegex(KeyError, 'widht'):
      axis_rules.partition_spec(('layers', 'widht'))


class ShardingsTest(absltest.TestCase):
  def test_of_a_decoder(self):
    model = tiny.model(layers=2)
    made = axis_rules.shardings(model, _mesh(2, 4, 2))
    for name, spec in (
      ('query', P(None, 'fsdp', 'tensor')),
      ('output', P(None, 'tensor', 'fsdp')),
      ('down', P(None, 'tensor', 'fsdp')),
      ('attention_norm', P()),
    ):
      self.assertEqual(getattr(made.layers, name).get_value().spec, spec, name)
    self.assertEqual(made.embedding.get_value().spec, P('tensor', 'fsdp'))
    self.assertEqual(jax.tree.structure(made), jax.tree.structure(model))

  def test_an_axis_that_does_not_divide_is_whole(self):
    param = nnx.Param(jnp.zeros((6, 8)), axes=('vocabulary', 'width'))
    for mesh, spec in (
      ((1, 4, 2), P('tensor', 'fsdp')),
      ((1, 4, 4), P(None, 'fsdp')),
      ((1, 3, 3), P('tensor')),
    ):
      made = axis_rules.shardings({'a': param}, _mesh(*mesh))
      self.assertEqual(made['a'].get_value().spec, spec)


class ConstrainTest(absltest.TestCase):
  def test_without_a_mesh_does_nothing(self):
    value = jnp.ones((2, 3))
    self.assertIs(axis_rules.constrain(value, 'batch', 'sequence'), value)

  def test_changes_no_value_under_a_mesh(self):
    value = jnp.arange(6.0).reshape(2, 3)
    with jax.set_mesh(mesh_lib.make_mesh()):
      constrained = jax.jit(
        lambda x: axis_rules.constrain(x, 'batch', 'activation_mlp')
      )(value)
    np.testing.assert_array_equal(constrained, value)


if __name__ == '__main__':
  absltest.main()

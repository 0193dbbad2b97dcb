# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of comparing a directory with a reference."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.validation import agreement
from selfexplain_jax.validation import canaries
from selfexplain_jax.validation import comparison
from tests.models import tiny

MODEL = tiny.model(layers=2)
PROMPTS = canaries.random_prompts(40, 3, 9, 0, None)


class Reference:
  """The same model, a matrix of whose second block may be another."""

  def __init__(self, wrong: str = ''):
    self._model = jax.tree.map(lambda x: x, MODEL)
    if wrong:
      matrix = getattr(self._model.layers, wrong)
      changed = matrix[...].at[1].multiply(1.5)
      setattr(self._model.layers, wrong, matrix.replace(changed))

  def run(self, tokens):
    return agreement.run(self._model, tokens, sites=True)

  def generate(self, prompts, new_tokens):
    tokens, lengths = prompts_lib.pad(prompts)
    made = generate.generate(
      self._model,
      jnp.asarray(tokens),
      jnp.asarray(lengths),
      new_tokens=new_tokens,
      end_id=-1,
    )
    return np.asarray(made.tokens), np.ones(made.tokens.shape, np.float32)


class ComparisonTest(parameterized.TestCase):
  def found(self, wrong=''):
    folder = self.create_tempdir().full_path
    huggingface.save(MODEL, folder, eos_id=2)
    mesh = mesh_lib.make_mesh()
    with jax.set_mesh(mesh):
      checks = comparison.compare(
        folder, lambda _: Reference(wrong), mesh, PROMPTS
      )
      return list(checks)

  def test_equal_models_agree(self):
    found = self.found()
    self.assertEqual([c for c in found if not c.ok], [])
    self.assertEqual(
      [c.name for c in found[:1] + found[-3:]],
      ['sites', 'generations', 'logits in float32', 'logits in bfloat16'],
    )
    self.assertIn('8 of 8 are equal over 64 tokens', found[-3].detail)

  @parameterized.parameters(
    ('value', 'attn_out'), ('down', 'mlp_out'), ('gate', 'mlp_out')
  )
  def test_names_where_they_begin_to_differ(self, matrix, site):
    found = self.found(matrix)
    first = next(c for c in found if not c.ok)
    self.assertEqual(first.name, 'sites')
    self.assertStartsWith(
      first.detail, f'the first beyond 2e-04 is {site}[1]: '
    )
    failed = {c.name for c in found if not c.ok}
    self.assertContainsSubset(
      (site, 'logits', 'generations', 'logits in float32'), failed
    )
    self.assertNotIn('embed', failed)
    self.assertNotIn('resid_pre', failed)


if __name__ == '__main__':
  absltest.main()

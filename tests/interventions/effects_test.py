# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of effects against one run a cell, and of the canaries."""

import dataclasses
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import effects
from selfexplain_jax.interventions import patch
from selfexplain_jax.interventions import run
from selfexplain_jax.interventions import tail
from tests.models import oracle
from tests.models import tiny

CELLS, LENGTH, LAYERS, WIDTH = 21, 8, 3, 16
MODEL = tiny.model(layers=LAYERS)


def _run_planned(model, cells, batch):
  return effects.run_planned(model, cells, effects.plan(model, cells, batch))


WAYS = (effects.run_whole, _run_planned)


def _cells():
  rng = np.random.default_rng(0)
  length = rng.integers(3, LENGTH + 1, CELLS)
  first, last = np.sort(rng.integers(0, LAYERS, (2, CELLS)), 0)
  return effects.Cells(
    tokens=rng.integers(0, 40, (CELLS, LENGTH)).astype(np.int32),
    length=length.astype(np.int32),
    first=first.astype(np.int32),
    last=last.astype(np.int32),
    position=rng.integers(0, length).astype(np.int32),
    vector=rng.normal(size=(CELLS, WIDTH)).astype(np.float32) * 2,
    site='resid_post',
  )


def _own(cells):
  """Returns what each prompt itself has at its position, f32[N, L, D]."""
  wanted = capture.build(
    MODEL.config, (cells.site,), tuple(range(LAYERS)), cells.position[:, None]
  )
  found = run.run(MODEL, cells.tokens, cells.length, None, wanted)
  kept = jax.device_get(found.captured[cells.site])
  return np.moveaxis(kept[:, :, 0], 0, 1)


class RunTest(parameterized.TestCase):
  @parameterized.parameters('whole', 'planned')
  def test_leaves_between_batches_when_asked(self, way):
    self.addCleanup(setattr, preemption, '_asked', False)
    cells, runs = _cells(), []
    planned = effects.plan(MODEL, cells, batch=1)
    module = run if way == 'whole' else tail

    def one(*args, **kwargs):
      runs.append(args)
      preemption.ask()
      return run_(*args, **kwargs)

    run_ = module.run
    with mock.patch.object(module, 'run', one):
      with self.assertRaises(preemption.Preempted):
        if way == 'whole':
          effects.run_whole(MODEL, cells, batch=1)
        else:
          effects.run_planned(MODEL, cells, planned)
    self.assertBetween(len(runs), 1, 4)  # Those that were under way.

  @parameterized.product(batch=(1, 8), run_cells=WAYS)
  def test_batches_equal_single_slow_runs(self, batch, run_cells):
    cells = _cells()
    clean = effects.run_clean(MODEL, cells.tokens, cells.length, batch)
    patched = run_cells(MODEL, cells, batch)
    self.assertLen(clean.token, CELLS)
    for n in range(CELLS):

      def edit(site, layer, x, n=n):
        if site == cells.site and cells.first[n] <= layer <= cells.last[n]:
          x[cells.position[n]] = cells.vector[n]
        return x

      ids = cells.tokens[n, : cells.length[n]]
      for found, editing in ((clean, None), (patched, edit)):
        logits = oracle.forward(MODEL, ids, editing)[0][-1]
        second, first = np.argsort(logits)[-2:]
        margin = logits[first] - logits[second]
        self.assertEqual(found.token[n], first)
        self.assertAlmostEqual(found.margin[n], margin, delta=1e-4)
    self.assertFalse(clean.written.any())
    asked = cells.last - cells.first + 1
    if run_cells is _run_planned:  # Nothing reads these.
      asked -= (cells.last == LAYERS - 1) & (cells.position < cells.length - 1)
    np.testing.assert_array_equal(patched.written, asked)
    # Not a test of nothing.
    self.assertGreater(np.sum(clean.token != patched.token), CELLS // 4)

  @parameterized.parameters(*WAYS)
  def test_a_patch_outside_its_prompt_is_noticed(self, run_cells):
    cells = _cells()
    position = cells.position.copy()
    position[2] = LENGTH
    with self.assertRaisesRegex(RuntimeError, 'cell 2 was written 0 times'):
      run_cells(MODEL, dataclasses.replace(cells, position=position), batch=8)

  def test_take(self):
    cells, rows = _cells(), np.array([5, 1, 5])
    taken = cells.take(rows)
    self.assertLen(taken, 3)
    self.assertEqual(taken.site, cells.site)
    for name in ('tokens', 'length', 'first', 'last', 'position', 'vector'):
      np.testing.assert_array_equal(
        getattr(taken, name), getattr(cells, name)[rows]
      )


class JoinTest(absltest.TestCase):
  A = effects.Effects(
    np.array([3, 1, 4], np.int32),
    np.array([0.5, 0.25, 2], np.float32),
    np.array([0, 2, 1], np.int32),
  )

  def rows(self, some):
    return list(
      zip(
        some.token.tolist(),
        some.margin.tolist(),
        some.written.tolist(),
        strict=True,
      )
    )

  def test_take(self):
    taken = self.A.take(np.array([2, 0, 2]))
    self.assertEqual(self.rows(taken), [(4, 2, 1), (3, 0.5, 0), (4, 2, 1)])

  def test_join_keeps_the_order(self):
    last = self.A.take(np.array([2]))
    joined = effects.join([last, effects.nothing(), self.A])
    self.assertEqual(
      self.rows(joined), [(4, 2, 1), (3, 0.5, 0), (1, 0.25, 2), (4, 2, 1)]
    )
    for name in ('token', 'margin', 'written'):
      self.assertEqual(getattr(joined, name).dtype, getattr(self.A, name).dtype)

  def test_nothing(self):
    self.assertEqual(self.rows(effects.nothing()), [])
    self.assertEqual(self.rows(effects.join([effects.nothing()])), [])


class BrokenTest(absltest.TestCase):
  def test_patches_that_do_nothing_are_noticed_by_their_count(self):
    def visit(self, written, site, layer, value):
      del self, site, layer
      return written, value

    plain = run.run.__wrapped__
    # A program of its own: the one compiled before is not broken.
    fresh = jax.jit(lambda *arguments: plain(*arguments))
    with mock.patch.object(patch.Patches, 'visit', visit):
      with mock.patch.object(run, 'run', fresh):
        with self.assertRaisesRegex(RuntimeError, 'cell 0 was written 0 times'):
          effects.run_patched(MODEL, _cells(), batch=8)


class CanaryTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.cells = _cells()
    self.own = _own(self.cells)

  def test_is_silent_when_all_is_well(self):
    effects.self_patch_canary(MODEL, self.cells, self.own)

  def test_notices_vectors_of_another_layer(self):
    with self.assertRaisesRegex(RuntimeError, 'with itself changed'):
      effects.self_patch_canary(MODEL, self.cells, self.own[:, ::-1])

  def test_notices_a_margin(self):
    nearly = self.own + np.float32(2e-3)
    with self.assertRaisesRegex(RuntimeError, 'with itself changed'):
      effects.self_patch_canary(MODEL, self.cells, nearly)

  def test_notices_patches_that_only_claim_to_write(self):
    real = effects.run_patched

    def pretend(model, cells, batch=512):
      clean = effects.run_clean(model, cells.tokens, cells.length, batch)
      written = real(model, cells, batch).written
      return dataclasses.replace(clean, written=written)

    with mock.patch.object(effects, 'run_patched', pretend):
      with self.assertRaisesRegex(RuntimeError, 'zeros changed nothing'):
        effects.self_patch_canary(MODEL, self.cells, self.own)


if __name__ == '__main__':
  absltest.main()

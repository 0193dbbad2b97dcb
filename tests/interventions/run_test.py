# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of batched interventions against one slow run a cell, and canaries."""

import dataclasses

from absl.testing import absltest
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.interventions import run
from selfexplain_jax.models import sites as sites_lib
from tests.models import oracle
from tests.models import tiny

_SITES = tuple(site.name for site in sites_lib.SITES)
_CELLS, _BATCH, _LENGTH, _PATCHES = 512, 64, 12, 2
_LAYERS, _WIDTH = 3, 16


def _draw(random, rows):
  """Cells of every kind: prompts of unequal length, two patches in each."""
  lengths = random.integers(4, _LENGTH + 1, rows)
  tokens = random.integers(0, 40, (rows, _LENGTH))
  shape = (rows, _PATCHES)
  layers = np.sort(random.integers(0, _LAYERS, (2, *shape)), 0)
  # The second patch sits elsewhere, so that replacements never overlap; a few
  # lie beyond the end, where they must do nothing.
  position = random.integers(0, lengths[:, None] - 1, shape)
  position[:, 1] = (position[:, 0] + 1) % lengths
  position[::17, 1] = _LENGTH + 3
  patches = patch_lib.build(
    'embed',
    *layers,
    position,
    random.normal(size=(*shape, _WIDTH)),
    random.choice([patch_lib.OFF, patch_lib.REPLACE, patch_lib.ADD], shape),
  )
  site = random.integers(0, len(_SITES), shape)
  patches = dataclasses.replace(
    patches, site=jnp.asarray(site, jnp.int32), sites=_SITES
  )
  return (
    jnp.asarray(tokens, jnp.int32),
    jnp.asarray(lengths, jnp.int32),
    patches,
  )


def _slow(model, tokens, patches, row):
  """Runs one cell by the oracle; returns last logits and cells written."""
  written = 0
  p = {
    field.name: np.asarray(getattr(patches, field.name))
    for field in dataclasses.fields(patches)
  }

  def edit(site, layer, x):
    nonlocal written
    layered = sites_lib.site(site).layered
    for i in range(_PATCHES):
      at, mode = p['position'][row, i], p['mode'][row, i]
      block = range(p['first'][row, i], p['last'][row, i] + 1)
      if _SITES[p['site'][row, i]] != site or at >= len(x):
        continue
      if mode == patch_lib.OFF or layer not in block:
        continue
      assert layered or layer == 0
      vector = p['vector'][row, i].astype(np.float64)
      x[at] = vector if mode == patch_lib.REPLACE else x[at] + vector
      written += 1
    return x

  logits, _ = oracle.forward(model, tokens, edit)
  return logits[-1], written


class RunTest(absltest.TestCase):
  def test_mixed_cells_in_batches_equal_single_slow_runs(self):
    model, random = tiny.model(), np.random.default_rng(0)
    compiled, clear, total = run.run._cache_size(), 0, 0
    for _ in range(_CELLS // _BATCH):
      tokens, lengths, patches = _draw(random, _BATCH)
      found = run.run(model, tokens, lengths, patches, keep_logits=True)
      for row in range(_BATCH):
        # The oracle sees no padding. A patch in the padding is counted by the
        # batch, so positions are drawn within the prompt or beyond the row.
        prompt = np.asarray(tokens[row, : lengths[row]])
        logits, written = _slow(model, prompt, patches, row)
        bound = 1e-5 * np.abs(logits).max()
        np.testing.assert_allclose(found.logits[row], logits, 0, bound)
        self.assertEqual(found.written[row], written)
        second, first = np.sort(logits)[-2:]
        self.assertAlmostEqual(
          float(found.margin[row]), first - second, delta=2 * bound
        )
        if first - second > 1e-4:
          self.assertEqual(found.token[row], np.argmax(logits))
          clear += 1
        total += written
    self.assertGreater(clear, 0.98 * _CELLS)
    self.assertGreater(total, _CELLS // 2)
    self.assertEqual(run.run._cache_size(), compiled + 1)

  def test_patching_with_its_own_value_changes_no_bit(self):
    model, random = tiny.model(), np.random.default_rng(1)
    tokens, lengths, patches = _draw(random, 16)
    positions = np.minimum(np.asarray(patches.position), _LENGTH - 1)
    capture = capture_lib.build(model.config, _SITES, (0, 1, 2), positions)
    off = dataclasses.replace(patches, mode=jnp.zeros((16, 2), jnp.int32))
    clean = run.run(model, tokens, lengths, off, capture, True)
    self.assertEqual(clean.written.tolist(), [0] * 16)
    for site in _SITES:
      for layer in range(_LAYERS if sites_lib.site(site).layered else 1):
        value = clean.captured[site]
        if sites_lib.site(site).layered:
          value = value[layer]
        at = jnp.full((16, 2), layer, jnp.int32)
        same = dataclasses.replace(
          patches,
          site=jnp.full((16, 2), sites_lib.site(site).index, jnp.int32),
          first=at,
          last=at,
          position=jnp.asarray(positions, jnp.int32),
          mode=jnp.full((16, 2), patch_lib.REPLACE, jnp.int32),
          vector=value,
        )
        found = run.run(model, tokens, lengths, same, capture, True)
        np.testing.assert_array_equal(found.logits, clean.logits, site)
        self.assertEqual(found.written.tolist(), [2] * 16)

  def test_captures_see_what_was_written_and_what_follows(self):
    model = tiny.model()
    tokens = jnp.asarray([[1, 5, 9, 13]], jnp.int32)
    vector = np.linspace(-1, 1, _WIDTH)
    one = np.ones((1, 1), np.int32)
    patches = patch_lib.build(
      'resid_post', one, one, 2 * one, vector[None, None]
    )
    capture = capture_lib.build(
      model.config, ('resid_pre', 'resid_post'), (0, 1, 2), np.arange(4)[None]
    )
    length = jnp.asarray([4], jnp.int32)
    clean = run.run(model, tokens, length, None, capture).captured
    found = run.run(model, tokens, length, patches, capture).captured
    np.testing.assert_array_equal(
      found['resid_post'][1, 0, 2], vector.astype(np.float32)
    )
    np.testing.assert_array_equal(
      found['resid_pre'][2, 0, 2], vector.astype(np.float32)
    )
    same = np.all(
      np.isclose(found['resid_post'], clean['resid_post'], 0, 1e-6), -1
    )[:, 0]
    # Layer by position: unchanged before the patch, and to the left of it.
    expected = [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 0]]
    self.assertEqual(same.astype(int).tolist(), expected)

  def test_without_patches_equals_the_slow_decoder(self):
    model = tiny.model()
    tokens = jnp.asarray([[1, 5, 9, 13, 0, 0], [3, 2, 0, 0, 0, 0]], jnp.int32)
    found = run.run(model, tokens, jnp.asarray([4, 2], jnp.int32))
    self.assertIsNone(found.logits)
    self.assertEqual(found.written.tolist(), [0, 0])
    for row, prompt in enumerate(([1, 5, 9, 13], [3, 2])):
      logits, _ = oracle.forward(model, np.array(prompt))
      self.assertEqual(found.token[row], np.argmax(logits[-1]))
      first, second = np.sort(logits[-1])[[-1, -2]]
      self.assertAlmostEqual(float(found.margin[row]), first - second, 4)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of plans of patched runs against counting cell by cell."""

import dataclasses
import itertools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.interventions import plan as plan_lib
from selfexplain_jax.models import config as config_lib

LAYERS, PADDED = 5, 12
CONFIG = config_lib.DecoderConfig(40, 16, LAYERS, 2, 1, 8, 24)
# Operations of a token in a layer, attention apart.
TOKEN = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 24)


def _sweep(prompts=9, layers=LAYERS):
  """Returns prompt, layer and position of every cell, and prompts' lengths."""
  length = np.random.default_rng(0).integers(4, PADDED + 1, prompts)
  cells = [
    (prompt, begin, position)
    for prompt in range(prompts)
    for begin in range(1, layers + 1)
    for position in range(length[prompt])
  ]
  return *np.array(cells).T, length


def _plan(prompt, begin, position, length, config=CONFIG, **more):
  sizes = dict(batch=8, shards=1, room=1 << 30, compiling=0.0, reading=16.0)
  tokens = np.zeros((len(length), PADDED), np.int32)
  return plan_lib.make(
    *(config, tokens, length, prompt, begin, position), **{**sizes, **more}
  )


class PlanTest(parameterized.TestCase):
  @parameterized.parameters(
    dict(),
    dict(batch=1),
    dict(batch=100),
    dict(shards=3, batch=12),
    dict(room=40_000),
    dict(room=50_000, shards=2),
    dict(compiling=1e6),
  )
  def test_every_cell_is_run_once_from_where_it_has_to_be(self, **more):
    prompt, begin, position, length = _sweep()
    shards = more.get('shards', 1)
    plan = _plan(prompt, begin, position, length, **more)
    seen = []
    for part in plan.parts:
      of_shard = part.prompts.reshape(shards, -1)
      for batch in part.batches:
        self.assertEqual(batch.cells.size, plan.parts[0].batches[0].cells.size)
        self.assertLessEqual(batch.cells.size, more.get('batch', 8))
        for shard, cells in enumerate(batch.cells.reshape(shards, -1)):
          for cell in cells[cells >= 0]:
            seen.append(int(cell))
            self.assertGreaterEqual(begin[cell], batch.begin)
            run = length[prompt[cell]] - batch.width
            self.assertGreaterEqual(position[cell], run)
            place = part.place[cell]
            self.assertEqual(of_shard[shard, place], prompt[cell])
    self.assertSequenceEqual(sorted(seen), range(len(prompt)))
    if 'room' in more:
      self.assertGreater(len(plan.parts), 1)
      self.assertLessEqual(plan.bytes, more['room'])

  def test_counts_what_is_needed_cell_by_cell(self):
    prompt, begin, position, length = _sweep(prompts=3)
    plan = _plan(prompt, begin, position, length)
    needed = 0
    # Weights of a block: queries, keys, values, outputs, and the MLP.
    query, key, mlp = 16 * 16, 2 * 16 * 8, 3 * 16 * 24
    for p, b, q in zip(prompt, begin, position, strict=True):
      for layer in range(b, LAYERS):
        for place in range(q, length[p]):
          if layer < LAYERS - 1 or place == length[p] - 1:
            needed += 2 * (2 * query + mlp) + 4 * 16 * (place + 1)
          needed += 2 * key
      needed += 2 * 16 * 40
    self.assertAlmostEqual(plan.needed / needed, 1, places=6)
    self.assertGreater(plan.operations, plan.needed)
    self.assertGreater(plan.whole, 3 * plan.operations)

  def test_costly_programs_are_fewer(self):
    sweep = _sweep()
    every = _plan(*sweep)
    few = _plan(*sweep, compiling=every.operations)
    self.assertGreater(every.programs, PADDED / 2)
    self.assertEqual(few.programs, 2)
    self.assertGreater(few.operations, every.operations)

  def test_weights_that_are_slow_to_read_are_read_less_often(self):
    sweep = _sweep(prompts=16)
    often = _plan(*sweep, batch=64, reading=1.0)
    seldom = _plan(*sweep, batch=64, reading=1000.0)
    counts = [len(plan.parts[0].batches) for plan in (often, seldom)]
    self.assertGreater(counts[0], 2 * counts[1])
    self.assertGreater(seldom.operations, often.operations)

  def test_the_unembedding_is_read_for_each_batch_too(self):
    sweep = _sweep(prompts=32)
    small, large = (
      _plan(
        *sweep,
        batch=256,
        config=dataclasses.replace(CONFIG, vocabulary=vocabulary),
      )
      for vocabulary in (40, 40_000)
    )
    counts = [len(plan.parts[0].batches) for plan in (small, large)]
    self.assertGreater(counts[0], 2 * counts[1])

  def test_widths_are_merged_as_if_each_merge_were_tried(self):
    prompt, begin, position, length = _sweep(prompts=16)
    need = length[prompt] - position

    def merged(plan, compiling):
      """The plan's widths, from those that its batches need."""
      batches = [
        (batch.begin, max(need[batch.cells[batch.cells >= 0]]))
        for batch in plan.parts[0].batches
      ]
      rows = plan.parts[0].batches[0].cells.size
      while True:
        sizes = sorted({width for _, width in batches})
        more = [
          sum(
            rows * (after - before) * _slope(at)
            for at, width in batches
            if width == before
          )
          for before, after in itertools.pairwise(sizes)
        ]
        if not more or min(more) >= compiling:
          return [width for _, width in batches]
        least = more.index(min(more))
        batches = [
          (at, sizes[least + 1] if width == sizes[least] else width)
          for at, width in batches
        ]

    def _slope(at):
      """Operations of one more position of a row."""
      pair, key = 4 * 16 * PADDED, 4 * 16 * 8
      before = max(LAYERS - 1 - at, 0)
      return before * (TOKEN + pair) + (at < LAYERS) * key

    for compiling in (0.0, 2e5, 5e5, 1e6, 3e6):
      plan = _plan(prompt, begin, position, length, compiling=compiling)
      widths = [batch.width for batch in plan.parts[0].batches]
      self.assertEqual(widths, merged(plan, compiling))

  def test_neighbours_begin_nearly_alike(self):
    _, begin, position, length = _sweep(prompts=1)
    width = length[0] - position
    for together in (1, 2):
      order = np.argsort(plan_lib._rank(begin, width, together), kind='stable')
      self.assertLessEqual(np.abs(np.diff(width[order])).max(), 1)
      self.assertTrue(np.all(np.diff(begin[order] // together) >= 0))

  def test_large_batches_are_of_cells_of_several_layers(self):
    layers, reading = 24, 100.0
    prompt, begin, position, length = _sweep(prompts=16, layers=layers)
    config = dataclasses.replace(CONFIG, layers=layers)
    sizes = dict(batch=128, reading=reading, config=config)

    def cost(plan):
      """Operations, and what reading the weights of each batch is worth."""
      (part,) = plan.parts
      read = sum(
        (layers - batch.begin) * TOKEN + 2 * 16 * 40 for batch in part.batches
      )
      return plan.operations + reading * read

    with mock.patch.object(plan_lib, '_TOGETHER', (1,)):
      apart = _plan(prompt, begin, position, length, **sizes)
    together = _plan(prompt, begin, position, length, **sizes)
    self.assertLess(cost(together), 0.95 * cost(apart))
    several = [
      len(np.unique(begin[batch.cells[batch.cells >= 0]]))
      for batch in together.parts[0].batches
    ]
    self.assertGreater(np.mean(several), 2)

  def test_devices_begin_together(self):
    prompt, begin, position, length = _sweep(prompts=64)
    one = _plan(prompt, begin, position, length, batch=64)
    eight = _plan(prompt, begin, position, length, batch=64, shards=8)
    self.assertLess(eight.operations, 1.3 * one.operations)

  def test_cells_of_logits_alone(self):
    plan = _plan(
      np.array([0]), np.array([LAYERS]), np.array([2]), np.array([4])
    )
    self.assertEqual(plan.streams, ())
    self.assertEqual(plan.slots, 1)
    self.assertEqual(plan.needed, 2 * 16 * 40)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of dumped activations against the slow decoder."""

import dataclasses
import pathlib
import threading
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.activations import dump
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import reader
from selfexplain_jax.activations import writer
from selfexplain_jax.data import prompts as prompts_lib
from tests.activations import fixtures
from tests.models import oracle
from tests.models import tiny

MODEL = tiny.model(layers=3)
COUNT, KINDS, PER_SHARD = 7, 2, 3
SITES, LAYERS = ('embed', 'resid_post'), (0, 2)


def _prompts():
  rng = np.random.default_rng(0)
  ids = [rng.integers(0, 40, rng.integers(3, 9)).tolist() for _ in range(COUNT)]
  return prompts_lib.Prompts(
    ids=ids,
    text=[''] * COUNT,
    positions={
      'second': np.full(COUNT, 1, np.int32),
      'last': np.array([len(row) - 1 for row in ids], np.int32),
    },
    kind=['a'] * COUNT,
    group=['g'] * COUNT,
    split=['train'] * COUNT,
    answer=np.full(COUNT, -1, np.int32),
    known=np.ones(COUNT, bool),
  )


PROMPTS = _prompts()
PLAN = dump.Plan(
  spec=layout.StoreSpec(
    target='tiny',
    weight_hash='a',
    tokenizer_hash='b',
    sites=SITES,
    layers=LAYERS,
    width=16,
    dtype='float32',
    rows_per_shard=PER_SHARD * KINDS,
    layered=('resid_post',),
  ),
  rows=COUNT * KINDS,
  prompts_per_shard=PER_SHARD,
)


class DumpTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path) / 'store'
    self.cores(2)

  def cores(self, count):
    """Lets the machine have so many: shards at a time are half as many."""
    self.enter_context(
      mock.patch.object(dump.os, 'cpu_count', return_value=count)
    )

  def dump(self, folder=None):
    dump.dump(MODEL, PROMPTS, PLAN, folder or self.folder)

  def test_rows_are_what_single_slow_runs_show(self):
    self.dump()
    store = reader.open_store(self.folder)
    self.assertEqual(store.rows, COUNT * KINDS)
    found = {
      name: store.read(name, 0, store.rows)
      for name in (*SITES, 'token_id', 'document', 'position')
    }
    for n, ids in enumerate(PROMPTS.ids):
      _, sites = oracle.forward(MODEL, np.array(ids))
      for q, positions in enumerate(PROMPTS.positions.values()):
        row, at = n * KINDS + q, positions[n]
        self.assertEqual(found['token_id'][row], ids[at])
        self.assertEqual(found['document'][row], n)
        self.assertEqual(found['position'][row], at)
        np.testing.assert_allclose(
          found['embed'][row], sites['embed', 0][at], 0, 1e-4
        )
        np.testing.assert_allclose(
          found['resid_post'][row],
          [sites['resid_post', layer][at] for layer in LAYERS],
          0,
          1e-4,
        )

  def test_without_position_kinds_all_tokens_but_the_first(self):
    ids = np.random.default_rng(1).integers(0, 40, (COUNT, 5)).tolist()
    prompts = dataclasses.replace(PROMPTS, ids=ids, positions={})
    spec = dataclasses.replace(PLAN.spec, rows_per_shard=PER_SHARD * 4)
    plan = dataclasses.replace(PLAN, spec=spec, rows=COUNT * 4)
    dump.dump(MODEL, prompts, plan, self.folder)
    store = reader.open_store(self.folder)
    self.assertEqual(store.rows, COUNT * 4)
    resid = store.read('resid_post', 0, store.rows)
    for n, tokens in enumerate(ids):
      _, sites = oracle.forward(MODEL, np.array(tokens))
      rows = slice(n * 4, n * 4 + 4)
      for slot, layer in enumerate(LAYERS):
        np.testing.assert_allclose(
          resid[rows, slot], sites['resid_post', layer][1:], 0, 1e-4
        )
    for name, expected in {
      'token_id': [token for tokens in ids for token in tokens[1:]],
      'document': np.repeat(np.arange(COUNT), 4),
      'position': [1, 2, 3, 4] * COUNT,
    }.items():
      np.testing.assert_array_equal(store.read(name, 0, store.rows), expected)

  def uneven(self, folder):
    """Dumps 13 rows, 4 a shard, of 5 prompts that are read 3 at a time."""
    prompts = dataclasses.replace(
      PROMPTS,
      ids=[[5, 6, 7], [8, 9, 1, 2, 3, 4], [7], [9, 9, 9, 9], [3, 2, 1, 3]],
      positions={},
    )
    spec = dataclasses.replace(PLAN.spec, rows_per_shard=4)
    plan = dataclasses.replace(PLAN, spec=spec, rows=dump.rows(prompts))
    self.assertEqual(plan.rows, 13)
    dump.dump(MODEL, prompts, plan, folder)
    return prompts.ids

  def test_padding_has_no_rows(self):
    ids = self.uneven(self.folder)
    store = reader.open_store(self.folder)
    found = {
      name: store.read(name, 0, store.rows)
      for name in ('resid_post', 'embed', 'token_id', 'document', 'position')
    }
    row = 0
    for n, tokens in enumerate(ids):
      _, sites = oracle.forward(MODEL, np.array(tokens))
      for at in range(1, len(tokens)):
        self.assertEqual(found['token_id'][row], tokens[at])
        self.assertEqual(found['document'][row], n)
        self.assertEqual(found['position'][row], at)
        np.testing.assert_allclose(
          found['embed'][row], sites['embed', 0][at], 0, 1e-4
        )
        for slot, layer in enumerate(LAYERS):
          np.testing.assert_allclose(
            found['resid_post'][row, slot],
            sites['resid_post', layer][at],
            0,
            1e-4,
          )
        row += 1
    self.assertEqual(row, store.rows)

  def test_prompts_of_two_shards_are_read_once(self):
    with mock.patch.object(dump.capture, 'run', wraps=dump.capture.run) as ran:
      self.uneven(self.folder)
    self.assertEqual(ran.call_count, 2)
    # What is left after a failure comes out the same.
    whole = fixtures.tree(self.folder)
    for name in ('manifest.json', 'shards/00001.json', 'shards/00003.json'):
      (self.folder / name).unlink()
    self.uneven(self.folder)
    self.assertEqual(fixtures.tree(self.folder), whole)

  @parameterized.parameters((2, 6), (8, 9))
  def test_reading_waits_for_writing(self, cores, held):
    """However slow the store is, few batches are held."""
    self.cores(cores)
    prompts = dataclasses.replace(
      PROMPTS, ids=[[1, 2, 3]] * 30, positions={}, group=['g'] * 30
    )
    spec = dataclasses.replace(PLAN.spec, rows_per_shard=PER_SHARD * 2)
    plan = dataclasses.replace(PLAN, spec=spec, rows=60)
    read, wrote, most = [0], [0], [0]
    real_read, real_write = dump.capture.run, writer.StoreWriter.write_shard

    def run(*args):
      read[0] += 1
      most[0] = max(most[0], read[0] - wrote[0])
      return real_read(*args)

    def write_shard(self, index, arrays):
      time.sleep(0.05)
      real_write(self, index, arrays)
      wrote[0] += 1

    with (
      mock.patch.object(dump.capture, 'run', run),
      mock.patch.object(writer.StoreWriter, 'write_shard', write_shard),
    ):
      dump.dump(MODEL, prompts, plan, self.folder)
    self.assertEqual((read[0], wrote[0]), (10, 10))
    self.assertBetween(most[0], held // 2, held)

  def test_goes_on_after_the_last_whole_shard(self):
    whole = self.folder.with_name('whole')
    self.dump(whole)
    real, wrote = writer.StoreWriter.write_shard, []

    def write_shard(self, index, arrays):
      wrote.append(index)
      if len(wrote) == 2:
        raise KeyboardInterrupt
      real(self, index, arrays)

    with mock.patch.object(writer.StoreWriter, 'write_shard', write_shard):
      with self.assertRaises(KeyboardInterrupt):
        self.dump()
      self.dump()
    self.assertEqual(wrote, [0, 1, 1, 2])
    self.assertEqual(fixtures.tree(self.folder), fixtures.tree(whole))

  def test_shards_that_are_written_at_once_are_as_others(self):
    self.dump(self.folder.with_name('whole'))
    self.cores(64)
    together = threading.Barrier(3)
    real = writer.StoreWriter.write_shard

    def write_shard(self, index, arrays):
      together.wait(60)
      real(self, index, arrays)

    with mock.patch.object(writer.StoreWriter, 'write_shard', write_shard):
      self.dump()
    self.assertEqual(
      fixtures.tree(self.folder), fixtures.tree(self.folder.with_name('whole'))
    )

  @parameterized.parameters(
    (1 << 40, 10**6, 16),
    (1 << 40, 10**8, 1),
    (1 << 34, 10**6, 4),
    (1 << 30, 10**6, 1),
  )
  def test_no_more_at_once_than_there_is_room_for(self, memory, rows, writers):
    """A row has 256 bytes."""
    self.cores(64)
    sizes = {'SC_PAGE_SIZE': 1, 'SC_PHYS_PAGES': memory}
    spec = dataclasses.replace(PLAN.spec, rows_per_shard=rows)
    plan = dataclasses.replace(PLAN, rows=10**9, spec=spec)
    with mock.patch.object(dump.os, 'sysconf', sizes.__getitem__):
      self.assertEqual(dump._writers(plan), writers)

  def test_what_a_writer_says_of_the_last_shard_is_heard(self):
    real = writer.StoreWriter.write_shard

    def write_shard(self, index, arrays):
      if index == 2:
        raise OSError('no space left')
      real(self, index, arrays)

    with mock.patch.object(writer.StoreWriter, 'write_shard', write_shard):
      with self.assertRaisesRegex(OSError, 'no space left'):
        self.dump()

  def test_plan_tells_its_size(self):
    plan = dataclasses.replace(PLAN, rows=10**6)
    # Two sites of two layers of 16 numbers of 4 bytes.
    self.assertAlmostEqual(plan.gigabytes, 0.256)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of how the runs of a study are done, with stages that do little."""

from concurrent import futures
import pathlib
import threading
import time
from unittest import mock

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption
from selfexplain_jax.studies import study
from selfexplain_jax.studies import workshop
from tests.studies import runs


class WorkshopTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)
    self.calls = []
    self.model = runs.make_recipe('pretrain', seed=3)
    self.set = runs.make_recipe('explain', {'target': self.model})

  def shop(self, **stages):
    def note(name, stage=None):
      def run(config, workdir):
        self.calls.append(name)
        if stage:
          stage(config, workdir)

      return run

    named = {name: note(name) for name in ('pretrain', 'explain', 'train')}
    named |= {name: note(name, stage) for name, stage in stages.items()}
    return workshop.Workshop(self.workdir, named)

  def test_what_is_needed_is_made_first_and_once(self):
    shop = self.shop()
    for rate in (1, 2):
      inputs = {'initial': self.model, 'explanations': self.set}
      shop.make(runs.make_recipe('train', inputs, rate=rate))
    self.assertEqual(self.calls, ['pretrain', 'explain', 'train', 'train'])

  def test_stages_get_their_config_and_folder(self):
    seen = {}

    def explain(config, workdir):
      seen.update(config.to_dict(), workdir=workdir)

    self.shop(explain=explain).make(self.set)
    self.assertEqual(seen['target'], str(self.workdir / self.model.folder))
    self.assertEqual(seen['workdir'], str(self.workdir / self.set.folder))

  def test_waits_for_what_another_process_makes(self):
    in_time = []

    def slow(config, workdir):
      del config, workdir
      time.sleep(0.05)
      in_time.append(len(self.calls))

    shops = [self.shop(pretrain=slow) for _ in range(2)]
    with futures.ThreadPoolExecutor(2) as pool:
      list(pool.map(lambda shop: shop.make(self.model), shops))
    # The second began, and looked for what is finished, after the first.
    self.assertEqual(in_time, [1, 2])

  def test_what_failed_is_not_tried_again(self):
    def fail(config, workdir):
      raise errors.InputError('no such seed')

    shop = self.shop(pretrain=fail)
    for _ in range(2):
      with self.assertRaisesRegex(errors.InputError, 'no such seed'):
        shop.make(self.set)
    self.assertEqual(self.calls, ['pretrain'])


class SweepTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.addCleanup(setattr, preemption, '_asked', False)
    self.results = study.Results(self.create_tempdir().full_path)
    self.workdir = self.create_tempdir().full_path
    self.first = [runs.make_run(name) for name in 'abc']
    self.last = runs.make_run('last')
    self.done = []

  def plan(self, results):
    """Three runs, and a last one when all of them have results."""
    finished = all(results.of(run) for run in self.first)
    known = [*self.first, self.last] if finished else self.first
    return study.Plan(known, later=not finished)

  def work(self, run):
    self.done.append(run.facts['name'])
    by_arm = {'self': runs.sums([1], [1])}
    return runs.make_result(run.digest, by_arm)

  def sweep(self, work=None, results=None):
    return workshop.sweep(
      self.plan, results or self.results, work or self.work, self.workdir
    )

  def test_later_runs_follow_and_nothing_is_repeated(self):
    self.assertEqual(self.sweep(), {})
    self.assertEqual(self.done, ['a', 'b', 'c', 'last'])
    self.sweep(results=study.Results(self.results.directory))
    self.assertLen(self.done, 4)

  def test_processes_share_the_runs(self):
    both = threading.Barrier(2, timeout=10)

    def work(run):
      if run.facts['name'] in 'ab':
        both.wait()  # Times out unless the two run side by side.
      return self.work(run)

    def process(_):
      return self.sweep(work, study.Results(self.results.directory))

    self.enter_context(mock.patch.object(workshop, '_WAIT', 0.01))
    with futures.ThreadPoolExecutor(2) as pool:
      self.assertEqual(list(pool.map(process, range(2))), [{}, {}])
    self.assertCountEqual(self.done[:3], ['a', 'b', 'c'])
    self.assertEqual(self.done[3:], ['last'])

  def test_a_failure_does_not_lose_the_others(self):
    def work(run):
      if run.facts['name'] == 'a':
        raise ValueError('too bad')
      return self.work(run)

    with self.assertLogs(level='ERROR'):
      failed = self.sweep(work)
    self.assertSameElements(failed, ['name a'])
    self.assertEqual(self.done, ['b', 'c'])
    # What was done counts when it is tried again.
    self.sweep()
    self.assertEqual(self.done[2:], ['a', 'last'])

  def test_asked_to_leave(self):
    def work(run):
      result = self.work(run)
      preemption.ask()  # What is done is kept all the same.
      return result

    with self.assertRaises(preemption.Preempted):
      self.sweep(work)
    self.assertEqual(self.done, ['a'])
    kept = [r for r in self.first if self.results.of(r) is not None]
    self.assertLen(kept, 1)

  def test_a_run_that_leaves_has_not_failed(self):
    def work(run):
      preemption.ask()
      preemption.check()

    with self.assertRaises(preemption.Preempted):
      self.sweep(work)


if __name__ == '__main__':
  absltest.main()

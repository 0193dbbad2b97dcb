# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of metrics by step, through kills."""

import json
import pathlib

from absl.testing import absltest

from selfexplain_jax.training import metrics_log


class MetricsLogTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)
    self.file = self.workdir / 'metrics.jsonl'

  def lines(self):
    return [json.loads(line) for line in self.file.read_text().splitlines()]

  def test_a_line_a_step(self):
    log = metrics_log.MetricsLog(self.workdir, 0)
    log.write(1, loss=0.5, rate=2.0)
    log.write(2, loss=0.25)
    self.assertEqual(
      self.lines(),
      [{'step': 1, 'loss': 0.5, 'rate': 2.0}, {'step': 2, 'loss': 0.25}],
    )
    self.assertNotEmpty(list((self.workdir / 'events').iterdir()))

  def test_lines_after_the_last_checkpoint_come_again(self):
    log = metrics_log.MetricsLog(self.workdir, 0)
    for step in (1, 2, 3, 4):
      log.write(step, loss=float(step))
    again = metrics_log.MetricsLog(self.workdir, 2)
    again.write(3, loss=3.0)
    self.assertEqual([line['step'] for line in self.lines()], [1, 2, 3])

  def test_a_torn_line_is_dropped(self):
    metrics_log.MetricsLog(self.workdir, 0).write(1, loss=0.5)
    with self.file.open('a') as file:
      file.write('{"step": 2, "lo')
    metrics_log.MetricsLog(self.workdir, 2).write(3, loss=0.25)
    self.assertEqual([line['step'] for line in self.lines()], [1, 3])


if __name__ == '__main__':
  absltest.main()

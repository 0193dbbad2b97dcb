# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of progress on a terminal and elsewhere."""

import itertools
import sys
import threading
import time
from unittest import mock

from absl import logging
from absl.testing import absltest
from absl.testing import parameterized
import tqdm

from selfexplain_jax import progress


class ProgressTest(parameterized.TestCase):
  def terminal(self, is_one):
    self.enter_context(
      mock.patch.object(sys.stderr, 'isatty', lambda: is_one, create=True)
    )

  @parameterized.parameters(True, False)
  def test_yields_every_item_in_order(self, terminal):
    self.terminal(terminal)
    self.assertEqual(
      list(progress.track(iter('abc'), 3, 'letters')), ['a', 'b', 'c']
    )
    self.assertEmpty(list(progress.track([], 0, 'letters')))

  @parameterized.parameters(True, False)
  def test_does_no_work_ahead(self, terminal):
    self.terminal(terminal)
    items = itertools.count()
    for item in progress.track(items, 5, 'numbers'):
      if item == 2:
        break
    self.assertEqual(next(items), 3)

  def test_a_bar_in_the_main_thread_alone(self):
    self.terminal(True)

    def work():
      list(progress.track(range(3), 3, 'cells'))

    with mock.patch.object(tqdm, 'tqdm', side_effect=lambda x, **_: x) as bar:
      work()
      bar.assert_called_once()
      thread = threading.Thread(target=work)
      thread.start()
      thread.join()
      bar.assert_called_once()

  def test_elsewhere_a_line_now_and_then_and_at_the_end(self):
    self.terminal(False)
    # Each item takes 4 seconds.
    clock = mock.Mock(side_effect=itertools.count(0, 4))
    with mock.patch.object(time, 'monotonic', clock):
      with mock.patch.object(logging, 'info') as info:
        list(progress.track(range(7), 7, 'cells'))
    lines = [call.args[0] % call.args[1:] for call in info.call_args_list]
    self.assertEqual(
      lines,
      ['cells: 3 of 7, 12 s', 'cells: 6 of 7, 24 s', 'cells: 7, 32.0 s'],
    )


if __name__ == '__main__':
  absltest.main()

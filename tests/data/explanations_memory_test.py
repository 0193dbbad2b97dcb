# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that memory does not grow with the vectors of explanation sets."""

import pathlib
import subprocess
import sys

from absl.testing import absltest
import numpy as np

from selfexplain_jax.data import explanations
from selfexplain_jax.tasks import patching
from tests.data import fixtures

WIDTH, ROWS = 1024, {'small': 1 << 10, 'large': 1 << 15}

# In a process of its own, where nothing else takes memory and gives it back.
_PROGRAM = """
import sys, threading
import numpy as np
from selfexplain_jax import files
from selfexplain_jax.activations import vectors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions
from selfexplain_jax.fidelity import controls

def taken():
  with open('/proc/self/status') as file:
    return next(int(s.split()[1]) for s in file if s.startswith('RssAnon'))

def use(name):
  explained = explanations.read(name)
  count = len(explained.vectors)
  files.digest(explained.vectors.reshape(-1).view(np.uint8).data)
  examples = pipeline.Examples(
    task='patching',
    questions=questions.Questions([[[1, 2]]] * count, [[3]] * count),
    vectors=explained.vectors,
    shown=[[i] for i in range(count)],
    most=explained.most,
    blocks=np.zeros(count, np.int32),
    weight=1.0,
  )
  rows = pipeline.PackedRows(
    [examples], seed=0, capacity=96, per_row=32, rows=count // 32
  )
  seen = sum(
    np.count_nonzero(rows[i]['vectors'][:, 0]) for i in range(len(rows))
  )
  assert seen == count, (seen, count)
  cells = {name: ['x'] * count for name in ('place', 'treatment', 'answer')}
  asked = {name: column[:2] for name, column in cells.items()}
  controls.nearest_neighbour(
    explained.vectors.__getitem__, explained.vectors[:2], cells, asked
  )

vectors._PART_BYTES, controls._KEYS = 1 << 20, 256
small, large = sys.argv[1:]
use(small)
before = peak = taken()
done = threading.Event()
def sample():
  global peak
  while not done.wait(0.002):
    peak = max(peak, taken())
threading.Thread(target=sample, daemon=True).start()
use(large)
done.set()
print(peak - before)
"""


class ExplanationsMemoryTest(absltest.TestCase):
  def test_memory_does_not_grow_with_the_vectors(self):
    root = pathlib.Path(self.create_tempdir().full_path)
    for name, rows in ROWS.items():
      explanations.write(
        root / name,
        [fixtures.record(0)],
        patching.SCHEMA,
        np.full((rows, WIDTH), 2, np.float32),
        fixtures.MANIFEST,
      )
    result = subprocess.run(
      [sys.executable, '-c', _PROGRAM, *(str(root / name) for name in ROWS)],
      check=False,
      capture_output=True,
      text=True,
    )
    self.assertEqual(result.returncode, 0, result.stderr)
    grown = int(result.stdout) * 1024
    # One copy of the vectors would be 134 MB.
    self.assertLess(grown, 4 * ROWS['large'] * WIDTH // 2)


if __name__ == '__main__':
  absltest.main()

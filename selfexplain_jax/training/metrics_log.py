# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The metrics of a run: `metrics.jsonl` and TensorBoard events."""

import json

import tensorboardX

from selfexplain_jax import files
from selfexplain_jax.distributed import hosts


class MetricsLog:
  """Appends metrics by step; of several processes, process 0 writes."""

  def __init__(self, workdir: files.PathLike, first_step: int):
    """Opens the log of a workdir.

    Args:
      workdir: holds `metrics.jsonl` and `events/`.
      first_step: steps done already. Later lines, left by a run that was killed
        after its last checkpoint, are dropped, since they will come again.
    """
    self._file = files.path(workdir) / 'metrics.jsonl'
    self._lines: list[str] = []
    if self._file.exists():
      for line in self._file.read_text().splitlines():
        if line.endswith('}') and json.loads(line)['step'] <= first_step:
          self._lines.append(line)
    self._events = None
    if hosts.is_lead():
      self._events = tensorboardX.SummaryWriter(
        str(files.path(workdir) / 'events'), purge_step=first_step + 1
      )

  def write(self, step: int, **values: float) -> None:
    """Appends one line, and a TensorBoard scalar for each value."""
    self._lines.append(json.dumps({'step': step, **values}))
    files.write_text(self._file, '\n'.join(self._lines) + '\n')
    if self._events is None:
      return
    for name, value in values.items():
      self._events.add_scalar(name, value, step)
    self._events.flush()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The training loop that every trained model shares.

A step is dispatched before the metrics of an earlier one are read, so the
device never waits for the host. What a run ends with does not depend on where
it was interrupted: batches are a function of the step, and the state of the
evaluation travels in the checkpoint.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import time
from typing import Any

from absl import logging
import jax

from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.distributed import preemption
from selfexplain_jax.training import checkpoints as checkpoints_lib
from selfexplain_jax.training import metrics_log

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Job:
  """What is trained.

  Attributes:
    name: what the log calls it.
    steps: number of steps in all.
    step: maps (state, batch) to (new state, scalar metrics); may donate its
      state.
    batches: maps the number of steps done to an iterator over the batches that
      are left.
    tokens_per_step: tokens of a batch, padding included, for the log.
    evaluate: maps (steps done, state, notes) to the new notes, which are JSON;
      called every `evaluate_every` steps and after the last one.
    evaluate_every: in steps.
    checkpoint_every: in steps.
    log_every: in steps.
  """

  name: str
  steps: int
  step: Callable[[Any, Any], tuple[Any, Metrics]]
  batches: Callable[[int], Iterator[Any]]
  tokens_per_step: int
  evaluate: Callable[[int, Any, dict[str, Any]], dict[str, Any]]
  evaluate_every: int
  checkpoint_every: int
  log_every: int = 20


def train(job: Job, state: Any, workdir: files.PathLike) -> tuple[Any, Any]:
  """Trains from the last checkpoint of `workdir`, or from `state`.

  Args:
    job: what is trained.
    state: the initial state, a tree of arrays.
    workdir: gets `checkpoints/`, `metrics.jsonl` and TensorBoard events.

  Returns:
    The last state and the notes of the last evaluation.

  Raises:
    preemption.Preempted: after saving, if the job was asked to leave.
  """
  with contextlib.closing(  # A save in progress is finished whatever happens.
    checkpoints_lib.Checkpoints(files.path(workdir) / 'checkpoints')
  ) as checkpoints:
    state, notes = _train(job, state, workdir, checkpoints)
  preemption.check()
  return state, notes


def _train(
  job: Job,
  state: Any,
  workdir: files.PathLike,
  checkpoints: checkpoints_lib.Checkpoints,
) -> tuple[Any, Any]:
  """Does what `train` says, but does not leave if asked to."""
  done, notes = 0, dict[str, Any]()
  found = checkpoints.restore(state)
  if found is not None:
    done, state, notes = found
    logging.info('%s: going on from step %d', job.name, done)
  log = metrics_log.MetricsLog(workdir, done)
  # Steps done and metrics of a step that may still run, and since when and how
  # many steps before it the last one was shown.
  pending: tuple[int, Metrics] | None = None
  started, since = time.monotonic(), done

  def show() -> None:
    """Waits for the pending metrics and shows them."""
    nonlocal pending, started, since
    if pending is None:
      return
    at, metrics = pending
    values = {name: float(value) for name, value in metrics.items()}
    seconds = max(time.monotonic() - started, 1e-9)
    rate = (at - since) * job.tokens_per_step / seconds
    pending, started, since = None, time.monotonic(), at
    logging.info(
      '%s: step %d of %d, %.0f tokens/s, %s',
      job.name,
      at,
      job.steps,
      rate,
      ', '.join(f'{name} {value:.4g}' for name, value in values.items()),
    )
    log.write(at, tokens_per_second=rate, **values)

  batches = progress.track(job.batches(done), job.steps - done, f'{job.name}')
  for batch in batches:
    state, metrics = job.step(state, batch)
    done += 1
    last = done == job.steps
    evaluated = done % job.evaluate_every == 0 or last
    asked = preemption.asked()
    saved = done % job.checkpoint_every == 0 or last or asked
    if pending is not None and done > pending[0]:
      show()
    if done % job.log_every == 0 or last:
      pending = (done, metrics)
    if evaluated or saved:
      show()  # What follows waits for the device anyway.
    if evaluated:
      notes = job.evaluate(done, state, notes)
      for point in notes.get('curve', [])[-1:]:
        values = {f'validation_{k}': v for k, v in point.items() if k != 'step'}
        log.write(done, **values)
    if saved:
      checkpoints.save(done, state, notes)
    if evaluated or saved:
      started = time.monotonic()  # The rate is that of the steps alone.
    if asked:
      break
  return state, notes

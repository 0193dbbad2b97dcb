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
import math
from typing import Any, NoReturn

from absl import logging
import jax

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.training import checkpoints as checkpoints_lib
from selfexplain_jax.training import goodput as goodput_lib
from selfexplain_jax.training import metrics_log
from selfexplain_jax.training import throughput

Metrics = dict[str, jax.Array]

_MEMORY = 'device_memory_{}.prof'


@dataclasses.dataclass(frozen=True)
class Profile:
  """Steps that are traced for XProf, into WORKDIR/profile.

  Attributes:
    first_step: the first of them, counted from 1.
    steps: how many; 0 for none.
  """

  first_step: int = 0
  steps: int = 0


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
    operations_per_step: of matrix products by formula, for the log; 0 if nobody
      knows.
    log_every: in steps.
    profile: which steps are traced.
    restore_from: workdir of another run, whose last checkpoint this one goes on
      from if it has none of its own; none if empty.
    base: hash of the weights that an adapter is trained on; empty if all
      weights are trained.
  """

  name: str
  steps: int
  step: Callable[[Any, Any], tuple[Any, Metrics]]
  batches: Callable[[int], Iterator[Any]]
  tokens_per_step: int
  evaluate: Callable[[int, Any, dict[str, Any]], dict[str, Any]]
  evaluate_every: int
  checkpoint_every: int
  operations_per_step: float = 0.0
  log_every: int = 20
  profile: Profile = Profile()
  restore_from: str = ''
  base: str = ''


def check_restore(directory: str) -> None:
  """Checks that a run can go on from another's workdir, before long work.

  Raises:
    errors.InputError: if there are no checkpoints in it.
  """
  folder = files.path(directory) / 'checkpoints'
  if directory and not (folder.exists() and any(folder.iterdir())):
    raise errors.InputError(
      f'config.restore_from={directory} has no checkpoints: expected the '
      'workdir of a run of the same binary'
    )


def train(job: Job, state: Any, workdir: files.PathLike) -> tuple[Any, Any]:
  """Trains from the last checkpoint of `workdir`, or from `state`.

  Args:
    job: what is trained.
    state: the initial state, a tree of arrays.
    workdir: gets `checkpoints/`, `metrics.jsonl`, TensorBoard events,
      `goodput.jsonl` and, if asked for, `profile/`.

  Returns:
    The last state and the notes of the last evaluation.

  Raises:
    preemption.Preempted: after saving, if the job was asked to leave.
    errors.FaultError: if a loss is not finite, after saving what there was
      before; or if memory runs out.
    errors.InputError: if there are checkpoints that cannot be read.
  """
  goodput = goodput_lib.Goodput(workdir)
  with contextlib.closing(  # A save in progress is finished whatever happens.
    checkpoints_lib.Checkpoints(
      files.path(workdir) / 'checkpoints', base=job.base
    )
  ) as checkpoints:
    run = _Run(job, workdir, checkpoints, goodput)
    try:
      state, notes = run.train(state)
    except jax.errors.JaxRuntimeError as e:
      if 'RESOURCE_EXHAUSTED' not in str(e):
        raise
      raise errors.FaultError(_out_of_memory(job, workdir, e)) from e
    with goodput.phase('checkpoint_wait'):
      checkpoints.wait()
  goodput.note(run.done)
  logging.info('%s: %s', job.name, goodput.summary())
  preemption.check()
  return state, notes


class _NotFiniteError(Exception):
  """A step gave numbers that are not finite."""

  def __init__(self, step: int, metrics: dict[str, float]):
    super().__init__(', '.join(f'{n} {v:.4g}' for n, v in metrics.items()))
    self.step = step


class _Run:
  """One start of a job."""

  def __init__(
    self,
    job: Job,
    workdir: files.PathLike,
    checkpoints: checkpoints_lib.Checkpoints,
    goodput: goodput_lib.Goodput,
  ):
    self._job, self._workdir = job, files.path(workdir)
    self._checkpoints, self._goodput = checkpoints, goodput
    self.done = 0
    # Of steps that were not shown yet; the last of them may still run.
    self._unread: list[tuple[int, Metrics]] = []
    self._shown = self._saved = self._evaluated = 0
    self._tracing = False
    self._waits = dict.fromkeys(('steps', 'compiling', 'input_wait'), 0.0)

  def train(self, state: Any) -> tuple[Any, Any]:
    """Does what `train` says, but does not leave if asked to."""
    try:
      return self._train(state)
    finally:
      self._end_profile()

  def _train(self, state: Any) -> tuple[Any, Any]:
    """Trains; what is traced then may still be."""
    job, goodput = self._job, self._goodput
    state, notes = self._restored(state)
    self._shown = self._saved = self._evaluated = self.done
    log = metrics_log.MetricsLog(self._workdir, self.done)
    goodput.begin(self.done)
    batches = iter(
      progress.track(job.batches(self.done), job.steps - self.done, job.name)
    )
    first = True
    while True:
      with goodput.phase('input_wait'):
        batch = next(batches, None)
      if batch is None:
        return state, notes
      self._profile()
      with (
        jax.profiler.StepTraceAnnotation('step', step_num=self.done + 1),
        # The first call compiles the step before it runs.
        goodput.phase('compiling') if first else contextlib.nullcontext(),
      ):
        state, metrics = job.step(state, batch)
      first = False
      self.done += 1
      last = self.done == job.steps
      evaluated = self.done % job.evaluate_every == 0 or last
      asked = preemption.asked()
      saved = self.done % job.checkpoint_every == 0 or last or asked
      try:
        if len(self._unread) and self._unread[-1][0] % job.log_every == 0:
          self._show(log)
        self._unread.append((self.done, metrics))
        if evaluated or saved:
          self._show(log)  # What follows waits for the device anyway.
      except _NotFiniteError as e:
        self._stop(e, state, notes, log)
      if evaluated:
        notes = self._evaluate(state, notes, log)
      if saved:
        self._save(state, notes)
      if asked:
        return state, notes

  def _evaluate(
    self, state: Any, notes: dict[str, Any], log: metrics_log.MetricsLog
  ) -> dict[str, Any]:
    """Evaluates, and returns the new notes."""
    with self._goodput.phase('evaluation'):
      notes = self._job.evaluate(self.done, state, notes)
    for point in notes.get('curve', [])[-1:]:
      values = {f'validation_{k}': v for k, v in point.items() if k != 'step'}
      log.write(self.done, **values)
    self._evaluated = self.done
    return notes

  def _save(self, state: Any, notes: dict[str, Any]) -> None:
    """Begins to save."""
    with self._goodput.phase('checkpoint_wait'):
      self._checkpoints.save(self.done, state, notes)
    self._saved = self.done
    self._goodput.note(self.done)

  def _stop(
    self,
    bad: _NotFiniteError,
    state: Any,
    notes: dict[str, Any],
    log: metrics_log.MetricsLog,
  ) -> NoReturn:
    """Evaluates and saves what there was before a bad step, and names it.

    That is lost when the host learns of the step. So the steps since the last
    checkpoint are done again, which gives the same. Notes stay as they are: the
    evaluation is none of those that were asked for.
    """
    last, kept = bad.step - 1, 'there is no checkpoint from before it'
    if self._saved:
      with self._goodput.phase('checkpoint_wait'):
        self._checkpoints.wait()
      for leaf in jax.tree.leaves(state):
        leaf.delete()  # There may be no room for two states.
      state, _ = self._restored(state)
      batches = iter(self._job.batches(self.done))
      while self.done < last:
        state, _ = self._job.step(state, next(batches))
        self.done += 1
      if last > self._evaluated:
        self._evaluate(state, notes, log)
      if last > self._saved:
        self._save(state, notes)
      kept = f'what there was before it is the checkpoint of step {last}'
    raise errors.FaultError(
      f'{self._job.name}: step {bad.step} of {self._job.steps} gave {bad}: '
      f'expected finite numbers; {kept}'
    ) from bad

  def _restored(self, state: Any) -> tuple[Any, dict[str, Any]]:
    """Returns the state and the notes to go on from."""
    job = self._job
    found = self._checkpoints.restore(state)
    if found is None and job.restore_from:
      other = checkpoints_lib.Checkpoints(
        files.path(job.restore_from) / 'checkpoints',
        clean=False,
        base=job.base,
      )
      with contextlib.closing(other):
        found = other.restore(state)
      if found is None:
        raise errors.InputError(
          f'config.restore_from={job.restore_from} has no whole checkpoint: '
          'expected one'
        )
    if found is None:
      return state, {}
    if found[0] > job.steps:
      raise errors.InputError(
        f'{job.name}: the checkpoint to go on from is of step {found[0]}, and '
        f'config.steps={job.steps}: expected at least as many'
      )
    self.done, state, notes = found
    logging.info('%s: going on from step %d', job.name, self.done)
    return state, notes

  def _show(self, log: metrics_log.MetricsLog) -> None:
    """Waits for the last step that was dispatched, and shows it."""
    if not self._unread:
      return
    job, goodput = self._job, self._goodput
    read = jax.device_get(self._unread)
    for step, metrics in read:
      if not _finite(_numbers(metrics)):
        raise _NotFiniteError(step, _numbers(metrics))
    at, values = read[-1][0], _numbers(read[-1][1])
    self._unread.clear()
    now = {name: goodput.seconds(name) for name in self._waits}
    spent = {name: now[name] - before for name, before in self._waits.items()}
    self._waits = now
    seconds = max(sum(spent.values()), 1e-9) / (at - self._shown)
    self._shown = at
    speed = throughput.measured(
      seconds, job.tokens_per_step, job.operations_per_step
    )
    speed['input_wait'] = spent['input_wait']
    speed['checkpoint_wait'] = self._checkpoints.waited
    self._checkpoints.waited = 0.0
    if at % job.log_every == 0 or at == job.steps:
      logging.info(
        '%s: step: %d of %d, %s, %s',
        job.name,
        at,
        job.steps,
        throughput.line(speed),
        ', '.join(f'{name}: {value:.4g}' for name, value in values.items()),
      )
      log.write(at, **speed, **values)
      goodput.note(at)

  def _profile(self) -> None:
    """Begins and ends the trace of the steps that are asked for.

    A start that goes on within them traces what is left of them.
    """
    wanted, coming = self._job.profile, self.done + 1
    if not wanted.steps or not hosts.is_lead():
      return
    if coming >= wanted.first_step + wanted.steps:
      self._end_profile()
    elif coming >= wanted.first_step and not self._tracing:
      jax.profiler.start_trace(str(self._workdir / 'profile'))
      self._tracing = True

  def _end_profile(self) -> None:
    """Ends a trace, if one was begun."""
    if self._tracing:
      jax.block_until_ready([metrics for _, metrics in self._unread])
      jax.profiler.stop_trace()
      self._tracing = False
      logging.info('%s: traced into %s', self._job.name, self._workdir)


def _numbers(metrics: Metrics) -> dict[str, float]:
  """Returns metrics on the host, for which it waits."""
  return {name: float(value) for name, value in metrics.items()}


def _finite(values: dict[str, float]) -> bool:
  return all(map(math.isfinite, values.values()))


def _out_of_memory(job: Job, workdir: files.PathLike, error: Exception) -> str:
  """Writes what is in the memory of the devices, and says what took it."""
  profile = files.path(workdir) / _MEMORY.format(hosts.index())
  files.write_bytes(
    profile, jax.profiler.device_memory_profile(), every_process=True
  )
  device = jax.local_devices()[0]
  held = sum(
    shard.data.nbytes
    for array in jax.live_arrays()
    for shard in array.addressable_shards
    if shard.device == device
  )
  said = ' '.join(str(error).split())
  return (
    f'{job.name}: out of memory, with {held / 1e9:.3g} GB of arrays on '
    f'{device.device_kind} {device.id}: expected a smaller batch, '
    'config.accumulate, or a mesh that splits more; see '
    f'{profile}: {said[:300]}'
  )

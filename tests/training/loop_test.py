# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the training loop, on a job that adds numbers."""

import dataclasses
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp

from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption
from selfexplain_jax.training import goodput
from selfexplain_jax.training import loop

STEPS = 12


@jax.jit
def _step(state, batch):
  new = {'sum': state['sum'] + batch}
  return new, {'loss': new['sum'] / 2, 'gradient_norm': batch * 1.0}


def _job(**changed):
  job = loop.Job(
    name='adding',
    steps=STEPS,
    step=_step,
    batches=lambda done: map(jnp.float32, range(done + 1, STEPS + 1)),
    tokens_per_step=6,
    evaluate=lambda step, state, notes: {
      'curve': [*notes.get('curve', []), {'step': step, 'a': step / 2}]
    },
    evaluate_every=5,
    checkpoint_every=4,
    operations_per_step=1e6,
    log_every=3,
  )
  return dataclasses.replace(job, **changed)


def _start():
  return {'sum': jnp.float32(0)}


class LoopTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.addCleanup(setattr, preemption, '_asked', False)

  def _lines(self, name):
    return [
      json.loads(x) for x in (self.folder / name).read_text().split('\n')[:-1]
    ]

  def test_does_all_steps_and_shows_some(self):
    with self.assertLogs(level='INFO') as log:
      state, notes = loop.train(_job(), _start(), self.folder)
    self.assertEqual(float(state['sum']), 78)
    self.assertEqual([p['step'] for p in notes['curve']], [5, 10, 12])
    lines = self._lines('metrics.jsonl')
    shown = [x for x in lines if 'loss' in x]
    self.assertEqual([x['step'] for x in shown], [3, 6, 9, 12])
    self.assertEqual(shown[1]['loss'], 10.5)
    for x in shown:
      self.assertGreater(x['seconds_per_step'], 0)
      self.assertAlmostEqual(
        x['tokens_per_second'] * x['seconds_per_step'], 6, places=6
      )
      self.assertIn('input_wait', x)
      self.assertIn('checkpoint_wait', x)
    self.assertEqual(
      [x['step'] for x in lines if 'validation_a' in x], [5, 10, 12]
    )
    said = next(line for line in log.output if 'step: 6 of 12' in line)
    self.assertRegex(
      said, r'seconds: .*tokens/s/device: .*TFLOP/s/device: .*loss: 10.5'
    )
    self.assertIn('goodput', log.output[-1])

  def test_a_restart_ends_with_the_same(self):
    def stop(step, state, notes):
      if step == 10:
        preemption.ask()
      return _job().evaluate(step, state, notes)

    with self.assertRaises(preemption.Preempted):
      loop.train(_job(evaluate=stop), _start(), self.folder)
    preemption._asked = False
    state, notes = loop.train(_job(), _start(), self.folder)
    self.assertEqual(float(state['sum']), 78)
    self.assertEqual([p['step'] for p in notes['curve']], [5, 10, 12])
    spent = goodput.read(self.folder)
    self.assertEqual(spent.starts, 2)

  @parameterized.parameters(
    (2, 'no checkpoint .*'), (5, 'step 4'), (7, 'step 6')
  )
  def test_what_is_not_finite_stops_it(self, bad, expected):
    def batches(done):
      for n in range(done + 1, STEPS + 1):
        yield jnp.float32(float('nan') if n == bad else n)

    seen = []

    def evaluate(step, state, notes):
      seen.append((step, float(state['sum'])))
      return _job().evaluate(step, state, notes)

    job = _job(batches=batches, evaluate=evaluate, log_every=20)
    for _ in range(2):  # Started again it says the same.
      with self.assertRaisesRegex(
        errors.FaultError,
        f'adding: step {bad} of 12 gave .*loss nan.*{expected}$',
      ):
        loop.train(job, _start(), self.folder)
    # What there was before it is evaluated, at the first start alone.
    evaluated = {2: [], 5: [(4, 10.0)], 7: [(5, 15.0), (6, 21.0)]}
    self.assertEqual(seen, evaluated[bad])
    # It goes on from there once the cause is mended.
    with self.assertLogs(level='INFO') as log:
      state, notes = loop.train(_job(), _start(), self.folder)
    self.assertEqual(float(state['sum']), 78)
    self.assertEqual([p['step'] for p in notes['curve']], [5, 10, 12])
    if bad > 4:
      self.assertIn(f'going on from step {bad - 1}', str(log.output))

  def test_a_single_bad_step_that_is_not_shown_stops_it(self):
    def step(state, batch):
      new, metrics = _step(state, batch)
      bad = jnp.where(batch == 3, jnp.inf, 1.0)
      return new, {**metrics, 'gradient_norm': metrics['gradient_norm'] * bad}

    job = _job(step=step, log_every=20, checkpoint_every=12, evaluate_every=12)
    with self.assertRaisesRegex(
      errors.FaultError, 'step 3 of 12 gave .*gradient_norm inf'
    ):
      loop.train(job, _start(), self.folder)

  def test_out_of_memory_is_told_in_a_line(self):
    def step(state, batch):
      if float(batch) == 3:
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: 5G\nof 4G')
      return _step(state, batch)

    with self.assertRaisesRegex(
      errors.FaultError,
      'adding: out of memory, with .* GB.*accumulate.*5G of 4',
    ):
      loop.train(_job(step=step), _start(), self.folder)
    memory = self.folder / 'device_memory_0.prof'
    self.assertGreater(memory.stat().st_size, 0)

  def test_goes_on_from_another_run(self):
    first, second = self.folder / 'first', self.folder / 'second'
    half = _job(steps=8, batches=lambda done: map(jnp.float32, range(1, 9)))
    loop.train(half, _start(), first)
    loop.check_restore(str(first))
    longer = _job(restore_from=str(first))
    state, notes = loop.train(longer, _start(), second)
    self.assertEqual(float(state['sum']), 78)
    self.assertEqual([p['step'] for p in notes['curve']], [5, 8, 10, 12])
    # Its own checkpoint comes first from now on.
    state, _ = loop.train(longer, {'sum': jnp.float32(-1)}, second)
    self.assertEqual(float(state['sum']), 78)
    with self.assertRaisesRegex(
      errors.InputError, 'is of step 12, and config.steps=8: expected'
    ):
      loop.train(half, _start(), second)
    with self.assertRaisesRegex(errors.InputError, 'restore_from=.*no checkp'):
      loop.check_restore(str(self.folder))

  def test_traces_the_steps_that_are_asked_for(self):
    loop.train(
      _job(profile=loop.Profile(first_step=2, steps=3)), _start(), self.folder
    )
    self.assertTrue(list((self.folder / 'profile').rglob('*.xplane.pb')))

  @parameterized.parameters((2, 5), (4, 3), (11, 9))
  def test_traces_what_is_left_when_it_goes_on(self, first, steps):
    """It leaves after step 5; the last case has no end within the run."""

    def stop(step, state, notes):
      if step == 5:
        preemption.ask()
      return _job().evaluate(step, state, notes)

    profile = loop.Profile(first_step=first, steps=steps)
    with self.assertRaises(preemption.Preempted):
      loop.train(_job(evaluate=stop, profile=profile), _start(), self.folder)
    preemption._asked = False
    state, _ = loop.train(_job(profile=profile), _start(), self.folder)
    self.assertEqual(float(state['sum']), 78)
    traces = list((self.folder / 'profile').rglob('*.xplane.pb'))
    self.assertGreaterEqual(len(traces), 1)
    # None is left running.
    with self.assertRaises(RuntimeError):
      jax.profiler.stop_trace()


if __name__ == '__main__':
  absltest.main()

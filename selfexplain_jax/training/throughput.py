# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How fast steps are, as the lines of a log say it."""

import jax

from selfexplain_jax.compiled import chips


def measured(
  seconds: float, tokens: float, operations: float
) -> dict[str, float]:
  """Returns what a step achieves.

  MFU, the share of the peak that is of use to the model, is what the model's
  products take by formula (`models.flops.training`: causal attention, nothing
  that is computed again), over the time of a step and the peak of bfloat16.

  Args:
    seconds: of a step.
    tokens: of a step, over all devices.
    operations: of a step, by formula, over all devices; 0 if nobody knows.

  Returns:
    `seconds_per_step`, `tokens_per_second`, `tokens_per_second_per_device`, and
    where they are known `tflops_per_second_per_device`, `mfu`, and of the
    devices' memory `memory_peak_gb`.
  """
  device, devices = jax.local_devices()[0], jax.device_count()
  rate = tokens / seconds
  found = {
    'seconds_per_step': seconds,
    'tokens_per_second': rate,
    'tokens_per_second_per_device': rate / devices,
  }
  if operations:
    each = operations / seconds / devices
    found['tflops_per_second_per_device'] = each / 1e12
    peak = chips.peak(device.device_kind)
    if peak is not None:
      found['mfu'] = each / peak
  memory = device.memory_stats()
  if memory and 'peak_bytes_in_use' in memory:
    found['memory_peak_gb'] = memory['peak_bytes_in_use'] / 1e9
  return found


def line(found: dict[str, float]) -> str:
  """Writes what `measured` returns, and waits, as part of a line."""
  parts = [
    f'seconds: {found["seconds_per_step"]:.3g}',
    f'tokens/s/device: {found["tokens_per_second_per_device"]:,.0f}',
  ]
  if 'tflops_per_second_per_device' in found:
    each = found['tflops_per_second_per_device']
    parts.append(f'TFLOP/s/device: {each:.3g}')
  if 'mfu' in found:
    parts.append(f'MFU: {found["mfu"]:.1%}')
  if 'memory_peak_gb' in found:
    parts.append(f'memory: {found["memory_peak_gb"]:.3g} GB')
  parts += [
    f'{name} wait: {found[f"{name}_wait"]:.3g} s'
    for name in ('input', 'checkpoint')
    if f'{name}_wait' in found
  ]
  return ', '.join(parts)

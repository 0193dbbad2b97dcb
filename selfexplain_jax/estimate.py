# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How long work will take, roughly: to tell minutes from days before it starts.

Of a transformer's work only the products with its weights are counted: 2
operations a weight and token forward, and twice as many backward.
"""

import jax

# Operations per second that one device is assumed to reach, by platform. The
# CPU's is that of one core, which is all that a small model keeps busy; those
# of accelerators are about a tenth of what their makers state for bfloat16.
_OPERATIONS_PER_SECOND = {'cpu': 3e10, 'gpu': 5e13, 'tpu': 3e13}


def minutes(flops: float) -> float:
  """Returns how many minutes so many operations take the devices of this job.

  Compilation is not counted. Expect to be wrong by a factor of 3.
  """
  platform = jax.devices()[0].platform
  rate = _OPERATIONS_PER_SECOND.get(platform, _OPERATIONS_PER_SECOND['gpu'])
  return flops / (rate * jax.device_count()) / 60


def forward(weights: float, tokens: float) -> float:
  """Returns the operations of running a model on some tokens."""
  return 2.0 * weights * tokens


def training(weights: float, tokens: float) -> float:
  """Returns the operations of training a model on some tokens."""
  return 3.0 * forward(weights, tokens)

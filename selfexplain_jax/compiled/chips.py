# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What chips can do, as their makers state it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
  """A kind of chip.

  Attributes:
    flops: products of bfloat16 per second.
    memory: bytes of its main memory.
    bandwidth: bytes per second of that memory.
    links: bytes per second that it sends to its neighbours on one axis of its
      slice's torus, in both directions of the axis together.
    network: bytes per second that it sends to another slice.
  """

  flops: float
  memory: float
  bandwidth: float
  links: float
  network: float


# TPUs: cloud.google.com/tpu/docs, the pages `v5e`, `v5p` and `v6e`; links and
# network: "How to Scale Your Model" (jax-ml.github.io/scaling-book), 2025.
TPUS = {
  'v5e': Chip(197e12, 16 * 2**30, 0.819e12, 9e10, 3.1e9),
  'v5p': Chip(459e12, 95 * 2**30, 2.765e12, 1.8e11, 6.2e9),
  'v6e': Chip(918e12, 32 * 2**30, 1.64e12, 1.8e11, 12.5e9),
}

# Of what JAX calls a device, products of bfloat16 per second; GPUs without
# sparsity, as their data sheets have it.
PEAKS = {
  'TPU v5 lite': TPUS['v5e'].flops,
  'TPU v5e': TPUS['v5e'].flops,
  'TPU v5': TPUS['v5p'].flops,
  'TPU v5p': TPUS['v5p'].flops,
  'TPU v6 lite': TPUS['v6e'].flops,
  'TPU v6e': TPUS['v6e'].flops,
  'NVIDIA A100': 312e12,
  'NVIDIA H100': 989e12,
  'NVIDIA H200': 989e12,
  'NVIDIA B200': 2237e12,
}


def peak(device_kind: str) -> float | None:
  """Products of bfloat16 per second of a device; None if nobody stated it."""
  if device_kind in PEAKS:
    return PEAKS[device_kind]
  known = (name for name in PEAKS if name.startswith('NVIDIA'))
  return next((PEAKS[n] for n in known if device_kind.startswith(n)), None)

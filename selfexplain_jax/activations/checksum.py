# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""CRC-32C, the checksum that cloud storage and zarr both use."""

import numpy as np
import tensorstore as ts


def crc32c(content: bytes, before: int = 0) -> int:
  """Returns the CRC-32C (Castagnoli) of `content`, in [0, 2**32).

  The standard library has only CRC-32, with another polynomial. TensorStore
  has the fast one but shows it only as a zarr codec, which stores a chunk
  followed by its checksum, so a chunk is stored in memory and its end read.

  Args:
    content: any bytes.
    before: the checksum of what comes before them, where they are a part.
  """
  if not content:
    return before
  if before:
    content = _ending_in(before) + content
  values = np.frombuffer(content, np.uint8)
  context = ts.Context()  # Its own, so that the memory is freed on return.
  kvstore = ts.KvStore.open({'driver': 'memory'}, context=context).result()
  array = ts.open(
    {
      'driver': 'zarr3',
      'kvstore': {'driver': 'memory'},
      'metadata': {
        'shape': values.shape,
        'data_type': 'uint8',
        'chunk_grid': {
          'name': 'regular',
          'configuration': {'chunk_shape': values.shape},
        },
        'codecs': [{'name': 'bytes'}, {'name': 'crc32c'}],
      },
      'store_data_equal_to_fill_value': True,
      'create': True,
    },
    context=context,
  ).result()
  array.write(values).result()
  return int.from_bytes(kvstore.read('c/0').result().value[-4:], 'little')


def _ending_in(crc: int) -> bytes:
  """Returns the four bytes that have this CRC-32C.

  A checksum goes on from them as it does from anything else that has it. They
  are found by running the 32 steps of the definition backwards.
  """
  register = crc ^ 0xFFFFFFFF
  for _ in range(32):
    # The polynomial has the highest bit, so that tells whether it was added.
    if register >> 31:
      register = ((register ^ 0x82F63B78) << 1) | 1
    else:
      register <<= 1
  return (register ^ 0xFFFFFFFF).to_bytes(4, 'little')

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Slices of TPUs that are not there: programs are compiled for them."""

import importlib.util
import os

import jax
from jax.experimental import topologies

from selfexplain_jax import errors
from selfexplain_jax.compiled import chips
from selfexplain_jax.distributed import mesh as mesh_lib


def chip(topology: str) -> chips.Chip:
  """Returns the chips of a topology such as `v5e:16x16`.

  Raises:
    errors.InputError: if there are no figures of its kind.
  """
  kind = topology.partition(':')[0]
  if kind not in chips.TPUS:
    raise errors.InputError(
      f'--topology={topology}: expected one of {", ".join(chips.TPUS)}, a '
      'colon and the chips of a slice, such as v5e:16x16'
    )
  return chips.TPUS[kind]


def mesh(
  topology: str, num_slices: int, data: int, fsdp: int, tensor: int
) -> jax.sharding.Mesh:
  """Returns a mesh of the chips of slices; no program can run on it.

  Args:
    topology: kind and shape of a slice, such as `v5e:16x16`.
    num_slices: how many of them.
    data: as in `mesh.make_mesh`, which is over all of them.
    fsdp: likewise.
    tensor: likewise.

  Raises:
    errors.InputError: if there is no such slice, or no compiler for it.
  """
  if importlib.util.find_spec('libtpu') is None:
    raise errors.InputError(
      'no compiler for TPUs: expected the package libtpu, which '
      "pip install 'selfexplain_jax[tpu]' installs beside the jax that it fits"
    )
  # Else it asks a server of the cloud what machine this is.
  os.environ['TPU_SKIP_MDS_QUERY'] = '1'
  # No chip is held, so several may compile at once.
  os.environ['ALLOW_MULTIPLE_LIBTPU_LOAD'] = '1'
  more = {'num_slices': num_slices} if num_slices > 1 else {}
  try:
    found = topologies.get_topology_desc(
      platform='tpu', topology_name=topology, **more
    )
  except Exception as e:  # The compiler raises many kinds.
    raise errors.InputError(
      f'--topology={topology}: expected a slice that is made: '
      f'{str(e).splitlines()[0]}'
    ) from e
  return mesh_lib.make_mesh(data, fsdp, tensor, found.devices)

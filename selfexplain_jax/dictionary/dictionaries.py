# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The dictionaries of a run of train_dictionary: one for each layer."""

from collections.abc import Mapping
import dataclasses

import jax

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder


@dataclasses.dataclass(frozen=True)
class Dictionaries:
  """Dictionaries of one site of a target.

  Attributes:
    site: the site.
    by_layer: by layer, ascending.
    digest: of all weights.
  """

  site: str
  by_layer: Mapping[int, sparse_autoencoder.SparseAutoencoder]
  digest: str


def load(directory: files.PathLike, weight_hash: str) -> Dictionaries:
  """Reads the dictionaries of a finished run.

  Args:
    directory: the workdir of train_dictionary.
    weight_hash: of the target that they have to be of.

  Raises:
    errors.InputError: if the run is not finished, or is of another stage or
      target.
  """
  folder = files.path(directory)
  note = files.read_json(folder / 'metrics.json', 'figures of dictionaries')
  if not {'site', 'target', 'layers'} <= note.keys():
    raise errors.InputError(
      f'{folder} holds no dictionaries: expected a workdir of train_dictionary'
    )
  if note['target'] != weight_hash:
    raise errors.InputError(
      f'{folder} holds dictionaries of another model: expected those of '
      f'weight_hash {weight_hash[:12]}…'
    )
  by_layer = {
    layer: saelens.load(saelens.folder(folder, note['site'], layer))
    for layer in sorted(int(name) for name in note['layers'])
  }
  leaves = jax.device_get(jax.tree.leaves(by_layer))
  return Dictionaries(
    note['site'], by_layer, files.digest(*(leaf.tobytes() for leaf in leaves))
  )

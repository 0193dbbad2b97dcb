# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dictionaries of one site of a target, one for each layer, left in files."""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import hub


@dataclasses.dataclass(frozen=True)
class Dictionaries:
  """Dictionaries of one site of a target.

  Attributes:
    site: the site.
    stored: by layer, ascending.
  """

  site: str
  stored: Mapping[int, stored_lib.Stored]

  @functools.cached_property
  def digest(self) -> str:
    """SHA-256 of the files of all, which are read whole and checked for it.

    Raises:
      errors.InputError: if a weight is not finite.
    """
    parts = [self.site]
    items = progress.track(self.stored.items(), len(self.stored), 'layers')
    for layer, one in items:
      one.check()
      parts.append(f'{layer} {one.digest()}')
    return files.digest(*(part.encode() for part in parts))

  @property
  def layers(self) -> tuple[int, ...]:
    """The layers, ascending."""
    return tuple(self.stored)

  @property
  def features(self) -> int:
    """How many features all of them have."""
    return sum(one.features for one in self.stored.values())

  @property
  def models(self) -> tuple[str, ...]:
    """What the files say that they are of, each once."""
    return tuple(sorted({one.model for one in self.stored.values()} - {''}))

  @property
  def by_layer(self) -> Mapping[int, sparse_autoencoder.SparseAutoencoder]:
    """Whole dictionaries, each read anew when it is asked for.

    One who keeps none of them holds one at a time.
    """
    return _Whole(self.stored)

  def directions(self, layer: int, index: np.ndarray) -> np.ndarray:
    """Returns decoder rows f32[n, D] of features i[n]; only they are read."""
    return self.stored[layer].directions(index)

  def choose(
    self, layer: int, index: np.ndarray
  ) -> tuple[sparse_autoencoder.SparseAutoencoder, np.ndarray]:
    """Returns a dictionary that has some features, and where they are in it.

    Args:
      layer: of the features.
      index: i[n], which.

    Returns:
      One of these features alone, or the whole where features compete; and
      i32[n].
    """
    one = self.stored[layer]
    if one.k is not None:
      return one.load(), np.asarray(index, np.int32)
    return one.choose(index), np.arange(len(index), dtype=np.int32)


class _Whole(Mapping[int, sparse_autoencoder.SparseAutoencoder]):
  """Dictionaries that are read when they are asked for."""

  def __init__(self, stored: Mapping[int, stored_lib.Stored]):
    self._stored = stored

  def __getitem__(self, layer: int) -> sparse_autoencoder.SparseAutoencoder:
    return self._stored[layer].load()

  def __iter__(self) -> Iterator[int]:
    return iter(self._stored)

  def __len__(self) -> int:
    return len(self._stored)


def load(
  directory: files.PathLike,
  weight_hash: Callable[[], str],
  config: config_lib.DecoderConfig,
) -> Dictionaries:
  """Opens dictionaries; of their weights nothing is read as yet.

  Args:
    directory: the workdir of train_dictionary, or a published dictionary, or a
      release of them, or one on the hub; see `releases.by_layer` and
      `hub.local_part`.
    weight_hash: returns that of the target that they have to be of. Published
      ones do not say whose they are, and it is not asked for.
    config: of the target, whose width and layers theirs have to be.

  Raises:
    errors.InputError: if a run is not finished, or of another target; if there
      are no dictionaries, or they are damaged or do not fit the target.
  """
  directory = hub.local_part(directory)
  folder = files.path(directory)
  if any((folder / n).exists() for n in ('metrics.json', 'dictionaries')):
    site, stored = _trained(folder, weight_hash)
  else:
    site, stored = releases.by_layer(directory)
  for layer, one in stored.items():
    if one.width != config.width or layer >= config.layers:
      raise errors.InputError(
        f'{one.folder} is of layer {layer} and width {one.width}: expected the '
        f'{config.layers} layers and width {config.width} of the target'
      )
  return Dictionaries(site, stored)


def of_set(
  digest: str | None,
  directory: str,
  weight_hash: Callable[[], str],
  config: config_lib.DecoderConfig,
) -> Dictionaries | None:
  """Loads the dictionaries that an explanation set was made with.

  Args:
    digest: of the set's; None if its features are known as directions alone.
    directory: where they are said to be.
    weight_hash: see `load`.
    config: see `load`.

  Raises:
    errors.InputError: if they are not those of the set, or as `load` does.
  """
  if digest is None:
    if directory:
      raise errors.InputError(
        f'config.dictionary is {directory}, and the explanation set was made '
        'without: expected none'
      )
    return None
  if not directory:
    raise errors.InputError(
      '--config.dictionary is missing: expected the dictionaries that the '
      'features are of'
    )
  found = load(directory, weight_hash, config)
  if found.digest != digest:
    raise errors.InputError(
      f'{directory} holds other dictionaries than those that the explanation '
      'set was made with'
    )
  return found


def _trained(
  folder: files.PathLike, weight_hash: Callable[[], str]
) -> tuple[str, dict[int, stored_lib.Stored]]:
  """Opens what a run of train_dictionary made, if it is of the target."""
  name = files.path(folder) / 'metrics.json'
  note = files.read_json(name, 'figures of dictionaries')
  if not {'site', 'target', 'layers'} <= note.keys():
    raise errors.InputError(
      f'{folder} holds no dictionaries: expected a workdir of train_dictionary '
      'or published ones'
    )
  wanted = weight_hash()
  if note['target'] != wanted:
    raise errors.InputError(
      f'{folder} holds dictionaries of another model: expected those of '
      f'weight_hash {wanted[:12]}…'
    )
  return note['site'], {
    layer: saelens.open_directory(saelens.folder(folder, note['site'], layer))
    for layer in sorted(int(name) for name in note['layers'])
  }

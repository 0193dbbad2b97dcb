# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes feature sets of published descriptions (method A.1 and E.1).

They come in the layout of the paper's data, with the directions beside them and
their split; or as Neuronpedia's exports, whose directions are those of a
dictionary, or of the lines themselves.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
from typing import Any
import zlib

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import text_files
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.published import features_layout
from selfexplain_jax.published import neuronpedia
from selfexplain_jax.published import sources
from selfexplain_jax.published import splits
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import features_documents as documents_lib
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

# Where labels come from, for the manifest: they cannot be executed.
_LABELS = 'published'
# Least cosine of a direction with itself, rounded in two ways.
_ALIKE = 0.99


@dataclasses.dataclass(frozen=True)
class Found:
  """A described feature.

  Attributes:
    layer: of the feature.
    feature: its index.
    label: what it is said to encode.
    split: of the record.
    score: of the label, by its publisher; 0 for none.
  """

  layer: int
  feature: int
  label: str
  split: str
  score: float = 0.0


# Reads the vectors of all records, and what the manifest notes of them.
Gather = Callable[[], tuple[np.ndarray, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Maker:
  """Feature sets of published files, whose labels are read already.

  Attributes:
    records: all of them.
    width: of the target.
    gather: reads their vectors.
    documents: i32[N, T], that descriptions are checked on.
    notes: of the manifest.
  """

  records: list[dict[str, Any]]
  width: int
  gather: Gather
  documents: np.ndarray
  notes: dict[str, Any]

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    gigabytes = 4 * len(self.records) * self.width / 1e9
    return (
      f'{len(self.records)} published records, {gigabytes:.3f} GB, '
      f'{self.documents.size / 1e6:.2f} M tokens of documents'
    )

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Reads the vectors of the records.

    Raises:
      errors.InputError: if they are damaged.
    """
    del kept  # It does not take long.
    vectors, noted = self.gather()
    return task.Made(
      splits.shuffled(self.records),
      vectors,
      {**self.notes, **noted},
      self.documents,
    )


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks published files.

  Args:
    target: the model that they are of.
    config: of the explanation set: `published.folder`, in the paper's layout,
      or `published.explanations`, files of Neuronpedia.

  Raises:
    errors.InputError: if files are missing, damaged or not converted, or of
      another model.
  """
  if 'folder' in config.published:
    return _of_layout(target, config)
  return _of_neuronpedia(target, config)


def _of_layout(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  splits.check(config)
  if not config.published.folder:
    raise errors.InputError(
      '--config.published.folder is missing: expected a folder of '
      f'{features_layout.WHAT}'
    )
  folder, shape = files.path(config.published.folder), target.config
  found: list[Found] = []
  for published in ('train', 'test'):
    for label in features_layout.labels(
      folder, config.published[published], shape.layers
    ):
      unit = f'{label.layer}/{label.feature}'
      split = splits.split(published, unit, config)
      score = 0.0 if label.score is None else label.score
      found.append(Found(label.layer, label.feature, label.text, split, score))
  opened = {}
  for layer, _, index in _by_layer(found):
    opened[layer] = features_layout.Directions(folder, layer, shape.width)
    opened[layer].check(index)
  records = [_record(one, n) for n, one in enumerate(found)]
  extra, rows = _unlabelled(config, shape.layers, shape.width)
  for n, record in enumerate(extra):
    records.append({**record, 'vectors': [len(found) + n]})

  def gather() -> tuple[np.ndarray, dict[str, Any]]:
    vectors = np.empty((len(records), shape.width), np.float32)
    vectors[len(found) :] = rows
    for layer, own, index in _by_layer(found):
      vectors[own] = opened[layer].take(index)
    return vectors, {'dictionary': None}

  documents, left_out = documents_lib.exemplars(
    folder, target, config, list(opened)
  )
  notes: dict[str, Any] = {'exemplars_left_out': left_out}
  if documents is None:
    documents, noted = documents_lib.corpus(target, config)
    notes |= noted
  return _maker(records, shape.width, gather, documents, notes, found)


def _of_neuronpedia(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  shares = config.shares
  if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
    raise errors.InputError(
      f'config.shares is {dict(shares)}: expected each above 0, and something '
      'left for training'
    )
  shape = target.config
  names = sources.find(
    config.published.explanations, 'published.explanations', neuronpedia.WHAT
  )
  described: dict[tuple[int, int], neuronpedia.Described] = {}
  kind, without, repeated = None, 0, 0
  for name in names:
    for one in neuronpedia.read(name, shape.layers, shape.width):
      if kind is None:
        kind = one
      if (one.model, one.source) != (kind.model, kind.source):
        raise errors.InputError(
          f'{one.where} is of {one.model} and {one.source}, and {kind.where} '
          f'of {kind.model} and {kind.source}: expected one model and set'
        )
      key = one.layer, one.index
      without += not one.descriptions
      repeated += key in described
      # The first description of several is its label.
      if one.descriptions and key not in described:
        described[key] = one
  found = [
    Found(one.layer, one.index, one.descriptions[0], _share(one, config))
    for one in described.values()
  ]
  notes: dict[str, Any] = {
    'files': [text_files.note(name) for name in names],
    'without_description': without,
    'further_descriptions': repeated,
    'model': kind.model if kind else '',
    'source': kind.source if kind else '',
  }
  site, gather = _directions(found, list(described.values()), target, config)
  documents, noted = documents_lib.corpus(target, config)
  records = [{**_record(one, n), 'site': site} for n, one in enumerate(found)]
  return _maker(
    records, shape.width, gather, documents, {**notes, **noted}, found
  )


def _directions(
  found: Sequence[Found],
  described: Sequence[neuronpedia.Described],
  target: target_lib.Target,
  config: ml_collections.ConfigDict,
) -> tuple[str, Gather]:
  """Returns the site of features, and what reads their vectors.

  These are of a dictionary, or of the features' lines.
  """
  if 'dictionary' not in config:
    for one in described:
      if one.vector is None:
        raise errors.InputError(
          f'{one.where} has no vector: expected one, or --config=…:neuronpedia '
          'and the dictionary that the features are of'
        )
    return 'resid_post', lambda: (
      np.array([one.vector for one in described], np.float32),
      {'dictionary': None},
    )
  dictionary = dictionaries.load(
    config.dictionary, lambda: target.weight_hash, target.config
  )
  for layer, own, index in _by_layer(found):
    stored = dictionary.stored.get(layer)
    if stored is None or index.max() >= stored.features:
      worst = described[own.tolist()[int(np.argmax(index))]]
      raise errors.InputError(
        f'{worst.where}: feature {worst.index} of layer {layer} is not in the '
        f'dictionaries of layers {", ".join(map(str, dictionary.layers))}: '
        'expected those that the features are of'
      )

  def gather() -> tuple[np.ndarray, dict[str, Any]]:
    noted = {
      'dictionary': dictionary.digest,
      'dictionary_models': list(dictionary.models),
    }
    vectors = np.empty((len(found), target.config.width), np.float32)
    for layer, own, index in _by_layer(found):
      vectors[own] = dictionary.directions(layer, index)
    _check_alike(described, vectors, config.dictionary)
    return vectors, noted

  return dictionary.site, gather


def _check_alike(
  described: Sequence[neuronpedia.Described],
  vectors_NxD: np.ndarray,
  dictionary: str,
) -> None:
  """Checks that lines with vectors are about the features of a dictionary.

  Another dictionary of the same model has features of the same numbers.
  """
  for one, vector in zip(described, vectors_NxD, strict=True):
    if one.vector is None:
      continue
    size = float(np.linalg.norm(one.vector) * np.linalg.norm(vector))
    cosine = float(one.vector @ vector) / max(size, 1e-12)
    if cosine < _ALIKE:
      raise errors.InputError(
        f'{one.where} has a vector whose cosine with feature {one.index} of '
        f'layer {one.layer} of {dictionary} is {cosine:.2f}: expected the '
        'dictionary that the export is about'
      )


def _by_layer(
  found: Sequence[Found],
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
  """Yields each layer, which of the features are of it, and their index."""
  layer_of = np.array([one.layer for one in found], np.int64)
  index = np.array([one.feature for one in found], np.int64)
  for layer in np.unique(layer_of).tolist():
    own = np.flatnonzero(layer_of == layer)
    yield layer, own, index[own]


def _maker(
  records: list[dict[str, Any]],
  width: int,
  gather: Gather,
  documents: np.ndarray,
  notes: dict[str, Any],
  found: Sequence[Found],
) -> Maker:
  splits.require_all([r for r in records if r['place'] == features.FEATURE])
  units = [
    {
      'split': one.split,
      'label': one.label,
      'feature': f'{one.layer}/{one.feature}',
    }
    for one in found
  ]
  notes = {
    'labels': {'name': _LABELS},
    'also_in_train': splits.shared(units, ('label', 'feature')),
    **notes,
  }
  return Maker(records, width, gather, documents, notes)


def _record(found: Found, vector: int) -> dict[str, Any]:
  return {
    **_columns(features.FEATURE, found.layer, f'feature {found.feature}'),
    'split': found.split,
    'group': found.label,
    'vectors': [vector],
    'answer': found.label,
    'feature': found.feature,
    'label_correlation': found.score,
  }


def _columns(place: str, layer: int, source: str) -> dict[str, Any]:
  """The columns that all records have."""
  return {
    'task': features.NAME,
    'split': 'test',
    'group': f'{place} {layer} {source}',
    'place': place,
    'treatment': str(layer),
    'vectors': [0],
    'answer': '',
    'site': 'resid_post',
    'layer': layer,
    'feature': -1,
    'source': source,
    'concept': '',
    'label_correlation': 0.0,
    'label_precision': 0.0,
  }


def _share(
  one: neuronpedia.Described, config: ml_collections.ConfigDict
) -> str:
  """The split of a feature, a hash of the seed and its name."""
  name = f'{config.seed}/split/{one.layer}/{one.index}'
  draw = zlib.crc32(name.encode()) / 2**32
  if draw < config.shares.test:
    return 'test'
  both = config.shares.test + config.shares.validation
  return 'validation' if draw < both else 'train'


def _unlabelled(
  config: ml_collections.ConfigDict, layers: int, width: int
) -> tuple[list[dict[str, Any]], np.ndarray]:
  """Records of vectors that are no features, for test alone."""
  records: list[dict[str, Any]] = []
  parts = [np.zeros((0, width), np.float32)]
  for place, field in (
    (features.ACTIVATION, 'activations'),
    (features.DIFFERENCE, 'differences'),
  ):
    if not config.published[field]:
      continue
    of_layer, vectors = features_layout.vectors(
      config.published[field], layers, width
    )
    for n, layer in enumerate(of_layer.tolist()):
      records.append(_columns(place, layer, f'published {n}'))
    parts.append(vectors)
  return records, np.concatenate(parts)

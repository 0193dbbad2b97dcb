# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the explanation set of feature descriptions (method A.1).

The target reads documents of its corpus; every feature of a dictionary is
labelled by what it fires on there. The vectors are the features' decoder
directions. Beside them stand vectors out of distribution, for evaluation alone
and without labels: activations, and, of a corpus with facts, differences of the
activations of two prompts that ask the same of two people.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
from typing import Any
import zlib

from absl import logging
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import corpora
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.dictionary import evaluation
from selfexplain_jax.dictionary import published_figures
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.judges import labeller as endpoint_labels
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import labels as labels_lib
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task
from selfexplain_jax.worlds.biographies import labels as concept_labels
from selfexplain_jax.worlds.biographies import pretraining

_BATCH = 64  # Documents read at once.
_VALUES = 1 << 27  # Activations of features that are held at a time, at most.
_SOURCE = 12  # Words that say where an activation is from.


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes feature sets from dictionaries and a world's corpus.

  Attributes:
    target: the target.
    dictionary: the dictionaries, one a layer.
    corpus: what the target reads.
    labeller: gives features their labels.
    labels: the manifest's note of where labels come from.
    config: `seed`; `documents`, from which document the corpus is read, and
      how many of which length, for labels and for scores; `threshold`, the
      least correlation of a label; `shares` of validation and test features,
      and of labels that are for test alone; `unlabelled`, activations and
      differences for each layer; `expected`, figures of the dictionaries.
  """

  target: target_lib.Target
  dictionary: dictionaries.Dictionaries
  corpus: corpora.Corpus
  labeller: labels_lib.Labeller
  labels: Mapping[str, Any]
  config: ml_collections.ConfigDict

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    asked = self.config.documents
    tokens = (asked.labels + asked.scores) * asked.length
    minutes = self.target.minutes(tokens)
    return (
      f'{self.dictionary.features} features of '
      f'{len(self.dictionary.layers)} layers, '
      f'{tokens / 1e6:.2f} M tokens, roughly {minutes:.1f} minutes'
    )

  @functools.cached_property
  def documents(self) -> tuple[np.ndarray, np.ndarray, int]:
    """Documents for labels and for scores, i32[N, T], and where these end.

    Raises:
      errors.InputError: if the corpus has not so many of that length.
    """
    asked = self.config.documents
    labelled, end = corpora.whole(
      self.corpus, asked.start, asked.labels, asked.length
    )
    scored, end = corpora.whole(self.corpus, end, asked.scores, asked.length)
    return labelled, scored, end

  @functools.cached_property
  def prompts(self) -> prompts_lib.Prompts | None:
    """Prompts whose activations differ by whom they ask about.

    None of text files: nothing says which two ask the same of two people.
    """
    return self.corpus.prompts()

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Makes the records.

    Raises:
      errors.InputError: if a split has no labelled feature, or dictionaries
        are not what they are expected to be.
    """
    del kept  # It does not take long.
    labelled, scored, end = self.documents
    self._require_figures(scored)
    records: list[dict[str, Any]] = []
    vectors: list[np.ndarray] = []
    notes: dict[str, Any] = {
      'labels': dict(self.labels),
      'corpus': self.corpus.note(end),
      'dictionary': self.dictionary.digest,
      'dictionary_models': list(self.dictionary.models),
      'by_layer': {},
    }
    if self.prompts is None:
      notes['without_differences'] = 'the corpus has no facts to ask about'
    for layer in self.dictionary.layers:
      made = self.labeller.label(self._read(labelled, layer))
      directions = iter(
        self.dictionary.directions(layer, np.flatnonzero(made.labelled))
      )
      for feature, label in enumerate(made.text):
        if label is not None:
          records.append(
            {
              **self._record(
                layer, features.FEATURE, len(vectors), f'feature {feature}'
              ),
              'split': self._split(layer, feature, label),
              'feature': feature,
              # Features of one label are right or wrong together.
              'group': label,
              'answer': label,
              'concept': made.concept[feature],
              'label_correlation': float(made.correlation[feature]),
              'label_precision': float(made.average_precision[feature]),
            }
          )
          vectors.append(next(directions))
      notes['by_layer'][str(layer)] = {
        'features': len(made.text),
        'labelled': int(np.sum(made.labelled)),
        'different_labels': len({t for t in made.text if t is not None}),
      }
      logging.info('Layer %d: %s', layer, notes['by_layer'][str(layer)])
    for split in ('train', 'validation', 'test'):
      if not any(record['split'] == split for record in records):
        raise errors.InputError(
          f'no labelled feature in split {split}: expected more features, or a '
          'lower threshold of labels'
        )
    for layer in self.dictionary.layers:
      for made_record, vector in self._unlabelled(layer, labelled):
        records.append({**made_record, 'vectors': [len(vectors)]})
        vectors.append(vector)
    order = np.random.default_rng(self.config.seed).permutation(len(records))
    return task.Made(
      [records[i] for i in order], np.stack(vectors), notes, scored
    )

  def _require_figures(self, documents: np.ndarray) -> None:
    """Measures the dictionaries, if it is known what they should be worth."""
    expected = self.config.expected
    if not published_figures.given(expected):
      return
    found = evaluation.evaluate(
      self.target.model,
      self.dictionary.by_layer,
      self.dictionary.site,
      evaluation.whole_documents(documents),
      _BATCH,
    )
    width = self.target.model.config.width
    wrong = published_figures.misses(found, width, expected)
    if wrong:
      raise errors.InputError(
        f'the dictionaries are not as config.expected says: {"; ".join(wrong)}'
      )

  def _read(
    self, documents: np.ndarray, layer: int
  ) -> Iterator[labels_lib.Batch]:
    """Yields documents with the activations of all features of a layer."""
    sae = self.dictionary.by_layer[layer]
    batch = _VALUES // (documents.shape[1] * sae.features)
    batch = min(max(batch, 1), _BATCH)
    for tokens, resid in activity.residuals(
      self.target.model, documents, self.dictionary.site, (layer,), batch
    ):
      fires = activity.encode(sae, resid[0])
      yield labels_lib.Batch(tokens, fires)

  def _record(
    self, layer: int, place: str, vector: int, source: str
  ) -> dict[str, Any]:
    """The columns that all records have."""
    return {
      'task': features.NAME,
      'split': 'test',
      'group': f'{place} {layer} {source}',
      'place': place,
      'treatment': str(layer),
      'vectors': [vector],
      'answer': '',
      'site': self.dictionary.site,
      'layer': layer,
      'feature': -1,
      'source': source,
      'concept': '',
      'label_correlation': 0.0,
      'label_precision': 0.0,
    }

  def _split(self, layer: int, feature: int, label: str) -> str:
    """The split of a feature, a hash of the seed and its name.

    Some labels are for test alone: whoever has only learnt which directions go
    with which labels knows nothing of those.
    """
    shares = self.config.shares
    if self._draw(f'label/{label}') < shares.test_labels:
      return 'test'
    draw = self._draw(f'split/{layer}/{feature}')
    if draw < shares.test:
      return 'test'
    return 'validation' if draw < shares.test + shares.validation else 'train'

  def _draw(self, name: str) -> float:
    """A number from 0 to 1 that depends on the seed and a name alone."""
    return zlib.crc32(f'{self.config.seed}/{name}'.encode()) / 2**32

  def _unlabelled(
    self, layer: int, documents: np.ndarray
  ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yields records without labels, and their vectors."""
    count = self.config.unlabelled
    tokenizer = self.target.tokenizer
    rng = np.random.default_rng(
      [self.config.seed, zlib.crc32(b'unlabelled'), layer]
    )
    rows = documents[rng.choice(len(documents), count)]
    ((_, resid),) = activity.residuals(
      self.target.model, rows, self.dictionary.site, (layer,), count
    )
    places = rng.integers(1, rows.shape[1], count)
    for n, place in enumerate(places.tolist()):
      before = tokenizer.decode(rows[n, 1 : place + 1].tolist()[-_SOURCE:])
      yield (
        self._record(layer, features.ACTIVATION, 0, before),
        resid[0, n, place],
      )

    prompts = self.prompts
    if prompts is None:
      return
    kinds = np.array(prompts.kind)
    first = rng.choice(len(prompts), count)
    # Somebody with another first name, whose activations differ everywhere.
    names_of = np.array([text.split()[0] for text in prompts.text])
    second = np.array(
      [
        rng.choice(
          np.flatnonzero((kinds == kinds[i]) & (names_of != names_of[i]))
        )
        for i in first
      ]
    )
    tokens, _ = prompts_lib.pad([prompts.ids[i] for i in (*first, *second)])
    ((_, resid),) = activity.residuals(
      self.target.model, tokens, self.dictionary.site, (layer,), 2 * count
    )
    names = list(prompts.positions)
    for n in range(count):
      name = names[int(rng.integers(len(names)))]
      at = int(prompts.positions[name][first[n]])
      source = f'{prompts.text[first[n]]} - {prompts.text[second[n]]}: {name}'
      difference = resid[0, n, at] - resid[0, count + n, at]
      yield self._record(layer, features.DIFFERENCE, 0, source), difference


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks what feature sets are made from.

  Args:
    target: the target, of the biographies world.
    config: of the explanation set; `dictionary` names the dictionaries, and
      `corpus`, if there is one, text files (`corpora.named`).

  Raises:
    errors.InputError: if the dictionaries are of another model, a number makes
      no sense, or the corpus cannot be read or is too small.
  """
  asked = config.documents
  for name, value, least in (
    ('documents.start', asked.start, 0),
    ('documents.labels', asked.labels, 1),
    ('documents.scores', asked.scores, 1),
    ('documents.length', asked.length, 2),
    ('unlabelled', config.unlabelled, 1),
  ):
    if value < least:
      raise errors.InputError(
        f'config.{name} is {value}: expected at least {least}'
      )
  most = target.config.max_positions
  if asked.length > most:
    raise errors.InputError(
      f'config.documents.length is {asked.length}: expected at most {most}, '
      f'the positions of {target.directory}'
    )
  shares = config.shares
  if min(shares.values()) < 0 or shares.validation + shares.test >= 1:
    raise errors.InputError(
      f'config.shares is {dict(shares)}: expected none below 0, and something '
      'left for training'
    )
  corpus = corpora.named(config, target.directory, target.tokenizer)
  dictionary = dictionaries.load(
    config.dictionary, lambda: target.weight_hash, target.config
  )
  published_figures.check_config(config.expected, dictionary.layers)
  match config.labels.source:
    case 'concepts':
      labeller, labels = _concepts(target, config.threshold)
    case 'endpoint':
      labeller, labels = endpoint_labels.make(
        config.labels, target.tokenizer, config.seed, config.dtype
      )
    case other:
      raise errors.InputError(
        f'config.labels.source is {other!r}: expected concepts or endpoint'
      )
  maker = Maker(target, dictionary, corpus, labeller, labels, config)
  # Read already, so that it is said at once if there are too few.
  _ = maker.documents
  return maker


def _concepts(
  target: target_lib.Target, threshold: float
) -> tuple[labels_lib.Labeller, dict[str, Any]]:
  """Returns what labels features with concepts of the target's world.

  Returns:
    The labeller, and the manifest's note of where labels come from.
  """
  known = pretraining.load(target.directory)
  labeller = concept_labels.ConceptLabeller(
    known.world, target.tokenizer, threshold
  )
  return labeller, {
    'name': simulation.BIOGRAPHIES,
    'world_seed': known.world_seed,
    'people': known.people,
  }

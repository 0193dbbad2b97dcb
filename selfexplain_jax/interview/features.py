# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Asking what an activation encodes, or a feature that is active there.

A description is executed on the set's documents, where it is compared with
where the vector is active, and on one's own text at the position.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any
import zlib

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import activity
from selfexplain_jax.fidelity import firing as firing_lib
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import simulator
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import features

_SEED = 0  # Of the documents drawn at random that a vector is scored on.
_BEFORE = 8  # Tokens of a text that are shown before one of it.


def cases(
  subject: subject_lib.Subject, inquiries: Sequence[inquiry_lib.Inquiry]
) -> list[inquiry_lib.Case]:
  """Finds the vectors, and renders the questions.

  Raises:
    errors.InputError: if several layers are asked about at once, or a feature
      that there is not.
  """
  for inquiry in inquiries:
    if inquiry.first != inquiry.last:
      raise errors.InputError(
        f'layers {inquiry.first} to {inquiry.last}: expected one layer, a '
        'vector is of one'
      )
  stream = _Stream(subject, [i.ids for i in inquiries if i.feature is None])
  others = [_elsewhere(subject, i) for i in inquiries if i.feature is None]
  other_stream = _Stream(subject, [ids for ids, _ in others])
  made = []
  for inquiry in inquiries:
    layer = inquiry.first
    if inquiry.feature is not None:
      made.append(_of_feature(subject, inquiry))
      continue
    ids, position = _elsewhere(subject, inquiry)
    made.append(
      inquiry_lib.Case(
        _record(subject, inquiry),
        *stream.at(inquiry.ids, layer, inquiry.start),
        *other_stream.at(ids, layer, position),
      )
    )
  return made


def observe(
  subject: subject_lib.Subject, made: Sequence[inquiry_lib.Case]
) -> Callable[[int, str], inquiry_lib.Verdict]:
  """Runs the target on documents; returns what checks the n-th answer."""
  explained = subject.require_set(features.NAME)
  if explained.documents is None:
    raise errors.InputError(
      'the explanation set has no documents: expected some to check '
      'descriptions on'
    )
  here_N = _active_there(subject, made)
  firing = firing_lib.observe(
    subject.target.model,
    subject.dictionary,
    [case.record for case in made],
    np.stack([case.vector for case in made if case.vector is not None]),
    explained.documents,
    _SEED,
  )
  notes, tokenizer = explained.manifest['notes'], subject.target.tokenizer
  executed = simulation.executing(
    notes.get('labels', {}), tokenizer, explained.documents
  )

  def verdict(n: int, said: str) -> inquiry_lib.Verdict:
    where = made[n].record
    claim = features.parse(said)
    if executed is None:
      return inquiry_lib.Verdict(
        None,
        None if claim is None else {'description': claim},
        {},
        'nobody executes descriptions of this target: see evaluate_fidelity '
        'for simulators and judges',
      )
    found = executed.simulate([said], firing.documents[n : n + 1])
    if not found.valid[0]:
      return inquiry_lib.Verdict(
        None, None, {}, 'this is no description of the language'
      )
    # Without BOS, as in an evaluation.
    real, said_to = firing.activations[n, :, 1:], found.activations[0, :, 1:]
    correlation = float(simulator.pooled(real, said_to))
    own = simulation.executing(
      notes['labels'], tokenizer, np.array([where['ids']], np.int32)
    )
    assert own is not None
    here = own.simulate([said], np.zeros((1, 1), np.int64)).active[0, 0]
    at = where['position']
    token = tokenizer.text(where['ids'][at])
    active, fires = bool(here_N[n] > 0), bool(here[at])
    return inquiry_lib.Verdict(
      active == fires,
      {'description': claim},
      {
        'simulator': None if np.isnan(correlation) else correlation,
        'activation': float(here_N[n]),
        'executed_here': fires,
        'executed_at': np.flatnonzero(here).tolist(),
      },
      f'at <{token}> it is {"active" if active else "silent"}, and the '
      f'description {"says so" if active == fires else "says otherwise"}'
      # Most tokens are like that, and most descriptions are right about them.
      f'{"" if active or fires else ", which says little"}; on '
      f'{real.shape[0]} documents its correlation with the activations is '
      f'{correlation:.2f}',
    )

  return verdict


def _active_there(
  subject: subject_lib.Subject, made: Sequence[inquiry_lib.Case]
) -> np.ndarray:
  """How active each case's vector is where it was asked about, f32[N].

  A feature as its dictionary says; an activation, which is asked about where it
  was read, as its own square: more than 0.
  """
  found = np.ones(len(made), np.float32)
  chosen = [
    (n, case.record)
    for n, case in enumerate(made)
    if case.record['place'] == features.FEATURE
  ]
  if not chosen or subject.dictionary is None:
    return found
  texts = list(dict.fromkeys(tuple(row['ids']) for _, row in chosen))
  stream = subject.activations(texts, subject.dictionary.site)
  for n, row in chosen:
    x = stream[row['layer'], texts.index(tuple(row['ids'])), row['position']]
    sae, index = subject.dictionary.choose(
      row['layer'], np.array([row['feature']])
    )
    found[n] = activity.encode(sae, x[None])[0, index[0]]
  return found


class _Stream:
  """Activations of texts, each run once."""

  def __init__(
    self, subject: subject_lib.Subject, texts: Sequence[tuple[int, ...]]
  ):
    self._subject, self._texts = subject, list(dict.fromkeys(texts))
    if self._texts:
      self._found = subject.activations(self._texts)

  def at(
    self, ids: tuple[int, ...], layer: int, position: int
  ) -> tuple[np.ndarray, str]:
    """Returns an activation f32[D], and what it is."""
    tokenizer = self._subject.target.tokenizer
    before = tokenizer.decode(ids[max(0, position - _BEFORE) : position])
    return (
      self._found[layer, self._texts.index(ids), position],
      f'the activation of <{tokenizer.text(ids[position])}>'
      + (f' after <<<{before}>>>' if before else ''),
    )


def _elsewhere(
  subject: subject_lib.Subject, inquiry: inquiry_lib.Inquiry
) -> tuple[tuple[int, ...], int]:
  """Draws another text and a position in it: where a control is from."""
  documents = subject.require_set(features.NAME).documents
  if documents is None:
    raise errors.InputError(
      'the explanation set has no documents: expected some to check '
      'descriptions on'
    )
  seed = zlib.crc32(f'{inquiry.ids} {inquiry.start}'.encode())
  random = np.random.default_rng(seed)
  own = inquiry.ids[: inquiry.start + 1]
  while True:
    ids = tuple(documents[int(random.integers(len(documents)))].tolist())
    position = int(random.integers(1, len(ids)))
    if ids[: position + 1] != own:  # Else it would be the very activation.
      return ids, position


def _record(
  subject: subject_lib.Subject, inquiry: inquiry_lib.Inquiry
) -> dict[str, Any]:
  """The record of an inquiry."""
  tokenizer = subject.target.tokenizer
  is_feature = inquiry.feature is not None
  return {
    'task': features.NAME,
    'split': 'asked',
    'group': 'asked',
    'place': features.FEATURE if is_feature else features.ACTIVATION,
    'treatment': str(inquiry.first),
    'vectors': [0],
    'answer': '',
    'site': subject.site,
    'layer': inquiry.first,
    'feature': inquiry.feature if is_feature else -1,
    # By which documents are drawn: of features the same as in an evaluation.
    'source': f'feature {inquiry.feature}'
    if is_feature
    else tokenizer.decode(inquiry.ids[: inquiry.start + 1]),
    # Where it was asked, which no schema has.
    'ids': list(inquiry.ids),
    'position': inquiry.start,
  }


def _of_feature(
  subject: subject_lib.Subject, inquiry: inquiry_lib.Inquiry
) -> inquiry_lib.Case:
  """The case of a feature; its control is another of its layer."""
  layer, feature = inquiry.first, inquiry.feature
  assert feature is not None
  vector = _direction(subject, layer, feature)
  made = inquiry_lib.Case(
    _record(subject, inquiry), vector, f'feature {feature} of layer {layer}'
  )
  other = subject.draw(
    f'{layer} {feature}', str(layer), features.FEATURE, vector
  )
  if other is None:
    return made
  row = subject.require_set(features.NAME).rows[other]
  return dataclasses.replace(
    made,
    other=subject.stored(other),
    other_origin=f'feature {row["feature"]} of layer {layer}',
  )


def _direction(
  subject: subject_lib.Subject, layer: int, feature: int
) -> np.ndarray:
  """The direction of a feature."""
  dictionary = subject.dictionary
  if dictionary is None or layer not in dictionary.stored:
    raise errors.InputError(
      f'there is no dictionary of layer {layer} to have a feature {feature}: '
      'expected --dictionary with one of it, or no --feature'
    )
  count = dictionary.stored[layer].features
  if not 0 <= feature < count:
    raise errors.InputError(
      f'no feature {feature} in layer {layer}: expected 0 to {count - 1}'
    )
  return dictionary.directions(layer, np.array([feature]))[0]

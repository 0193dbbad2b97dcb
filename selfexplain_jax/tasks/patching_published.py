# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes patching sets of published data (method A.2 and E.1).

The effects are those of the file; an evaluation runs them again, and says how
many it does not confirm. What they are about is checked here: that the tokens
are of the target's vocabulary, and each position holds the token that it
should.
"""

import dataclasses
from typing import Any

from etils import epath
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import text_files
from selfexplain_jax.published import patches
from selfexplain_jax.published import sources
from selfexplain_jax.published import splits
from selfexplain_jax.published import tokens
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

# What ends the statement of a published prompt, before its options.
_OPTIONS = '\n\nRespond with '


@dataclasses.dataclass(frozen=True)
class Maker:
  """Patching sets of published files, which are read already.

  Attributes:
    records: all of them.
    vectors: f32[N, D], theirs.
    notes: of the manifest.
  """

  records: list[dict[str, Any]]
  vectors: np.ndarray
  notes: dict[str, Any]

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    gigabytes = self.vectors.nbytes / 1e9
    return f'{len(self.records)} published records, {gigabytes:.3f} GB'

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Returns the records."""
    del kept  # It does not take long.
    return task.Made(splits.shuffled(self.records), self.vectors, self.notes)


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks published files.

  Args:
    target: the model that they are of.
    config: of the explanation set: `published`, the files of `train` and of
      `test`; `validation_share` of training, by prompt; `most_tokens` of a
      prompt; `seed`.

  Raises:
    errors.InputError: if files are missing or damaged, or of another model.
  """
  splits.check(config)
  reader = _Reader(target, config)
  names: list[epath.Path] = []
  for split in ('train', 'test'):
    found = sources.find(
      config.published[split], f'published.{split}', patches.WHAT
    )
    names += found
    for name in found:
      reader.read(name, split)
  splits.require_all(reader.records)
  notes = {
    'files': [text_files.note(name) for name in names],
    'left_out': reader.left_out,
    'also_in_train': splits.shared(
      reader.records, ('group', 'counterfactual_group', 'text')
    ),
  }
  records = splits.with_balance(reader.records)
  return Maker(records, np.stack(reader.vectors), notes)


class _Reader:
  """Makes records of files.

  Attributes:
    records: so far.
    vectors: theirs.
    left_out: how many rows are no records, by reason.
  """

  def __init__(
    self, target: target_lib.Target, config: ml_collections.ConfigDict
  ):
    self._target, self._config = target, config
    self.records: list[dict[str, Any]] = []
    self.vectors: list[np.ndarray] = []
    self.left_out = {
      'too_long': 0,
      'says_the_end': 0,
      'no_single_token': 0,
      'contradicts_itself': 0,
    }

  def read(self, name: epath.Path, split: str) -> None:
    """Adds the records of a file."""
    shape = self._target.config
    for row in patches.read(name, shape.layers, shape.width):
      record = self._record(row, split)
      if record is not None:
        self.records.append(record)
        self.vectors.append(row.vector)

  def _record(self, row: patches.Patch, split: str) -> dict[str, Any] | None:
    tokenizer = self._target.tokenizer
    ids = tokens.prompt(tokenizer, row.tokens, row.where)
    tokens.check_position(tokenizer, ids, row.position, row.token, row.where)
    if max(ids) >= self._target.config.vocabulary:
      raise errors.InputError(
        f'{row.where}: input_tokens has the id {max(ids)}: expected below '
        f'{self._target.config.vocabulary}, the rows of the embedding of '
        f'{self._target.directory}'
      )
    clean, treated = (
      tokens.output(tokenizer, said) for said in (row.clean, row.treated)
    )
    if clean is None or treated is None:
      self.left_out['no_single_token'] += 1
      return None
    reason = self._reason(ids, clean, treated, row.changed)
    if reason:
      self.left_out[reason] += 1
      return None
    start = 0 if tokenizer.bos_id is None else 1
    text = tokenizer.decode(ids[start:], special=True)
    group = _statement(text)
    record = {
      'task': patching.NAME,
      'split': splits.split(split, group, self._config),
      'group': group,
      'place': row.kind,
      'treatment': patching.layers_text(row.first_layer, row.last_layer),
      'vectors': [len(self.records)],
      'prompt_kind': 'published',
      'prompt_ids': ids,
      'text': text,
      'counterfactual_group': _statement(row.counterfactual),
      'counterfactual_text': row.counterfactual,
      'site': 'resid_post',
      'first_layer': row.first_layer,
      'last_layer': row.last_layer,
      'position': row.position,
      **patching.pieces(tokenizer, ids, row.position),
      'counterfactual_ids': None,  # Nor does the file say the position.
      'counterfactual_position': None,
      **changes.published_effect(tokenizer, clean, treated),
    }
    return {**record, 'answer': patching.answer(record)}

  def _reason(
    self, ids: list[int], clean: int, treated: int, changed: bool
  ) -> str | None:
    """Why a row is no record; None if it is one."""
    if len(ids) > self._config.most_tokens:
      return 'too_long'
    if self._target.tokenizer.eos_id in (clean, treated):
      return 'says_the_end'
    return 'contradicts_itself' if changed != (clean != treated) else None


def _statement(text: str) -> str:
  """What a prompt asks about: the unit of splits and of resampling."""
  return text.partition(_OPTIONS)[0]

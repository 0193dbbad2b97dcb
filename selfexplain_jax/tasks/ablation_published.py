# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes ablation sets of published data (method A.3 and E.1).

A question with a hint and the same without it differ by a span of tokens. The
effects are those of the file; an evaluation runs them again, and says how many
it does not confirm.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

from etils import epath
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import text_files
from selfexplain_jax.published import hints
from selfexplain_jax.published import sources
from selfexplain_jax.published import splits
from selfexplain_jax.published import tokens
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

# What the target's answer is made to begin with, and a claim's content does.
_BEGUN = 'Answer:'


@dataclasses.dataclass(frozen=True)
class Maker:
  """Ablation sets of published files, which are read already.

  Attributes:
    records: all of them.
    width: of the target.
    notes: of the manifest.
  """

  records: list[dict[str, Any]]
  width: int
  notes: dict[str, Any]

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    return f'{len(self.records)} published records'

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Returns the records."""
    del kept  # It does not take long.
    none = np.zeros((0, self.width), np.float32)
    return task.Made(splits.shuffled(self.records), none, self.notes)


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks published files.

  Args:
    target: the chat model that they are of.
    config: of the explanation set: `published`, the files of `train` and of
      `test`; `validation_share` of training, by question; `most_tokens` of a
      prompt; `seed`.

  Raises:
    errors.InputError: if files are missing or damaged, or of another model.
  """
  splits.check(config)
  reader = _Reader(target, config)
  names: list[epath.Path] = []
  for split in ('train', 'test'):
    found = sources.find(
      config.published[split], f'published.{split}', hints.WHAT
    )
    names += found
    for name in found:
      for row in hints.read(name):
        reader.add(row, split)
  splits.require_all(reader.records)
  notes = {
    'files': [text_files.note(name) for name in names],
    'left_out': reader.left_out,
    'rendered': reader.rendered,
    'also_in_train': splits.shared(reader.records, ('group', 'text')),
  }
  records = splits.with_balance(reader.records)
  return Maker(records, target.config.width, notes)


class _Reader:
  """Makes records of rows.

  Attributes:
    records: so far.
    left_out: how many rows are no records, by reason.
    rendered: how many prompts are chats that the target's template renders
      `otherwise` than the file has them, which are taken as they are; and how
      many end before the assistant's turn, and are rendered `anew`.
  """

  def __init__(
    self, target: target_lib.Target, config: ml_collections.ConfigDict
  ):
    self._target, self._config = target, config
    self.records: list[dict[str, Any]] = []
    self.left_out = {
      'too_long': 0,
      'says_the_end': 0,
      'no_single_token': 0,
      'contradicts_itself': 0,
    }
    self.rendered = {'otherwise': 0, 'anew': 0}

  def add(self, row: hints.Hinted, split: str) -> None:
    """Adds the record of a row, if it is one."""
    tokenizer = self._target.tokenizer
    hinted = self._ids(row, row.hinted_prompt, row.hinted_user)
    plain = self._ids(row, row.plain_prompt, row.plain_user)
    start, end, instead = difference(hinted, plain)
    clean, treated = (
      tokens.output(tokenizer, f' {said}')
      for said in (row.hinted_answer, row.plain_answer)
    )
    if clean is None or treated is None:
      self.left_out['no_single_token'] += 1
      return
    reason = None
    if max(len(hinted), len(plain)) > self._config.most_tokens:
      reason = 'too_long'
    elif tokenizer.eos_id in (clean, treated):
      reason = 'says_the_end'
    elif row.changed not in (None, clean != treated):
      reason = 'contradicts_itself'
    if reason:
      self.left_out[reason] += 1
      return
    record = {
      'task': ablation.NAME,
      'split': splits.split(split, row.question, self._config),
      'group': row.question,
      'place': 'hint',
      'treatment': ablation.REMOVED,
      'vectors': [],
      'prompt_kind': 'published',
      'prompt_ids': hinted,
      'text': row.hinted_user,
      'known': None,
      'start': start,
      'end': end,
      'replacement_ids': instead,
      'span_text': tokenizer.decode(hinted[start:end], special=True),
      'replacement_text': tokenizer.decode(instead, special=True),
      'ablated_text': row.plain_user,
      **changes.published_effect(tokenizer, clean, treated),
      'system': row.system or None,
      'content_prefix': _BEGUN,
    }
    self.records.append({**record, 'answer': ablation.answer(record)})

  def _ids(self, row: hints.Hinted, prompt: str, user: str) -> list[int]:
    """The ids of a whole chat, up to where the answer goes on."""
    tokenizer = self._target.tokenizer
    messages = [{'role': 'user', 'content': user}]
    if row.system:
      messages.insert(0, {'role': 'system', 'content': row.system})
    rendered = tokenizer.render(messages, answering=True)
    turn = rendered.rpartition(user.strip())[2]
    whole = prompt.removesuffix(_BEGUN)
    if not whole.endswith(turn):
      self.rendered['anew'] += 1
      whole = rendered
    self.rendered['otherwise'] += whole != rendered
    ids = tokenizer.encode(whole + _BEGUN)
    bos = tokenizer.bos_id
    if bos is not None and ids[0] != bos:
      ids = [bos, *ids]
    if bos in ids[1:]:
      raise errors.InputError(
        f'{row.where}: the prompt has BOS inside, or twice: expected it at '
        'the beginning alone'
      )
    return ids


def difference(
  long: Sequence[int], short: Sequence[int]
) -> tuple[int, int, list[int]]:
  """Returns the span by which two prompts differ, as small as can be.

  Args:
    long: the one that has the span.
    short: the other, which differs from it.

  Returns:
    Where the span starts and ends in `long`, and what stands there in `short`.
  """
  most = min(len(long), len(short))
  start = 0
  while start < most and long[start] == short[start]:
    start += 1
  same = 0
  while same < most - start and long[-1 - same] == short[-1 - same]:
    same += 1
  return start, len(long) - same, list(short[start : len(short) - same])

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes ablation sets of any chat model from MMLU's questions (method A.3).

A question is put with a hint at some option, drawn whatever is right, and
without it; what the target then says are the effects.
"""

from collections.abc import Sequence
import dataclasses
import string
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import chance
from selfexplain_jax.data import mmlu
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import ablate
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

_PLACE = 'hint'


@dataclasses.dataclass(frozen=True)
class Hinted:
  """A question with a hint.

  Attributes:
    question: the question.
    split: its split.
    hint: the line that gives it.
    text: the user's message with the hint.
    ablated_text: the message without.
    ids: the prompt with the hint.
    start: where the ablated span of it starts.
    end: where it ends.
    replacement: tokens in its place: of words that the span's ends cut.
  """

  question: mmlu.Question
  split: str
  hint: str
  text: str
  ablated_text: str
  ids: list[int]
  start: int
  end: int
  replacement: list[int]

  @property
  def ablated_ids(self) -> list[int]:
    """The prompt without the hint."""
    return ablate.ablate(self.ids, self.start, self.end, self.replacement)


@dataclasses.dataclass(frozen=True)
class Hints:
  """Removing the hints of a target's questions: `sampling.Treatments`.

  Attributes:
    target: the target.
    asked: N questions.
    seed: of the order in which they are drawn.
  """

  target: target_lib.Target
  asked: Sequence[Hinted]
  seed: int

  @property
  def places(self) -> tuple[str, ...]:
    return (_PLACE,)

  @property
  def kinds(self) -> tuple[str, ...]:
    return (ablation.REMOVED,)

  def draw(
    self, usable: np.ndarray, wanted: np.ndarray, purpose: str
  ) -> cells_lib.Drawn:
    """Returns all usable questions, in an order that is drawn."""
    del wanted
    random = chance.generator(self.seed, 'hints', purpose)
    base = random.permutation(usable)
    none = np.zeros(len(base), np.int64)
    return cells_lib.Drawn(base, base, none, none)

  def run(self, drawn: cells_lib.Drawn, batch: int) -> effects_lib.Effects:
    """Runs the prompts without their hints."""
    return self._run([self.asked[n].ablated_ids for n in drawn.base], batch)

  def run_clean(self, prompts: np.ndarray, batch: int) -> effects_lib.Effects:
    """Runs the prompts with their hints."""
    return self._run([self.asked[n].ids for n in prompts], batch)

  def _run(self, ids: Sequence[list[int]], batch: int) -> effects_lib.Effects:
    # Of one length, so that one program serves all.
    longest = max(len(hinted.ids) for hinted in self.asked)
    tokens, lengths = prompts_lib.pad(ids, longest)
    return effects_lib.run_clean(self.target.model, tokens, lengths, batch)


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes ablation sets from questions with hints.

  Attributes:
    target: the target.
    asked: N questions.
    notes: of the files that they are from.
    config: of `sampling.sample`; `system`, `begun`.
  """

  target: target_lib.Target
  asked: Sequence[Hinted]
  notes: list[dict[str, Any]]
  config: ml_collections.ConfigDict

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    shape, count = self.target.config, len(self.asked)
    longest = max(len(hinted.ids) for hinted in self.asked)
    # In bfloat16 everything is run in two batch shapes.
    forwards = count * (4 if shape.dtype == 'bfloat16' else 2)
    minutes = self.target.minutes(forwards * longest)
    return (
      f'{count} questions, {forwards} forwards of {longest} tokens, roughly '
      f'{minutes:.1f} minutes'
    )

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Makes the records.

    Raises:
      errors.InputError: if a split has none.
    """
    del kept  # It does not take long.
    hints = Hints(self.target, self.asked, self.config.seed)
    clean = hints.run_clean(np.arange(len(self.asked)), stability.BATCH)
    records: list[dict[str, Any]] = []
    notes: dict[str, Any] = {
      'files': self.notes,
      'questions': len(self.asked),
      'splits': {},
    }
    ends = self.target.tokenizer.end_ids
    for split in sampling.SPLITS:
      own = np.array([hinted.split == split for hinted in self.asked])
      made = sampling.sample(
        hints, clean, np.flatnonzero(own), self.config, split, ends
      )
      records.extend(self._records(made, clean))
      notes['splits'][split] = made.notes
    width = self.target.config.width
    return task.Made(records, np.zeros((0, width), np.float32), notes)

  def _records(
    self, made: sampling.Sample, clean: effects_lib.Effects
  ) -> list[dict[str, Any]]:
    """Renders a sample as records."""
    records = []
    for row, base in enumerate(made.drawn.base.tolist()):
      hinted = self.asked[base]
      record = {
        'task': ablation.NAME,
        'split': hinted.split,
        'group': hinted.question.question,
        'place': _PLACE,
        'treatment': ablation.REMOVED,
        'vectors': [],
        'prompt_kind': hinted.question.subject,
        'prompt_ids': hinted.ids,
        'text': hinted.text,
        'balanced': bool(made.balanced[row]),
        'known': None,
        'start': hinted.start,
        'end': hinted.end,
        'replacement_ids': hinted.replacement,
        'span_text': hinted.hint,
        'replacement_text': '',
        'ablated_text': hinted.ablated_text,
        **changes.effect(self.target.tokenizer, clean, made.effects, base, row),
        'system': self.config.system or None,
        'content_prefix': self.config.begun,
      }
      records.append({**record, 'answer': ablation.answer(record)})
    return records


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks what the set is made from.

  Args:
    target: the target, a chat model.
    config: of the explanation set; `questions` names the files, `hint` one of
      `hints`, the wordings.

  Raises:
    errors.InputError: if a file is damaged, or the target is no chat model.
  """
  sampling.check(config, least=0)
  chance.check_shares(config.shares)
  wording = _wording(config)
  if not config.begun:
    raise errors.InputError(
      "config.begun is empty: expected how answers begin, such as 'Answer:'"
    )
  found, notes = mmlu.read(config.questions, 'questions')
  asked = [
    hint(question, wording, config, target.tokenizer) for question in found
  ]
  longest = max(len(hinted.ids) for hinted in asked)
  if longest > target.config.max_positions:
    raise errors.InputError(
      f'the longest prompt has {longest} tokens: expected at most '
      f'{target.config.max_positions}, the positions of {target.directory}'
    )
  return Maker(target, asked, notes, config)


def _wording(config: ml_collections.ConfigDict) -> str:
  """Returns the wording of hints that a config chooses."""
  wordings = config.hints.to_dict()
  if config.hint not in wordings:
    raise errors.InputError(
      f'config.hint is {config.hint!r}: expected one of {", ".join(wordings)}, '
      'the wordings in config.hints'
    )
  wording = wordings[config.hint]
  try:
    fields = [field for _, field, _, _ in string.Formatter().parse(wording)]
  except ValueError:
    fields = []
  if '\n' in wording or [f for f in fields if f is not None] != ['letter']:
    raise errors.InputError(
      f'config.hints.{config.hint} is {wording!r}: expected a line with one '
      '{letter} in it'
    )
  return wording


def hint(
  question: mmlu.Question,
  wording: str,
  config: ml_collections.ConfigDict,
  tokenizer: tokenizer_lib.Tokenizer,
) -> Hinted:
  """Renders a question with and without a hint.

  Args:
    question: the question.
    wording: of the hint, with {letter} in it.
    config: `seed`, `shares`, `system`, `begun`.
    tokenizer: the target's.

  Raises:
    errors.InputError: if the tokenizer has no chat template.
  """
  drawn = chance.fraction(config.seed, 'hint', question.digest)
  line = wording.format(letter=mmlu.LETTERS[int(drawn * len(mmlu.LETTERS))])
  options = (
    f'{letter}. {choice}'
    for letter, choice in zip(mmlu.LETTERS, question.choices, strict=True)
  )
  without = '\n'.join((question.question, *options))
  text = f'{without}\n{line}'
  ids, ablated = (
    tokenizer.encode_chat(ablation.messages(config.system, said), config.begun)
    for said in (text, without)
  )
  start, end, replacement = difference(ids, ablated)
  return Hinted(
    question=question,
    split=chance.split(config.seed, question.question, config.shares),
    hint=line,
    text=text,
    ablated_text=without,
    ids=ids,
    start=start,
    end=end,
    replacement=replacement,
  )


def difference(
  ids: Sequence[int], ablated: Sequence[int]
) -> tuple[int, int, list[int]]:
  """Returns the span of a prompt that makes it another, and what replaces it.

  That is what is left without the longest common beginning, and then the
  longest common end. Words at the span's ends may be split differently
  without it, so that something replaces it. It is never empty.

  Args:
    ids: the prompt.
    ablated: the other.
  """
  start = 0
  while (
    start < min(len(ids) - 1, len(ablated)) and ids[start] == ablated[start]
  ):
    start += 1
  tail = 0
  most = min(len(ids) - 1, len(ablated)) - start
  while tail < most and ids[-1 - tail] == ablated[-1 - tail]:
    tail += 1
  return start, len(ids) - tail, list(ablated[start : len(ablated) - tail])

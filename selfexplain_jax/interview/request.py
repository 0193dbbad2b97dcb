# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What somebody asks, in the words in which it is asked."""

from collections.abc import Sequence
import dataclasses
import re

from selfexplain_jax import errors
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import wording
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching

_LONGEST = 500  # Letters of a question.


@dataclasses.dataclass(frozen=True)
class Request:
  """A question as text; see the flags of `launch.ask`, which are named so.

  Attributes:
    prompt: the text.
    prompt_ids: its tokens, in place of it.
    layer: such as `2`, or `1-3`.
    position: such as `2`, `-1` for the last, or of ablation `2-4`.
    question: a question type, or plain words.
    source: of patching, the text that the vector is from; None to draw one.
    source_ids: its tokens, in place of it.
    source_position: where in it; None for the position itself.
    replacement: of ablation, what stands there instead of nothing.
    feature: of features, one of the layer's dictionary.
    sweep: whether every layer is asked about.
  """

  prompt: str | None = None
  prompt_ids: tuple[int, ...] | None = None
  layer: str | None = None
  position: str | None = None
  question: str | None = None
  source: str | None = None
  source_ids: tuple[int, ...] | None = None
  source_position: str | None = None
  replacement: str | None = None
  feature: int | None = None
  sweep: bool = False

  def require_whole(self) -> None:
    """Checks that a question is all there, whatever it is about.

    Raises:
      errors.InputError: naming what is missing, or does not go together.
    """
    if (self.prompt is None) == (self.prompt_ids is None):
      raise errors.InputError(
        'expected a text, by either --prompt or --prompt_ids'
      )
    if self.prompt is not None and not self.prompt.strip():
      raise errors.InputError('--prompt is empty: expected some text')
    if self.position is None:
      raise errors.InputError(
        '--position is missing: expected one of the text, counted from 0'
      )
    if self.source is not None and self.source_ids is not None:
      raise errors.InputError('--source and --source_ids: expected one of them')
    if self.source_position is not None and not self._has_source:
      raise errors.InputError(
        '--source_position without --source: expected the text that it is in'
      )
    if len(self.question or '') > _LONGEST:
      raise errors.InputError(
        f'the question has {len(self.question or "")} letters: expected at '
        f'most {_LONGEST}'
      )
    if self.sweep and self.layer is not None:
      raise errors.InputError(
        f'--layer={self.layer} and --sweep: expected one of them, a sweep is '
        'over all layers'
      )
    if len(self._told) > 1:
      raise errors.InputError(
        '--source, --replacement and --feature: expected one of them, each is '
        'of another question type'
      )

  def findings(
    self, interview: interview_lib.Interview
  ) -> list[inquiry_lib.Finding]:
    """Asks, and checks what is said.

    Raises:
      errors.InputError: naming what of the request is not understood, or does
        not fit the target.
    """
    self.require_whole()
    task, phrasing = self.meant(interview)
    return interview.ask(task, phrasing, self.inquiries(interview, task))

  def meant(self, interview: interview_lib.Interview) -> tuple[str, str]:
    """Returns the question type and the phrasing that are meant.

    Raises:
      errors.InputError: if the explainer has learnt none that can be.
    """
    known = interview.phrasings
    likely = [task for task in self._types() if task in known]
    if self.question in known:
      if self._told and self.question not in self._told:
        raise errors.InputError(
          f'--question={self.question} does not go with the other flags, which '
          f'are of {self._told[0]}'
        )
      return self.question, known[self.question][0]
    if not likely:
      raise errors.InputError(
        f'the explainer has learnt {", ".join(known)}: expected a question of '
        'one of these'
      )
    if self.question is None:
      return likely[0], known[likely[0]][0]
    return wording.find(self.question, {task: known[task] for task in likely})

  def inquiries(
    self, interview: interview_lib.Interview, task: str
  ) -> list[inquiry_lib.Inquiry]:
    """Returns what is asked about, for each layer.

    Args:
      interview: who is asked.
      task: the question type that is meant.

    Raises:
      errors.InputError: naming a word, position or layer that there is not.
    """
    tokenizer = interview.target.tokenizer
    ids = self.prompt_ids
    if ids is None:
      ids = tuple(tokenizer.encode_prompt(self.prompt or ''))
    for some in (ids, self.source_ids or ids):
      bos = tokenizer.bos_id
      if bos is not None and some[:1] != (bos,):
        raise errors.InputError(
          f'ids begin with {some[0] if some else "nothing"}: expected {bos} '
          'first, where texts of this target begin'
        )
    start, last = span('--position', self.position or '', len(ids))
    if start != last and task != ablation.NAME:
      raise errors.InputError(
        f'--position={self.position}: expected one position, spans are of '
        'ablation'
      )
    source, source_position = self.source_ids, start
    if self.source is not None:
      source = tuple(tokenizer.encode_prompt(self.source))
    if source is not None and self.source_position is not None:
      source_position, _ = span(
        '--source_position', self.source_position, len(source)
      )
    replacement = tuple(tokenizer.encode(self.replacement or ''))
    return [
      inquiry_lib.Inquiry(
        *(ids, *layers, start, last + 1),
        source=source,
        source_position=source_position,
        replacement=replacement,
        feature=self.feature,
      )
      for layers in self._layers(interview, task)
    ]

  @property
  def _has_source(self) -> bool:
    return self.source is not None or self.source_ids is not None

  @property
  def _told(self) -> list[str]:
    """Question types that a flag is of."""
    return [
      task
      for task, given in (
        (patching.NAME, self._has_source),
        (ablation.NAME, self.replacement is not None),
        (features.NAME, self.feature is not None),
      )
      if given
    ]

  def _types(self) -> tuple[str, ...]:
    """Question types that the request can be of, the likeliest first."""
    if self._told:
      return tuple(self._told)
    if self.layer is None and not self.sweep:
      return (ablation.NAME,)
    return (features.NAME, patching.NAME)

  def _layers(
    self, interview: interview_lib.Interview, task: str
  ) -> list[tuple[int, int]]:
    if task == ablation.NAME:  # It is about none.
      if self.sweep:
        raise errors.InputError(
          '--sweep is over layers: expected a question that is about them'
        )
      return [(0, 0)]
    count = interview.target.config.layers
    if not self.sweep:
      if self.layer is None:
        raise errors.InputError(
          f'--layer is missing: expected 0 to {count - 1}, or --sweep'
        )
      return [span('--layer', self.layer, count)]
    # What an explainer has learnt of each block of layers it has of no other.
    known = interview.explainer.injection.layer_blocks.pairs
    single = [(layer, layer) for layer in range(count)]
    found = [pair for pair in single if pair in known or not known]
    if not found:
      raise errors.InputError(
        '--sweep asks about single layers, and the explainer knows blocks of '
        f'several alone: expected --layer with one of '
        f'{interview.explainer.injection.layer_blocks}'
      )
    return found


def ids(name: str, values: Sequence[str] | None) -> tuple[int, ...] | None:
  """Reads token ids.

  Raises:
    errors.InputError: naming one that is no number.
  """
  if values is None:
    return None
  for value in values:
    if not re.fullmatch(r'\s*[0-9]{1,10}\s*', value):
      raise errors.InputError(
        f'{name} has {value!r}: expected numbers of tokens, such as 1,17,402'
      )
  return tuple(int(value) for value in values)


def span(name: str, text: str, count: int) -> tuple[int, int]:
  """Reads a number from 0 to count - 1, or two.

  Args:
    name: what the text is given as.
    text: such as `2`, `-1` for the last, or `2-4`, both ends included.
    count: how many there are.

  Raises:
    errors.InputError: if it is something else.
  """
  found = re.fullmatch(r'\s*(-?\d{1,9})\s*(?:(?:-|to)\s*(\d{1,9})\s*)?', text)
  first, last = -1, -1
  if found:
    first = int(found[1])
    first += count if first < 0 else 0
    last = first if found[2] is None else int(found[2])
  if not 0 <= first <= last < count:
    raise errors.InputError(
      f'{name}={text}: expected a number from 0 to {count - 1}, or two such as '
      f'0-{count - 1}'
    )
  return first, last

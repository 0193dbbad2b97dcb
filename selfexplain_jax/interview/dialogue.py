# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A dialogue on a terminal: one question after the other, and findings."""

from collections.abc import Callable, Sequence
import dataclasses

from selfexplain_jax import errors
from selfexplain_jax.interview import examples
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import request as request_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching

# Asks for something and returns what is given; None at the end.
Ask = Callable[[str], str | None]

_BEGIN = (
  'A text to ask about; or "people" or "examples" for some; an empty line '
  'leaves.'
)


def hold(
  interview: interview_lib.Interview,
  ask: Ask,
  show: Callable[[str], None] = print,
) -> None:
  """Asks for questions until there are none, and shows what comes of each.

  What is not understood is told, and the next question asked for.

  Args:
    interview: who is asked.
    ask: asks the user for a line.
    show: shows text to the user.
  """
  show(_BEGIN)
  while prompt := ask('text>'):
    try:
      if prompt in ('people', 'examples'):
        show('\n'.join(getattr(examples, prompt)(interview)))
        continue
      made = _request(interview, prompt, ask, show)
      if made is None:
        return
      for finding in made.findings(interview):
        show(text(finding) + '\n')
    except errors.InputError as e:
      show(f'error: {e}')


def _request(
  interview: interview_lib.Interview,
  prompt: str,
  ask: Ask,
  show: Callable[[str], None],
) -> request_lib.Request | None:
  """Asks for the rest of a question; None if the user leaves."""
  tokenizer = interview.target.tokenizer
  ids = tokenizer.encode_prompt(prompt)
  show(numbered([tokenizer.text(i) for i in ids]))
  types = ', '.join(interview.phrasings)
  question = ask(f'question ({types}, or in words)>')
  if question is None:
    return None
  # Of words that are of several types, the layer decides what is meant.
  layer = None
  if question != ablation.NAME:
    count = interview.target.config.layers
    layer = ask(
      f'layer (0 to {count - 1}, two such as 1-2, "all"; empty of ablation)>'
    )
  position = ask(f'position (0 to {len(ids) - 1})>')
  if position is None:
    return None
  made = request_lib.Request(
    prompt=prompt,
    question=question or None,
    layer=None if layer in ('', 'all') else layer,
    position=position,
    sweep=layer == 'all',
  )
  task, _ = made.meant(interview)
  if task == patching.NAME:
    source = ask('text that the vector is from (empty: draw one)>')
    if source:
      found = tokenizer.encode_prompt(source)
      show(numbered([tokenizer.text(i) for i in found]))
      at = ask('position in it>') or None
      return dataclasses.replace(made, source=source, source_position=at)
  elif task == ablation.NAME:
    instead = ask('what stands there instead (or nothing)>') or None
    return dataclasses.replace(made, replacement=instead)
  return made


def numbered(tokens: Sequence[str]) -> str:
  """Writes tokens with their positions."""
  return '  '.join(f'{n} {token.strip()}' for n, token in enumerate(tokens))


def text(finding: inquiry_lib.Finding) -> str:
  """Writes a finding for a terminal, in lines with a name before each."""
  answer = finding.answer
  lines = [
    ('text', numbered(finding.tokens)),
    ('asked', finding.question),
    ('shown', answer.shown),
    ('answer', f'{answer.text}   (probability {answer.probability:.2f})'),
    ('check', _verdict(answer.verdict)),
  ]
  if finding.control is not None:
    control = finding.control
    lines += [
      ('control', f'shown {control.shown} instead, it says: {control.text}'),
      ('check', _verdict(control.verdict)),
    ]
  elif finding.task == ablation.NAME:
    lines.append(('control', 'none: these questions show no vector'))
  return '\n'.join(f'{name:<9}{line}' for name, line in lines if line)


def _verdict(verdict: inquiry_lib.Verdict) -> str:
  """Says whether a claim holds, and what is so."""
  holds = {
    True: 'the claim holds',
    False: 'the claim does not hold',
    None: 'no claim that can be checked',
  }
  return f'{holds[verdict.holds]}: {verdict.text}'

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Asks an explainer about a text of one's own, and checks what it says.

  python -m launch.ask --prompt='anna keller speaks fluent' --position=2 \
    --layer=1 --question='what does it encode?'

Without a question it asks for everything. `--explainer` is the workdir of
train_explainer or of the quickstart. What an answer claims is checked at once,
by running the target again, beside the answer to another vector.
"""

from collections.abc import Callable
import json
import sys

from absl import flags
from absl import logging

from launch import cli
from launch import interviews
from selfexplain_jax import errors
from selfexplain_jax.interview import dialogue
from selfexplain_jax.interview import examples
from selfexplain_jax.interview import request

flags.adopt_module_key_flags(interviews)
_PROMPT = flags.DEFINE_string('prompt', None, 'The text asked about.')
_PROMPT_IDS = flags.DEFINE_list(
  'prompt_ids', None, 'Its tokens as numbers, BOS included, in place of it.'
)
_LAYER = flags.DEFINE_string(
  'layer', None, 'The layer asked about, or several: 1-3. Not of ablation.'
)
_POSITION = flags.DEFINE_string(
  'position', None, 'The position asked about; of ablation also a span: 2-4.'
)
_QUESTION = flags.DEFINE_string(
  'question', None, 'features, patching or ablation; or the question in words.'
)
_SOURCE = flags.DEFINE_string(
  'source', None, 'Of patching: the text that the vector is from.'
)
_SOURCE_IDS = flags.DEFINE_list('source_ids', None, 'Its tokens as numbers.')
_SOURCE_POSITION = flags.DEFINE_string(
  'source_position', None, 'Where in it; the same position if not given.'
)
_REPLACEMENT = flags.DEFINE_string(
  'replacement', None, 'Of ablation: what stands there instead of nothing.'
)
_FEATURE = flags.DEFINE_integer(
  'feature', None, "A feature of the layer's dictionary, not the activation."
)
_SWEEP = flags.DEFINE_bool('sweep', False, 'Ask about every layer.')
_JSON = flags.DEFINE_bool('json', False, 'Print findings as JSON, one a line.')
_LIST = flags.DEFINE_enum(
  'list', None, ('people', 'examples'), 'Print what can be asked about.'
)


def asked() -> request.Request | None:
  """What the flags ask; None for a dialogue.

  Raises:
    errors.InputError: if they ask half of a question.
  """
  given = request.Request(
    prompt=_PROMPT.value,
    prompt_ids=request.ids('--prompt_ids', _PROMPT_IDS.value),
    layer=_LAYER.value,
    position=_POSITION.value,
    question=_QUESTION.value,
    source=_SOURCE.value,
    source_ids=request.ids('--source_ids', _SOURCE_IDS.value),
    source_position=_SOURCE_POSITION.value,
    replacement=_REPLACEMENT.value,
    feature=_FEATURE.value,
    sweep=_SWEEP.value,
  )
  if given == request.Request():
    return None
  given.require_whole()
  return given


def main() -> int:
  """Answers the flags, or opens a dialogue."""
  given = asked()
  if given is None and _JSON.value and not _LIST.value:
    raise errors.InputError('--json needs a question: expected --prompt')
  found = interviews.find()
  logging.set_verbosity(logging.WARNING)
  opened = interviews.load(found)
  if _LIST.value:
    lines = getattr(examples, _LIST.value)(opened)
    print('\n'.join(lines))
    return 0
  if given is None:
    try:
      dialogue.hold(opened, _lines())
    except KeyboardInterrupt:
      print()
    return 0
  for finding in given.findings(opened):
    if _JSON.value:
      print(json.dumps(finding.to_json()))
    else:
      print(f'{dialogue.text(finding)}\n')
  return 0


def _lines() -> Callable[[str], str | None]:
  """Reads lines of a user, with what is asked for before each."""

  def line(asked_for: str) -> str | None:
    print(asked_for, end=' ', flush=True)
    found = sys.stdin.readline()
    return found.strip() if found else None

  return line


if __name__ == '__main__':
  cli.launch_flags(main)

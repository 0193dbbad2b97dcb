# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What can be asked about: people of a world, and examples of questions."""

from collections.abc import Mapping
import shlex
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching
from selfexplain_jax.worlds.biographies import pretraining

_OF_EACH = 3  # Examples of each question type.


def people(interview: interview_lib.Interview) -> list[str]:
  """Returns a line for each person of the target's world, by name.

  With the facts that the target was taught, and for each relation a text that
  asks for it.

  Raises:
    errors.InputError: if the target is of no world.
  """
  try:
    corpus = pretraining.load(interview.target.directory)
  except errors.InputError as e:
    raise errors.InputError(
      f'the target is of no world, so there is no list of people: {e}'
    ) from e
  world, known = corpus.world, corpus.known
  lines = []
  for p, person in enumerate(world.people):
    facts = ', '.join(
      f'{relation.name} {world.value(p, r)}'
      for r, relation in enumerate(world.relations)
      if known[p, r]
    )
    lines.append(f'{person.name}: {facts or "nothing that was taught"}')
  asks = '; '.join(
    world.prompt(0, r, h).text
    for r, relation in enumerate(world.relations)
    for h in range(len(relation.phrasings))
  )
  return [*sorted(lines), f'Texts that ask for a fact: {asks}']


def examples(interview: interview_lib.Interview) -> list[str]:
  """Returns flags of `launch.ask` for some questions of each learnt type."""
  return [
    ' '.join(f'--{n}={shlex.quote(str(v))}' for n, v in asked.items())
    for asked in questions(interview)
  ]


def questions(interview: interview_lib.Interview) -> list[dict[str, Any]]:
  """Returns some questions of each learnt type, by the fields of `request`.

  They are about records of the validation split, on which nothing is trained.
  """
  asked = []
  texts = {}
  for task, explained in interview.sets.items():
    chosen = explained.split('validation')
    for index in chosen[:: max(1, len(chosen) // _OF_EACH)][:_OF_EACH].tolist():
      row = explained.rows[index]
      if 'text' in row:
        texts[row['text']] = row['position' if 'position' in row else 'start']
      if task != features.NAME:
        asked.append(_fields(row))
  if features.NAME in interview.sets:
    layers = interview.target.config.layers
    for n, (text, position) in enumerate(list(texts.items())[:_OF_EACH]):
      asked.append(
        {
          'prompt': text,
          'position': position,
          'layer': n * layers // _OF_EACH,
          'question': features.NAME,
        }
      )
  return asked


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
  """The fields that ask what a record asks."""
  asked = {'prompt': row['text'], 'question': row['task']}
  if row['task'] == patching.NAME:
    first, last = row['first_layer'], row['last_layer']
    asked |= {
      'position': row['position'],
      'layer': str(first) if first == last else f'{first}-{last}',
    }
    if row.get('counterfactual_ids') is not None:
      asked |= {
        'source': row['counterfactual_text'],
        'source_position': row['counterfactual_position'],
      }
  elif row['task'] == ablation.NAME:
    asked['position'] = f'{row["start"]}-{row["end"] - 1}'
    if row['replacement_ids']:
      asked['replacement'] = row['replacement_text']
  return asked

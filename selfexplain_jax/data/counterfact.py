# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Facts in the form of CounterFact (Meng et al., 2022): who has what.

Of a record only `requested_rewrite` is read: `prompt`, with `{}` where the
`subject` stands, `relation_id`, and what follows, `target_true.str`; besides
`target_new.str`, another object of the relation.
"""

from typing import Any, NamedTuple

from selfexplain_jax import errors
from selfexplain_jax.data import row_files

_REWRITE = 'requested_rewrite'


class Fact(NamedTuple):
  """A fact.

  Attributes:
    case: its id, unlike that of any other.
    relation: id of the relation, such as `P103`.
    prompt: states the fact up to the object, with `{}` for the subject.
    subject: whom it is about.
    object: what is true of it.
    other: what is not, of the same relation.
  """

  case: str
  relation: str
  prompt: str
  subject: str
  object: str
  other: str

  @property
  def statement(self) -> str:
    """The prompt about the subject."""
    return self.prompt.replace('{}', self.subject)


def read(pattern: str, field: str) -> tuple[list[Fact], list[dict[str, Any]]]:
  """Reads facts.

  Args:
    pattern: files, see `row_files.read`.
    field: of the config, that names them.

  Returns:
    The facts, and what tells the files from others.

  Raises:
    errors.InputError: if a file is damaged, a record lacks what is read of it,
      or two have one id.
  """
  rows, notes = row_files.read(pattern, field)
  found: dict[str, Fact] = {}
  for row in rows:
    fact = _fact(row)
    if fact.case in found:
      raise errors.InputError(
        f'{row.place} has the case_id {fact.case}, as a record before it: '
        'expected each once'
      )
    found[fact.case] = fact
  return list(found.values()), notes


def _fact(row: row_files.Row) -> Fact:
  """Reads and checks one fact."""
  case = row_files.value(row, 'case_id')
  if isinstance(case, bool) or not isinstance(case, int | str):
    raise errors.InputError(
      f'{row.place} has the case_id {case!r}: expected a number or a text'
    )
  prompt = row_files.text(row, _REWRITE, 'prompt').strip()
  if prompt.count('{}') != 1:
    raise errors.InputError(
      f'{row.place} has the prompt {prompt!r}: expected one {{}} in it, where '
      'the subject stands'
    )
  return Fact(
    case=str(case),
    relation=row_files.text(row, _REWRITE, 'relation_id'),
    prompt=prompt,
    subject=row_files.text(row, _REWRITE, 'subject').strip(),
    object=row_files.text(row, _REWRITE, 'target_true', 'str').strip(),
    other=row_files.text(row, _REWRITE, 'target_new', 'str').strip(),
  )

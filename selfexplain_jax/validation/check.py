# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What one check of a model found."""

from typing import NamedTuple


class Check(NamedTuple):
  """What one check found.

  Attributes:
    name: of the check.
    ok: whether all is as it must be.
    detail: what was looked at, or what is wrong.
  """

  name: str
  ok: bool
  detail: str

  def __str__(self) -> str:
    return f'{"ok" if self.ok else "FAILED":7} {self.name}: {self.detail}'

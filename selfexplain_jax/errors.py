# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The exceptions that a user, not a programmer, is meant to read."""


class InputError(ValueError):
  """Bad input: a file, flag or configuration that cannot be used.

  The message is one line that names what was wrong, where, and what was
  expected. `launch.cli` prints it without a traceback and exits with 2.
  """


class FaultError(RuntimeError):
  """Something went wrong though the input was good.

  The message is one line that names what happened, where, and what to do.
  `launch.cli` prints it without a traceback and exits with 1.
  """

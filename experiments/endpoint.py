# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Fields of a language model behind an OpenAI-compatible endpoint."""

from typing import Any


def get_config() -> dict[str, Any]:
  """Returns the fields, to be a part of a config."""
  return dict(
    url='https://api.openai.com/v1',  # Or http://localhost:8000/v1, say.
    model='',
    # The environment variable with the key; without it none is sent.
    key_variable='OPENAI_API_KEY',
    # Replies are kept there, and what was asked before is not asked again.
    cache='~/.cache/selfexplain_jax/replies',
    concurrency=8,
    # Requests for one reply, seconds of waiting for each, and for all of them.
    attempts=8,
    timeout=60.0,
    deadline=600.0,
  )

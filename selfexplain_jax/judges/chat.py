# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Many questions to a language model at once, and its replies on disk.

A reply is kept in a file named after the digest of the request: the model, the
messages and every setting. The URL is no part of it, because a server of one's
own has another port with every job; two servers that mean different models by
one name need caches of their own.
"""

from collections.abc import Mapping, Sequence
from concurrent import futures
import dataclasses
from typing import Any

import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.judges import endpoint as endpoint_lib

Messages = endpoint_lib.Messages


# Fields that say how a model is reached, and nothing of what it replies.
_MEANS = (
  *('url', 'key_variable', 'cache', 'concurrency'),
  *('attempts', 'timeout', 'deadline'),
)


@dataclasses.dataclass(frozen=True)
class Chat:
  """Asks an endpoint, but for what was asked before.

  Attributes:
    endpoint: who replies.
    cache: folder of replies, which several processes may share.
    concurrency: most requests at a time.
  """

  endpoint: endpoint_lib.Endpoint
  cache: str
  concurrency: int

  def ask(
    self,
    conversations: Sequence[Messages],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    seed: int | None = None,
  ) -> list[str]:
    """Returns the reply to each conversation; equal ones are asked once.

    Every reply is on disk before the next is waited for, so whoever is killed
    loses only what was under way.

    Args:
      conversations: messages with `role` and `content`.
      max_tokens: of a reply.
      temperature: of sampling; 0 for the most likely reply.
      seed: tells samples of one conversation apart.

    Raises:
      errors.InputError: if the endpoint gives no reply.
      preemption.Preempted: if the job was asked to leave.
    """
    requests = [
      {
        'model': self.endpoint.model,
        'messages': [dict(message) for message in messages],
        'max_tokens': max_tokens,
        'temperature': temperature,
        **({} if seed is None else {'seed': seed}),
      }
      for messages in conversations
    ]
    return hosts.from_lead(lambda: self._replies(requests))

  def _replies(self, requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns replies that are in the cache, or asks for them."""
    digests = [files.digest_json(request) for request in requests]
    replies: dict[str, str] = {}
    missing: dict[str, Mapping[str, Any]] = {}
    for digest, request in zip(digests, requests, strict=True):
      if digest not in replies and digest not in missing:
        known = self._read(digest)
        if known is None:
          missing[digest] = request
        else:
          replies[digest] = known
    if missing:
      replies |= self._ask(missing)
    return [replies[digest] for digest in digests]

  def _ask(self, requests: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Asks the endpoint; returns replies by digest."""
    replies = {}
    pool = futures.ThreadPoolExecutor(self.concurrency)
    try:
      running = {
        pool.submit(self._one, digest, request): digest
        for digest, request in requests.items()
      }
      ended = futures.as_completed(running)
      for one in progress.track(ended, len(running), 'replies'):
        replies[running[one]] = one.result()
        if hosts.count() == 1:  # Else only process 0 is here.
          preemption.check()
    finally:  # After an error, what has not begun does not begin.
      pool.shutdown(cancel_futures=True)
    return replies

  def _one(self, digest: str, request: Mapping[str, Any]) -> str:
    reply = self.endpoint.reply(request)
    files.write_json(
      self._file(digest), {'request': dict(request), 'reply': reply}
    )
    return reply

  def _file(self, digest: str) -> Any:
    return files.path(self.cache) / digest[:2] / f'{digest}.json'

  def _read(self, digest: str) -> str | None:
    """Returns a reply of before, or None."""
    name = self._file(digest)
    if not name.exists():
      return None
    found = files.read_json(name, 'reply in the cache')
    reply = found.get('reply') if isinstance(found, dict) else None
    if not isinstance(reply, str):
      raise errors.InputError(
        f'{name} is not a reply in a cache: expected `request` and `reply`; '
        'remove it to ask again'
      )
    return reply


def without_means(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a stage's config without how the models in it are reached.

  A run may go on with another port, and its results do not depend on it.
  """
  return {
    name: {n: v for n, v in value.items() if n not in _MEANS}
    if isinstance(value, Mapping) and 'key_variable' in value
    else value
    for name, value in config.items()
  }


def make(config: ml_collections.ConfigDict, name: str) -> Chat:
  """Returns the chat of a config.

  Args:
    config: that of `endpoint.make`, `cache` and `concurrency`.
    name: of the config, for errors.

  Raises:
    errors.InputError: naming the field that makes no sense.
  """
  if not config.cache:
    raise errors.InputError(f'{name}.cache is empty: expected a folder')
  if config.concurrency < 1:
    raise errors.InputError(
      f'{name}.concurrency is {config.concurrency}: expected at least 1'
    )
  return Chat(endpoint_lib.make(config, name), config.cache, config.concurrency)

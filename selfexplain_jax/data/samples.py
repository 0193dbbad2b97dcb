# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A model's own samples as prompts, for models that come without texts."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import launches
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib

POSITION_KINDS = ('early', 'middle', 'late', 'last_token')

# Prompts sampled at a time. More would need memory for all their logits.
_BATCH = 256


@functools.partial(jax.jit, static_argnames=('length',))
def _sample(model, bos_id, key, index_B, length):
  """Samples i32[B, length] at temperature 1, one whole forward pass a token.

  What row i draws depends on the key and `index_B[i]` alone.
  """
  tokens = jnp.zeros((index_B.shape[0], length), jnp.int32)
  tokens = tokens.at[:, 0].set(bos_id)
  keys_B = jax.vmap(jax.random.fold_in, (None, 0))(key, index_B)

  def step(at, tokens):
    hidden, _ = decoder.forward(model, tokens)
    # What follows another begin token would be another text.
    logits = decoder.unembed(model, hidden[:, at - 1])
    logits = logits.at[:, bos_id].set(-jnp.inf)
    now_B = jax.vmap(jax.random.fold_in, (0, None))(keys_B, at)
    drawn = jax.vmap(jax.random.categorical)(now_B, logits)
    return tokens.at[:, at].set(drawn.astype(jnp.int32))

  return jax.lax.fori_loop(1, length, step, tokens)


def sample_prompts(
  model: decoder.Decoder,
  tokenizer: tokenizer_lib.Tokenizer,
  *,
  count: int,
  length: int,
  seed: int,
) -> prompts_lib.Prompts:
  """Samples prompts from BOS, which none of them holds again.

  Each is a group of its own; 60% are for training, 20% for validation and 20%
  for test. No answer is right, so none is filtered.

  Args:
    model: the target.
    tokenizer: its tokenizer; the prompts' text is decoded with it.
    count: number of prompts.
    length: tokens of each, BOS included.
    seed: of the samples.

  Raises:
    errors.InputError: if the model has no BOS to begin with, or a number is too
      small.
  """
  most = model.config.max_positions
  if length > most:
    raise errors.InputError(
      f'samples have length={length}: expected at most {most}, the '
      'positions of the model'
    )
  if tokenizer.bos_id is None:
    raise errors.InputError(
      'the model has no begin token: expected one, samples begin with it'
    )
  if count < 1 or length < 2:
    raise errors.InputError(
      f'samples have count={count} and length={length}: expected at least 1 '
      'and 2'
    )
  key = jax.random.key(seed)

  def launch(start: int) -> jax.Array:
    # The last batch is as large as the others, so that one program serves all.
    index_B = np.arange(start, start + _BATCH)
    return _sample(model, tokenizer.bos_id, key, index_B, length)

  calls = (functools.partial(launch, at) for at in range(0, count, _BATCH))
  ids = np.concatenate(list(launches.fetched(calls)))[:count]
  places = (length // 4, length // 2, 3 * length // 4, length - 1)
  groups = [f'sample {i}' for i in range(count)]
  # A sample seen twice must not be on both sides of the split.
  shares = [zlib.crc32(row.tobytes()) % 10 for row in ids]
  return prompts_lib.Prompts(
    ids=ids.tolist(),
    text=[tokenizer.decode(row[1:].tolist()) for row in ids],
    positions={
      kind: np.full(count, place, np.int32)
      for kind, place in zip(POSITION_KINDS, places, strict=True)
    },
    kind=['sample'] * count,
    group=groups,
    split=[
      'train' if s < 6 else 'validation' if s < 8 else 'test' for s in shares
    ],
    answer=np.full(count, -1, np.int32),
    known=np.ones(count, bool),
  )

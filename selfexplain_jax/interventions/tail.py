# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The rest of a run, from a layer and a position of a clean run on."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.interventions import clean_run
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.interventions import run as run_lib
from selfexplain_jax.models import attention
from selfexplain_jax.models import decoder


def start(site: str, first: Any, layers: int) -> Any:
  """The first layer that is run again for a patch; `layers` for none.

  Args:
    site: that is patched.
    first: first layer that is.
    layers: of the model.
  """
  if site == 'final_norm':
    return first * 0 + layers
  return first + (site == 'resid_post')


def idle(site: str, last: Any, position: Any, length: Any, layers: int) -> Any:
  """Whether the last write of a patch changes nothing that is read.

  That is so after attention of the last layer, at all positions but the last.

  Args:
    site: that is patched.
    last: last layer that is.
    position: of the patch.
    length: of the prompt.
    layers: of the model.
  """
  late = last == layers - 1
  if site in ('embed', 'resid_pre'):
    return late & False
  return (late | (site == 'final_norm')) & (position < length - 1)


@functools.partial(jax.jit, static_argnames=('width', 'shards'))
def run(
  model: decoder.Decoder,
  clean: clean_run.CleanRun,
  prompt_B: jax.Array,
  patches: patch_lib.Patches,
  begin: jax.Array,
  width: int,
  shards: int = 1,
) -> run_lib.NextToken:
  """Runs the end of sequences with patches, and reads what follows.

  Of each sequence the last `width` positions are run, or all if there are not
  as many, from layer `begin` on; of the last layer no more than keys and values
  there and the last position.

  Args:
    model: the decoder.
    clean: run of N prompts, with the stream before layer `begin`, and keys and
      values of all from there on.
    prompt_B: i32, which of the prompts each row is. If `shards` is S, rows and
      prompts are in S equal parts, one after the other, and each row is of a
      prompt of its own part, counted within that.
    patches: what to write: in no layer before `begin` (`start` tells) and at no
      position that is not run.
    begin: i32[].
    width: W, at least 1 and at most T.
    shards: S, the devices that rows are split over.

  Returns:
    As `run.run` gives for whole sequences, without captures and logits; but a
    write that nothing depends on, at a position before the last after
    attention of the last layer, is not done and not counted.
  """
  config = model.config
  take = functools.partial(_take, prompt=prompt_B.reshape(shards, -1))
  length = take(clean.length)
  first = jnp.maximum(length - width, 0)
  place = first[:, None] + jnp.arange(width, dtype=jnp.int32)[None]
  last = length - 1 - first  # Of the positions that are run.
  turn = attention.rotation(config, place)
  # Of no prompt more positions are before those that are run.
  rows, most = len(place), clean.key.shape[2] - width
  slots = jnp.broadcast_to(jnp.arange(most, dtype=jnp.int32), (rows, most))
  before = jnp.broadcast_to(
    (slots < first[:, None])[:, None], (rows, width, most)
  )
  causal = attention.visible(None, rows, width)
  seen = jnp.concatenate([before, causal], -1)
  key_place = jnp.concatenate([slots, place], 1)
  here = dataclasses.replace(
    patches, position=patches.position - first[:, None]
  )
  at_last = dataclasses.replace(
    patches, position=jnp.where(here.position == last[:, None], 0, -1)
  )

  def block(x: Any, written: Any, index: Any, only: jax.Array | None) -> Any:
    kept_at = index - (config.layers - clean.key.shape[0])
    query_place, near = place, seen
    if only is not None:
      query_place = decoder.at_positions(place, only)
      near = decoder.at_positions(seen, only)
    near = attention.within(
      clean_run.window(config, index), near, query_place, key_place
    )
    count = [written]

    def attend(query, key, value):
      if most:
        key = jnp.concatenate([take(clean.key, kept_at, upto=most), key], 1)
        kept = take(clean.value, kept_at, upto=most)
        value = jnp.concatenate([kept, value], 1)
      return attention.attend(config, query, key, value, near)

    def visit(site: str, value: jax.Array) -> jax.Array:
      whole = only is None or site == 'resid_pre'
      count[0], value = (here if whole else at_last).visit(
        count[0], site, index, value
      )
      return value

    layer = decoder.one_of(model.layers, index)
    made = decoder.block(config, layer, x, turn, attend, visit, only_BxQ=only)
    return made, count[0]

  final = jnp.asarray(config.layers - 1, jnp.int32)

  def rest() -> Any:
    """Runs all layers from the first one on."""
    x = take(clean.stream, clean.slot[begin], place)
    written = here.start(place)
    written, x = here.visit(written, 'embed', jnp.zeros((), jnp.int32), x)
    if 'resid_post' in here.sites:  # That is what layer `begin` reads.
      written, x = here.visit(written, 'resid_post', begin - 1, x)
    x, written = jax.lax.fori_loop(
      begin, final, lambda i, c: block(c[0], c[1], i, None), (x, written)
    )
    x, written = block(x, written, final, last[:, None])
    return x, written

  def nothing() -> Any:
    """Takes what there is after the last layer."""
    x = take(clean.end)[:, None]
    written, x = at_last.visit(at_last.start(place), 'resid_post', final, x)
    return x, written

  x, written = jax.lax.cond(begin <= final, rest, nothing)
  x = decoder.rms_norm(config, x, model.final_norm[...])
  written, x = at_last.visit(written, 'final_norm', jnp.zeros((), jnp.int32), x)
  token, margin, _ = run_lib.choose(model, x[:, 0])
  return run_lib.NextToken(token, margin, written, {}, None)


def _take(
  array: jax.Array, *index: Any, prompt: jax.Array, upto: int | None = None
) -> jax.Array:
  """Takes what rows need of their prompts, on the device that has it.

  Args:
    array: [N, ...], or [C, N, ...] with an index into its first axis.
    *index: nothing; the index; or the index and positions, i32[B, W].
    prompt: i32[S, B / S], see `run`.
    upto: positions that are taken, with an index; all if None.

  Returns:
    [B, ...], or [B, W, ...] of positions.
  """
  shards, rows = prompt.shape
  at = 1 if index else 0
  parts = array.reshape(*array.shape[:at], shards, -1, *array.shape[at + 1 :])
  if len(index) == 2:
    place = index[1].reshape(shards, rows, -1)
    taken = jax.vmap(
      lambda part, one, where: part[index[0], one[:, None], where],
      in_axes=(1, 0, 0),
    )(parts, prompt, place)
  elif index:
    taken = jax.vmap(
      lambda part, one: part[index[0], one, :upto], in_axes=(1, 0)
    )(parts, prompt)
  else:
    taken = jax.vmap(lambda part, one: part[one])(parts, prompt)
  taken = taken.reshape(shards * rows, *taken.shape[2:])
  return axis_rules.constrain(taken, 'batch', *(None,) * (taken.ndim - 1))

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compares meshes of four CPU devices with one device; prints JSON.

A process of its own, because the number of devices is fixed once JAX starts:

  python -m tests.distributed.sharding_worker
"""

import dataclasses
import functools
import json
import pathlib
import tempfile
from typing import Any
from unittest import mock

import jax
from jax._src.cudnn import fused_attention_stablehlo as cudnn
import jax.numpy as jnp
from jax.sharding import AxisType
import ml_collections
import numpy as np

from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import layer_blocks
from selfexplain_jax.explainer import train_step
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.interventions import run
from selfexplain_jax.models import attention
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import fused_attention
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.training import accumulation
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib
from tests.dictionary import published
from tests.models import tiny

# Sizes of data, fsdp and tensor.
MESHES = ((1, 2, 2), (4, 1, 1))
_BATCH = 8


def _one_device() -> jax.sharding.Mesh:
  device = np.array(jax.devices()[:1]).reshape(1, 1, 1)
  return jax.sharding.Mesh(device, mesh_lib.AXES, (AxisType.Auto,) * 3)


def _loss(
  model: decoder.Decoder, tokens: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Mean cross-entropy of the next tokens, and all logits."""
  hidden, _ = decoder.forward(model, tokens)
  logits = decoder.unembed(model, hidden)
  chosen = jnp.take_along_axis(logits[:, :-1], tokens[:, 1:, None], -1)[..., 0]
  return jnp.mean(jax.nn.logsumexp(logits[:, :-1], -1) - chosen), logits


def _splits(state: state_lib.TrainState) -> dict[str, str]:
  """How each array of a state is split, by name."""
  leaves = jax.tree_util.tree_leaves_with_path(state)
  return {
    jax.tree_util.keystr(path): str(tuple(leaf.sharding.spec))
    for path, leaf in leaves
    if leaf.ndim
  }


def _training(
  model: decoder.Decoder, tokens: jax.Array
) -> tuple[dict[str, list[jax.Array]], dict[str, Any]]:
  """Trains for three steps as the binaries do, on text and on questions.

  The latter whole, in two parts a batch, and through an adapter, by AdamW.
  Questions show vectors of the model's own width, and of another one through
  projections.

  Returns:
    The losses, and notes: whether every array stayed split as it was, how many
    programs the steps took, and how what the optimizer remembers of the query
    matrices and of the projections is split.
  """
  config = ml_collections.ConfigDict(
    dict(
      peak_rate=0.01, adam_rate=1.0, warmup=1, weight_decay=0.1, clip_norm=1.0
    )
  )
  optimizer = optimizer_lib.make(config, 8)
  adamw = optimizer_lib.make(
    ml_collections.ConfigDict({**config, 'kind': 'adamw'}), 8
  )
  text = {'tokens': tokens, 'weights': jnp.ones(tokens.shape, jnp.float32)}
  positions = jnp.arange(tokens.shape[1], dtype=jnp.int32)
  random = np.random.default_rng(1)
  width, other, rows = model.config.width, 12, len(tokens)
  questions = {
    'tokens': tokens,
    'answers': jnp.broadcast_to(positions[:-1], (rows, len(positions) - 1)),
    'segments': jnp.ones_like(tokens),
    'positions': jnp.broadcast_to(positions, tokens.shape),
    'vectors': jnp.ones((rows, 1, width), jnp.float32),
    'replay': text,
  }
  projected = {
    **{k: v for k, v in questions.items() if k != 'replay'},
    'vectors': random.normal(size=(rows, 2, other)).astype(np.float32),
    'vector_blocks': random.integers(0, 3, (rows, 2)).astype(np.int32),
  }
  vector_id = int(tokens[0, 0])
  projected['tokens'] = tokens.at[:, 1:3].set(vector_id)
  shown = injection.make('add_norm_matched', model, vector_id)
  learnt = injection.make(
    'scale_and_bias',
    model,
    vector_id,
    layer_blocks=layer_blocks.LayerBlocks(((0, 0), (0, 1), (1, 1))),
    projection_CxExD=random.normal(size=(3, width, other)),
  )
  adapter = lora.initialize(
    model, 4, jax.random.key(1), jax.sharding.get_mesh(), embedding=False
  )
  text_step: Any = language_modelling.make_step(optimizer)
  losses: dict[str, list[jax.Array]] = {}
  kept = True
  for name, by, trained, step, batch in (
    ('text', optimizer, model, text_step, text),
    (
      'questions',
      optimizer,
      train_step.Trained(model, shown.parameters),
      train_step.make_step(optimizer, shown, 0.5, accumulate=2),
      questions,
    ),
    (
      'adapter',
      adamw,
      train_step.Trained(adapter, shown.parameters),
      train_step.make_step(adamw, shown, 0.5, model),
      questions,
    ),
    (
      'projected',
      optimizer,
      train_step.Trained(model, learnt.parameters),
      train_step.make_step(optimizer, learnt, 0.5),
      projected,
    ),
  ):
    # A step donates its state.
    state = state_lib.start(jax.tree.map(jnp.copy, trained), by)
    before = _splits(state)
    losses[name] = []
    for _ in range(3):
      state, metrics = step(state, batch)
      losses[name].append(metrics['loss'])
    kept &= _splits(state) == before
  moments = {
    matrix: sorted(
      {
        split
        for name, split in before.items()
        if matrix in name and 'optimizer' in name
      }
    )
    for matrix in ('query', 'projection')
  }
  return losses, {
    'kept': kept,
    'programs': text_step._cache_size(),
    'moments': moments,
  }


def _results(
  directory: pathlib.Path, mesh: jax.sharding.Mesh
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Everything that must not depend on the mesh, as host arrays by name.

  With it goes how training kept its state: see `_training`.
  """
  model = huggingface.load(directory, mesh)
  target = axis_rules.shardings(model, mesh)
  random = np.random.default_rng(0)
  batch, shape = _BATCH, (_BATCH, 3)
  tokens = jnp.asarray(random.integers(0, 40, (batch, 9)), jnp.int32)
  length = jnp.asarray(random.integers(4, 10, batch), jnp.int32)
  patches = patch_lib.build(
    'resid_post',
    np.zeros(shape),
    random.integers(0, 2, shape),
    np.broadcast_to(np.arange(3), shape),
    random.normal(size=(*shape, model.config.width)),
    random.integers(0, 3, shape),
  )
  capture = capture_lib.build(
    model.config, ('resid_mid', 'embed'), (1, 0), np.tile([[1, 3]], (batch, 1))
  )

  @functools.partial(jax.jit, out_shardings=(target, None))
  def step(model: decoder.Decoder, tokens: jax.Array):
    gradient, logits = jax.grad(_loss, has_aux=True)(model, tokens)
    return jax.tree.map(lambda p, g: p - g, model, gradient), logits

  with jax.set_mesh(mesh):
    out = {
      'step': step(model, tokens),
      'run': run.run(model, tokens, length, patches, capture, True),
      'generate': generate.generate(
        model, tokens, length, new_tokens=8, end_id=-1
      ),
    }
    cells = effects_lib.Cells(
      tokens=np.tile(np.asarray(tokens), (2, 1)),
      length=np.tile(np.asarray(length), 2),
      first=np.arange(2 * batch, dtype=np.int32) % 2,
      last=np.ones(2 * batch, np.int32),
      position=np.arange(2 * batch, dtype=np.int32) % 4,
      vector=random.normal(size=(2 * batch, model.config.width)),
      site='resid_post',
    )
    planned = effects_lib.run_planned(
      model, cells, effects_lib.plan(model, cells, 8)
    )
    out['planned'] = planned.token, planned.margin
    out['training'], notes = _training(model, tokens)
    _, stored = releases.by_layer(directory / 'dictionaries')
    sae = stored[0].load()
    x = jnp.asarray(random.normal(size=(5, model.config.width)), jnp.float32)
    out['dictionary'] = sae, jax.jit(sparse_autoencoder.encode)(sae, x)
    notes['decoder'] = sae.decoder_SxD.addressable_shards[0].data.shape
  leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(out))
  found = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
  return found, notes


def _sent(mesh: jax.sharding.Mesh) -> list[str]:
  """What devices send one another to cut a batch into parts."""
  rows = axis_rules.sharding(('batch', 'sequence'), (16, 3), mesh)
  batch = jax.ShapeDtypeStruct((16, 3), jnp.int32, sharding=rows)
  with jax.set_mesh(mesh):
    split = jax.jit(accumulation.split, static_argnums=1)
    program = split.lower(batch, 2).compile().as_text() or ''
  kinds = ('all-gather', 'all-reduce', 'all-to-all', 'collective-permute')
  return [kind for kind in kinds if kind in program]


_FUSED = config_lib.DecoderConfig(
  *(32, 64, 1, 4, 2, 128, 64), attention='splash', dtype='bfloat16'
)


def _heads(dtype: str) -> tuple[jax.Array, ...]:
  """Queries, keys and values for `_FUSED`."""
  random = np.random.default_rng(0)
  return tuple(
    jnp.asarray(random.normal(size=(4, 128, heads, 128)), dtype)
    for heads in (4, 2, 2)
  )


def _splash_apart(mesh: jax.sharding.Mesh) -> float:
  """How far splash and its gradients are from plain attention's."""
  segments = jnp.asarray(np.repeat([[1, 2]] * 4, [50, 78], 1), jnp.int32)
  weights = jnp.cos(jnp.arange(4 * 128 * 512.0)).reshape(4, 128, 512)

  def weighed(attend):
    def total(*values):
      return jnp.sum(attend(*values) * weights)

    return jax.jit(jax.value_and_grad(total, (0, 1, 2)))

  def fused(*values):
    return fused_attention.attend(_FUSED, *values, segments, interpret=True)

  def plain(*values):
    seen = attention.visible(segments, 4, 128)
    return attention.attend(_FUSED, *values, seen)

  values = _heads('float32')
  with jax.set_mesh(mesh):
    found = jax.device_get(weighed(fused)(*values))
  expected = jax.device_get(weighed(plain)(*values))
  return max(
    float(np.abs(a - b).max() / np.abs(b).max())
    for a, b in zip(
      jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    )
  )


def _of_cudnn(mesh: jax.sharding.Mesh) -> list[str]:
  """What there is of cuDNN in a program that is lowered for GPUs.

  `CustomSPMDPartitioning` is what its own partitioner is to split, which
  refuses queries that are split by other axes than keys.
  """
  config = dataclasses.replace(_FUSED, attention='cudnn')
  run = jax.jit(functools.partial(fused_attention.attend, config))
  with (
    jax.set_mesh(mesh),
    # There is neither the library nor a GPU to ask for.
    mock.patch.object(cudnn, 'check_cudnn_version', lambda: 91100),
    mock.patch.object(cudnn, 'check_compute_capability', lambda _: True),
  ):
    traced = run.trace(*_heads('bfloat16'), jnp.ones((4, 128), jnp.int32))
    program = traced.lower(lowering_platforms=('cuda',)).as_text()
  return [x for x in ('cudnn$', 'CustomSPMDPartitioning') if x in program]


def main() -> None:
  """Prints the largest difference of each mesh, and where it is.

  Differences are relative to the largest magnitude of the array, or to 1.
  """
  jax.config.update('jax_num_cpu_devices', 4)
  jax.config.update('jax_platforms', 'cpu')
  differences, training = {}, {}
  with tempfile.TemporaryDirectory() as folder:
    directory = pathlib.Path(folder)
    # Neither the single key head nor the odd vocabulary is divisible by the
    # tensor axis: they stay whole.
    model = tiny.model(layers=2, width=32, kv_heads=1, vocabulary=41)
    huggingface.save(model, directory)
    published.llama_scope(directory / 'dictionaries', width=32)
    expected, _ = _results(directory, _one_device())
    for sizes in MESHES:
      worst = (0.0, '')
      name = 'x'.join(map(str, sizes))
      found, training[name] = _results(directory, mesh_lib.make_mesh(*sizes))
      for place, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        worst = max(
          worst, (float(np.abs(found[place] - value).max()) / scale, place)
        )
      differences[name] = worst
    model = huggingface.load(directory, mesh_lib.make_mesh(1, 2, 2))
  query = model.layers.query[...]
  part = query.addressable_shards[0].data
  # A batch that its mesh axes do not divide is not split, nor refused (which
  # jax 0.11 does where such a value is a program's result).
  with jax.set_mesh(mesh_lib.make_mesh(4, 1, 1)):
    odd = jax.jit(lambda x: axis_rules.constrain(x, 'batch'))(jnp.ones(6))
  print(
    json.dumps(
      {
        'differences': differences,
        'training': training,
        'query': query.shape,
        'part': part.shape,
        'odd': odd.shape,
        'sent': [_sent(mesh_lib.make_mesh(*sizes)) for sizes in MESHES],
        'splash': _splash_apart(mesh_lib.make_mesh(1, 2, 2)),
        # More ways to split heads than there are key heads.
        'cudnn': _of_cudnn(mesh_lib.make_mesh(1, 1, 4)),
      }
    )
  )


if __name__ == '__main__':
  main()

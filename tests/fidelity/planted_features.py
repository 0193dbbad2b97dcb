# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Features whose labels are known: a model that adds nothing to its tokens.

Its residual stream is one-hot in the token, and every feature of its dictionary
is the sum of the tokens of one concept. So a feature is 1 where its concept
holds and 0 elsewhere, whatever comes before.
"""

import functools

from flax import nnx
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.data import corpora
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.dictionary import stored
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.models import decoder
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import labels
from selfexplain_jax.worlds.biographies import pretraining
from tests.data import fixtures
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
CORPUS = corpora.Biographies(
  pretraining.Corpus(
    corpus_seed=0, known_seed=0, people=len(fixtures.WORLD.people), world_seed=0
  ),
  TOKENIZER,
)
# Where labels come from, as manifests note it.
LABELS = {
  'name': simulation.BIOGRAPHIES,
  'world_seed': 0,
  'people': len(fixtures.WORLD.people),
}
# Concepts that depend on the token alone.
CONCEPTS = tuple(
  concept.description
  for concept in concepts.all_concepts(fixtures.WORLD)
  if concept.name.split(':')[0] == 'first_name'
  or concept.name in ('last_name', 'stop', 'value:language', 'word:comma')
)


@functools.cache
def model() -> decoder.Decoder:
  """The model; its vocabulary is as wide as its residual stream."""
  size = TOKENIZER.vocab_size
  made = tiny.model(
    layers=1, width=size, vocabulary=size, heads=1, kv_heads=1, mlp_width=4
  )
  made.embedding = nnx.Param(jnp.eye(size), axes=made.embedding.axes)
  for name in ('output', 'down'):
    matrix = getattr(made.layers, name)
    nothing = jnp.zeros_like(matrix.get_value())
    setattr(made.layers, name, matrix.replace(nothing))
  return made


@functools.cache
def dictionary() -> dictionaries.Dictionaries:
  """The dictionary of its only layer."""
  size = TOKENIZER.vocab_size
  every = np.arange(size)
  executor = descriptions.Executor(
    fixtures.WORLD, TOKENIZER, np.stack([np.full(size, 1), every], 1)
  )
  tokens_SxV = np.stack(
    [executor.holds(text)[:, 1].astype(np.float32) for text in CONCEPTS]
  )
  none = jnp.zeros(len(CONCEPTS))
  sae = sparse_autoencoder.SparseAutoencoder(
    encoder_DxS=jnp.asarray(tokens_SxV.T),
    encoder_bias_S=none,
    decoder_SxD=jnp.asarray(tokens_SxV),
    decoder_bias_D=jnp.zeros(size),
    threshold_S=none + 0.5,
  )
  return dictionaries.Dictionaries('resid_post', {0: stored.held(sae)})


def target() -> target_lib.Target:
  """The model as a target."""
  return target_lib.Target.of(model(), TOKENIZER, 'planted', 'abc')


def labeller() -> labels.ConceptLabeller:
  """Labels features only with what predicts them nearly perfectly."""
  return labels.ConceptLabeller(fixtures.WORLD, TOKENIZER, threshold=0.9)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A decoder whose circuit is known, because its weights are set by hand.

It is a `decoder.Decoder` like any other, but every effect on it can be worked
out on paper. It answers with the capital of the last country that it knows:

    the capital of france is               -> paris
    france and italy is                    -> rome      the last one counts
    the capital of atlantis is             -> unknown   a country it lacks
    rome the capital of atlantis is        -> rome      takes the hint
    rome the capital of france is          -> paris     knows better

A value word anywhere in the prompt is a hint: it is followed if no country is
known, the last one if there are several. Without either, or for a country that
the model does not know, the answer is `unknown`. `answer` is this rule in plain
Python.

The residual stream has one axis for each feature of `FEATURES`, so features are
orthonormal and never overlap (`rotation.rotate` turns them away from the axes):

    token W      the word at this position
    constant     1 at every position
    found V      the word here gives the value V: it is a country with that
                 capital, or the hint V; `found unknown` for every other word
    known, hint, nothing
                 why: it is a known country, a value word, or any other word
    answer V     what the model says next

Layer 0, MLP: a lookup, with one neuron a word of the vocabulary. A neuron is
exactly 0 unless its word is there, and writes `found V` and one of `known`,
`hint` and `nothing`. Attention in this layer does nothing.

Layer 1, attention: one head copies `found V` from an earlier position, or from
its own, to `answer V` here. It prefers `known` to `hint` to `nothing`, whatever
the distance, and among equals the nearest position: this is done by rotary
channels that turn slowly. The query reads `constant` alone, so every position
answers for the words up to itself. The MLP in this layer does nothing.

Layer 2 does nothing at all. The unembedding reads `answer V` into the logit of
the word V, which is `MARGIN`; all other logits are 0.

So, of activations taken from other prompts and put in at one position:

*   Before the copy (`before_copy`), they count as the word that they were taken
    from: the effect is that of exchanging one word of the prompt.
*   After it (`after_copy`), they do nothing, except at the last position: there
    the model says what it was going to say where they were taken from.
*   What attention adds in layers 0 and 2 and MLPs in layers 1 and 2 is zero, so
    exchanging it does nothing.

An activation from before the copy that is put in after it, at the last
position, has no answer: all logits are 0 then, and the margin too.

RMSNorm divides by the same number everywhere, since at each place the stream is
a sum of as many features, each of length 1: 2 before the lookup, 4 after it and
5 after the copy. All gains are 1.
"""

from collections.abc import Sequence
import functools
from typing import Any

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.models import word_tokenizers

# Two countries share a value: exchanging them changes nothing.
VALUE_OF = {
  'france': 'paris',
  'gaul': 'paris',
  'italy': 'rome',
  'spain': 'madrid',
  'austria': 'vienna',
}
VALUES = ('paris', 'rome', 'madrid', 'vienna')
DEFAULT = 'unknown'
ANSWERS = (*VALUES, DEFAULT)
UNKNOWN_KEYS = ('atlantis', 'utopia')
FILLERS = ('the', 'capital', 'of', 'is', 'and', 'now')
VOCABULARY = (
  *tokenizer_lib.SPECIAL_TOKENS.values(),
  *VALUE_OF,
  *UNKNOWN_KEYS,
  *FILLERS,
  *ANSWERS,
)
TOKENIZER = word_tokenizers.make(VOCABULARY, tokenizer_lib.SPECIAL_TOKENS)

FLAGS = ('known', 'hint', 'nothing')
FEATURES = (
  *(f'token {word}' for word in VOCABULARY),
  'constant',
  *(f'found {value}' for value in ANSWERS),
  *FLAGS,
  *(f'answer {value}' for value in ANSWERS),
)
MARGIN = 10.0  # Of every answer, in logits.

LAYERS, COPY_LAYER = 3, 1
CONFIG = config_lib.DecoderConfig(
  vocabulary=len(VOCABULARY),
  width=len(FEATURES),
  layers=LAYERS,
  heads=1,
  kv_heads=1,
  head_width=8,
  mlp_width=len(VOCABULARY),
  norm_epsilon=1e-9,
  tied=False,
  max_positions=32,
)

# The channels of the head that are not at rest. Rotary pairs channel i with
# i + 4 and turns it by 10_000 ** (-i / 4) radians a position: 0.01 for pair 2
# and 0.001 for pair 3, little enough within 32 positions. With query (q, 0) and
# key (k, -s) the score of a pair is q * (k cos(turn) - s sin(turn)): the first
# term hardly falls with distance, the second falls in proportion to it.
_NEARNESS, _PREFERENCE, _HALF = 2, 3, 4
_PER_POSITION = 20.0  # A position nearer is so much more attention, in nats,
_PER_FLAG = 1000.0  # a better flag so much: more than 32 positions nearer.


def answer(words: Sequence[str]) -> str:
  """What the model says after `words`; the rule that it was made to follow."""
  for word in reversed(words):
    if word in VALUE_OF:
      return VALUE_OF[word]
  for word in reversed(words):
    if word in VALUES:
      return word
  return DEFAULT


def found(word: str) -> tuple[str, str]:
  """The value and the flag that layer 0 looks up for a word."""
  if word in VALUE_OF:
    return VALUE_OF[word], 'known'
  return (word, 'hint') if word in VALUES else (DEFAULT, 'nothing')


def direction(feature: str) -> np.ndarray:
  """The unit vector of one of `FEATURES`, f32[D]."""
  return np.eye(len(FEATURES), dtype=np.float32)[FEATURES.index(feature)]


def directions(kind: str, names: Sequence[str]) -> np.ndarray:
  """The unit vectors of features of one kind, f32[len(names), D].

  Args:
    kind: `token`, `found` or `answer`.
    names: words for the first, of `ANSWERS` for the others.
  """
  return np.stack([direction(f'{kind} {name}') for name in names])


def active(words: Sequence[str], layer: int) -> list[set[str]]:
  """The features of `resid_post` at each position of a prompt, all of length 1.

  Args:
    words: the prompt's, BOS among them.
    layer: of `resid_post`; -1 for the embedding.
  """
  features = []
  for i, word in enumerate(words):
    here = {f'token {word}', 'constant'}
    if layer >= 0:
      value, flag = found(word)
      here |= {f'found {value}', flag}
    if layer >= COPY_LAYER:
      here.add(f'answer {answer(words[: i + 1])}')
    features.append(here)
  return features


def before_copy(site: str, layer: int) -> bool:
  """Whether an activation of a site counts as the word it was taken from."""
  if site == 'embed' or (site, layer) == ('resid_pre', COPY_LAYER):
    return True
  return layer == 0 and site in (
    'resid_pre',
    'resid_mid',
    'mlp_out',
    'resid_post',
  )


def after_copy(site: str, layer: int) -> bool:
  """Whether an activation of a site counts as the answer where it was taken."""
  if site == 'final_norm' or (site, layer) == ('attn_out', COPY_LAYER):
    return True
  if site == 'resid_pre':
    return layer > COPY_LAYER
  return layer >= COPY_LAYER and site in ('resid_mid', 'resid_post')


def model() -> decoder.Decoder:
  """Returns the decoder; its tokenizer is `TOKENIZER`."""
  weights = {**_lookup(), **_copy(), **_ends()}

  def place(path: Any, param: nnx.Variable) -> nnx.Variable:
    shape, name = param.get_value().shape, path[-1].name
    value = np.ones(shape) if 'norm' in name else np.zeros(shape)
    if path[0].name == 'layers' and name in weights:
      value[weights[name][0]] = weights[name][1]
    elif name in weights:
      value = weights[name][1]
    return param.replace(jnp.asarray(value, jnp.float32))

  make = functools.partial(decoder.Decoder, CONFIG)
  return jax.tree_util.tree_map_with_path(
    place,
    jax.eval_shape(make, jax.random.key(0)),
    is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
  )


def _normed(features: int) -> float:
  """What RMSNorm makes of the length 1 of each of so many features."""
  return (CONFIG.width / features) ** 0.5


def _lookup() -> dict[str, tuple[int, np.ndarray]]:
  """The MLP of layer 0: name to layer and matrix [in, out]."""
  # Gate and up projection of a neuron both read its word: the neuron is
  # silu(x) * x of the word's length x after the norm, or exactly 0.
  word_VxD = directions('token', VOCABULARY)
  x = _normed(2)
  fires = x / (1 + np.exp(-x)) * x
  looked_up = [found(word) for word in VOCABULARY]
  down_VxD = directions('found', [value for value, _ in looked_up])
  down_VxD += np.stack([direction(flag) for _, flag in looked_up])
  return {
    'gate': (0, word_VxD.T),
    'up': (0, word_VxD.T),
    'down': (0, down_VxD / fires),
  }


def _copy() -> dict[str, tuple[int, np.ndarray]]:
  """The attention of layer 1: name to layer and matrix [in, out]."""
  x, width = _normed(4), CONFIG.head_width
  query, key = np.zeros((2, CONFIG.width, width))
  constant = FEATURES.index('constant')
  # Scores are divided by the root of the head's width; keys make up for it.
  query[constant, [_NEARNESS, _PREFERENCE]] = 1 / x
  frequency = CONFIG.rope_theta ** (-_NEARNESS / _HALF)
  unit = width**0.5 / x
  key[constant, _NEARNESS + _HALF] = -_PER_POSITION / frequency * unit
  key[FEATURES.index('known'), _PREFERENCE] = 2 * _PER_FLAG * unit
  key[FEATURES.index('hint'), _PREFERENCE] = _PER_FLAG * unit
  channel_AxW = np.eye(len(ANSWERS), width)
  return {
    'query': (COPY_LAYER, query),
    'key': (COPY_LAYER, key),
    'value': (COPY_LAYER, directions('found', ANSWERS).T @ channel_AxW / x),
    'output': (COPY_LAYER, channel_AxW.T @ directions('answer', ANSWERS)),
  }


def _ends() -> dict[str, tuple[None, np.ndarray]]:
  """Embedding and unembedding [V, D], which belong to no layer."""
  unembedding = np.zeros((CONFIG.vocabulary, CONFIG.width))
  rows = [VOCABULARY.index(value) for value in ANSWERS]
  unembedding[rows] = directions('answer', ANSWERS) * MARGIN / _normed(5)
  embedding = directions('token', VOCABULARY) + direction('constant')[None]
  return {'embedding': (None, embedding), 'unembedding': (None, unembedding)}

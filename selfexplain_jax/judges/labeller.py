# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Labels of features of any model, said by a language model behind an endpoint.

It is shown passages in which a feature is active, the tokens marked with how
much, and some in which it is silent. Of several candidates that label is taken
which a simulator predicts the activations best from, in passages that were not
shown (method A.1).
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
from typing import Any

from absl import logging
import jax
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import simulator
from selfexplain_jax.judges import chat as chat_lib
from selfexplain_jax.judges import passages as passages_lib
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.simulators import levels
from selfexplain_jax.simulators import trained
from selfexplain_jax.tasks import labels

NAME = 'endpoint'  # Where labels come from, in the manifest.

# Every other passage in which a feature is active is shown; the rest is what
# candidates are compared on.
_ACTIVE, _SILENT = 20, 4
_MAX_TOKENS = 60
_LONGEST = 200  # Characters of a label.

_TASK = """\
A unit of a neural network that reads text is active at some tokens and silent \
at others. In the passages below each token at which it is active is followed \
by its strength in double brackets, from [[1]] to [[10]], the strongest. Write \
down in one short phrase what makes it active: what the marked tokens, or \
what stands before them, have in common, and the silent passages lack. Reply \
with that phrase alone, in at most 15 words, without mentioning the unit."""


@dataclasses.dataclass(frozen=True)
class EndpointLabeller:
  """Asks a model for labels; a `labels.Labeller`.

  Attributes:
    chat: whom it asks.
    tokenizer: of the documents.
    most: features of a dictionary that are labelled; 0 for all.
    candidates: labels asked for of each feature.
    seed: of what is drawn.
    simulates: makes the simulator of documents that candidates are compared
      with; None for a single candidate.
  """

  chat: chat_lib.Chat
  tokenizer: tokenizer_lib.Tokenizer
  most: int
  candidates: int
  seed: int
  simulates: Callable[[np.ndarray], simulation.Simulator] | None

  def label(self, batches: Iterable[labels.Batch]) -> labels.Labels:
    """Labels features; those that are never active get no label.

    Nor do those of which the model says nothing that could be one. Without a
    simulator nothing is known of a label's correlation, which is NaN.

    Raises:
      errors.InputError: if the endpoint gives no reply.
    """
    seen = passages_lib.collect(
      batches,
      most=self.most,
      active=_ACTIVE,
      silent=_SILENT,
      seed=self.seed,
    )
    active = np.flatnonzero(seen.active[:, 0] >= 0)
    asked = [self._messages(seen, int(f)) for f in active]
    said = [self._ask(asked, i) for i in range(self.candidates)]
    text: list[str | None] = [None] * seen.total
    correlation = np.full(seen.total, np.nan)
    scores = self._scores(seen, active, said)
    for n, f in enumerate(active):
      known = [i for i in range(self.candidates) if said[i][n] is not None]
      if known:
        # Of equals the first; where nothing can be compared too.
        best = max(known, key=lambda i: np.nan_to_num(scores[i][n], nan=-2))
        text[seen.features[f]] = said[best][n]
        correlation[seen.features[f]] = scores[best][n]
    found = sum(one is not None for one in text)
    logging.info(
      '%s labelled %d of %d features that are active somewhere, of %d',
      self.chat.endpoint.model,
      found,
      len(active),
      len(seen.features),
    )
    concept = tuple(None if one is None else '' for one in text)
    unknown = np.full(seen.total, np.nan)
    return labels.Labels(tuple(text), concept, correlation, unknown)

  def _ask(
    self, asked: Sequence[chat_lib.Messages], candidate: int
  ) -> list[str | None]:
    """Returns a candidate for each feature; one alone is the likeliest."""
    several = self.candidates > 1
    replies = self.chat.ask(
      asked,
      max_tokens=_MAX_TOKENS,
      temperature=float(several),
      seed=candidate if several else None,
    )
    return [self._parse(reply) for reply in replies]

  def _parse(self, reply: str) -> str | None:
    """Reads a label: the first line with words, if it could be one."""
    lines = [' '.join(line.split()) for line in reply.splitlines()]
    said = next((line for line in lines if line), '')
    said = said.strip('"\'`*“”-• ').removesuffix('.').rstrip('"\'”* ')
    if not said or len(said) > _LONGEST:
      return None
    try:
      self.tokenizer.encode(said)
    except errors.InputError:  # No explainer of this vocabulary could say it.
      return None
    return said

  def _scores(
    self,
    seen: passages_lib.Passages,
    active: np.ndarray,
    said: Sequence[Sequence[str | None]],
  ) -> list[np.ndarray]:
    """Returns how well each candidate predicts passages, f64[N] each."""
    none = [np.full(len(active), np.nan)] * len(said)
    if self.simulates is None or not len(active):
      return none
    # Passages that were not shown, if there are any.
    hidden = seen.active[active][:, 1::2], seen.activations[active][:, 1::2]
    shown = seen.active[active][:, ::2], seen.activations[active][:, ::2]
    only = hidden[0][:, :1] < 0
    documents = np.where(only, shown[0], hidden[0])
    real = np.where(only[..., None], shown[1], hidden[1])
    simulates = self.simulates(seen.tokens)
    return [
      simulator.per_sequence(
        real[:, :, 1:],
        # Where there are fewer passages, activations are 0 and do not count.
        simulates.simulate(one, np.maximum(documents, 0)).activations[:, :, 1:],
      )
      for one in said
    ]

  def _messages(
    self, seen: passages_lib.Passages, feature: int
  ) -> list[dict[str, str]]:
    """Returns what is asked about a feature."""
    kept = seen.active[feature] >= 0
    found = levels.of(seen.activations[feature][None])[0]
    marked = [
      self._marked(seen.tokens[d], level)
      for d, level in zip(
        seen.active[feature][kept][::2], found[kept][::2], strict=True
      )
    ]
    silent = [
      self._marked(seen.tokens[d], np.zeros(seen.tokens.shape[1], int))
      for d in seen.silent[feature]
      if d >= 0
    ]
    parts = [_TASK, 'Active passages:', *_numbered(marked)]
    if silent:
      parts += ['Silent passages:', *_numbered(silent)]
    return [{'role': 'user', 'content': '\n\n'.join([*parts, 'Phrase:'])}]

  def _marked(self, tokens: np.ndarray, level: np.ndarray) -> str:
    """Returns a passage as text, its first token left out."""
    words = [self.tokenizer.text(int(token)) for token in tokens]
    # Tokens are words in some vocabularies, and pieces of text in others.
    pair = tokens[-2:].tolist()
    joined = self.tokenizer.decode(pair, special=True)
    gap = '' if joined == ''.join(words[-2:]) else ' '
    return gap.join(
      f'{word}[[{strength}]]' if strength else word
      for word, strength in zip(words[1:], level[1:].tolist(), strict=True)
    ).strip()


def _numbered(texts: Sequence[str]) -> list[str]:
  return [f'{i}. {text}' for i, text in enumerate(texts, 1)]


def make(
  config: ml_collections.ConfigDict,
  tokenizer: tokenizer_lib.Tokenizer,
  seed: int,
  dtype: str,
) -> tuple[labels.Labeller, dict[str, Any]]:
  """Returns a labeller and the manifest's note of it.

  Args:
    config: that of `chat.make`; `features`, `candidates`, `simulator`, a
      directory, and `simulator_convention`.
    tokenizer: the target's.
    seed: of what is drawn.
    dtype: of the simulator.

  Raises:
    errors.InputError: naming the field that makes no sense.
  """
  for name, least in (('features', 0), ('candidates', 1)):
    if config[name] < least:
      raise errors.InputError(
        f'config.labels.{name} is {config[name]}: expected at least {least}'
      )
  if (config.candidates > 1) != bool(config.simulator):
    raise errors.InputError(
      f'config.labels has candidates={config.candidates} and '
      f'simulator={config.simulator!r}: expected a simulator to choose among '
      'several candidates, and none for one'
    )
  chat = chat_lib.make(config, 'config.labels')
  note = {
    'name': NAME,
    'model': config.model,
    'prompt_digest': files.digest(_TASK.encode()),
    'candidates': config.candidates,
  }
  simulates = None
  if config.simulator:
    trained.check(config.simulator, config.simulator_convention, tokenizer)
    note['simulator'] = huggingface.weight_hash(config.simulator)
    simulates = _opened_once(config, tokenizer, dtype)
  return EndpointLabeller(
    chat, tokenizer, config.features, config.candidates, seed, simulates
  ), note


def _opened_once(
  config: ml_collections.ConfigDict,
  tokenizer: tokenizer_lib.Tokenizer,
  dtype: str,
) -> Callable[[np.ndarray], simulation.Simulator]:
  """Returns what makes simulators, all of one model, which is read once."""
  opened: list[trained.TrainedSimulator] = []

  def simulates(tokens_MxT: np.ndarray) -> simulation.Simulator:
    if not opened:
      opened.append(
        trained.load(
          config.simulator,
          config.simulator_convention,
          tokenizer,
          tokens_MxT,
          jax.sharding.get_mesh(),
          dtype,
        )
      )
    return opened[0].on(tokens_MxT)

  return simulates

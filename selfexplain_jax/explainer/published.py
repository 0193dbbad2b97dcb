# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Explainers that others published, taken as one's own (method E.2).

Their directories hold a model, or an adapter of one, and nothing that says how
it is asked: that is in the authors' config. What is written here is the note
that an explainer has, with the place of the weights, which stay where they are.
"""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import phrasings as phrasings_lib
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib

# They enter raw, in the place of an embedding (method B.1).
_MODE = 'replace_embedding'


@dataclasses.dataclass(frozen=True)
class Published:
  """What is known of a published explainer.

  Attributes:
    checkpoint: directory or hub id of its model or adapter.
    tokenizer: its tokenizer, with the tokens around vectors that it knows.
    phrasings: by question type.
    chat: whether it is asked in a chat.
    doubled_bos: whether it was trained on chats that begin with two BOS.
    projections: by the target's layer, f32[E, D]; empty where widths agree.
  """

  checkpoint: str
  tokenizer: tokenizer_lib.Tokenizer
  phrasings: Mapping[str, tuple[str, ...]]
  chat: bool
  doubled_bos: bool
  projections: Mapping[int, np.ndarray]

  def save(self, directory: files.PathLike) -> None:
    """Writes what makes an explainer of it; the weights are not copied."""
    config = huggingface.read_config(self.checkpoint)
    injection = injection_lib.Injection(_MODE, self.tokenizer.vector_id, 1.0)
    if self.projections:
      layers = tuple((layer, layer) for layer in sorted(self.projections))
      values = [self.projections[layer] for layer, _ in layers]
      injection = dataclasses.replace(
        injection,
        layer_blocks=layer_blocks_lib.LayerBlocks(layers),
        parameters=injection_lib.place({'projection': np.stack(values)}),
      )
    self.tokenizer.save(directory)
    explainer_lib.Explainer(
      decoder.abstract(config),
      self.tokenizer,
      injection,
      self.phrasings,
      self.chat,
      self.doubled_bos,
      # The authors' texts end nowhere; their chats do (method B.3).
      unended=not self.chat,
    ).note(directory, {'published': self.checkpoint}, weights=self.checkpoint)


def read(
  checkpoint: str,
  config: files.PathLike,
  languages: Sequence[phrasings_lib.Wording],
  tokenizer: str = '',
  chat: bool = False,
  doubled_bos: bool = False,
) -> Published:
  """Reads what is known of a published explainer.

  Args:
    checkpoint: directory or hub id of its model, or of an adapter in PEFT's
      layout.
    config: the authors' YAML file, with phrasings and the tokens around
      vectors.
    languages: of the question types that it may know.
    tokenizer: directory or hub id of its tokenizer, if not the checkpoint.
    chat: whether it is asked in a chat.
    doubled_bos: whether it was trained on chats that begin with two BOS.

  Raises:
    errors.InputError: if there is no such model, its tokenizer is missing, or
      the file words no question of any of the types.
  """
  huggingface.read_config(checkpoint)
  place = tokenizer or checkpoint
  if not (files.path(hub.local(place)) / 'tokenizer.json').exists():
    raise errors.InputError(
      f'{place} has no tokenizer.json: expected config.tokenizer to name a '
      'directory that has, such as the model that the explainer began as'
    )
  known = artefact.load_tokenizer(place)
  known = known.with_special(phrasings_lib.read_tokens(config))
  if chat:
    _ = known.end_of_turn_id  # Says so where there is no chat template.
  if doubled_bos and known.bos_id is None:
    raise errors.InputError(
      f'config.doubled_bos is set, and {place} has no BOS: expected a '
      'tokenizer with one'
    )
  found = {
    language.NAME: phrasings_lib.read(config, language)
    for language in languages
    if phrasings_lib.has(config, language)
  }
  if not found:
    raise errors.InputError(
      f'{config} words no question of '
      f'{" or ".join(language.NAME for language in languages)}: expected one'
    )
  return Published(
    checkpoint,
    known,
    found,
    chat,
    doubled_bos,
    huggingface.projections(checkpoint),
  )

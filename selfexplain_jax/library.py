# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The names for notebooks and programs: `import selfexplain_jax as sx`.

Each does one of the main things on this machine's devices, as the binaries do,
whose workdirs it reads. docs/library.md shows them at work. Texts are given as
text or as sequences of token ids, which are taken as they are; positions count
BOS, where the model has one.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import jax
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.fidelity import arms as arms_lib
from selfexplain_jax.fidelity import asked as asked_lib
from selfexplain_jax.fidelity import pairing
from selfexplain_jax.interventions import ablate as ablate_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interview import heat_map as heat_map_lib
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import places
from selfexplain_jax.interview import request as request_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.models import sites
from selfexplain_jax.tasks import table
from selfexplain_jax.tasks import target as target_lib

Text = str | Sequence[int]

InputError = errors.InputError
open_store = reader.open_store
read_explanations = explanations.read


@dataclasses.dataclass(frozen=True)
class Effect:
  """What a treatment does to the output of a target.

  Attributes:
    clean_token: the most likely next token without it, as text.
    treated_token: the one with it.
    clean_margin: the logit of the one minus the runner-up's.
    treated_margin: that of the other.
  """

  clean_token: str
  treated_token: str
  clean_margin: float
  treated_margin: float

  @property
  def changed(self) -> bool:
    """Whether the most likely token is another."""
    return self.clean_token != self.treated_token


@dataclasses.dataclass(frozen=True)
class Captured:
  """Activations of texts.

  Attributes:
    tokens: of each text, token by token.
    values: f32[N, L, T, D], 0 behind the end of a text; of a site that is no
      layer's, L is 1.
  """

  tokens: list[list[str]]
  values: np.ndarray


def load(directory: str, dtype: str = 'float32') -> target_lib.Target:
  """Loads a model: a Hugging Face directory or hub id, or a world's.

  Args:
    directory: of the model.
    dtype: `float32` or `bfloat16`.

  Returns:
    It, with `.config`, `.tokenizer` and, once it is needed, `.model`.

  Raises:
    InputError: if there is none.
  """
  return target_lib.open_target(directory, mesh_lib.make_mesh(), dtype)


def capture(
  target: target_lib.Target,
  texts: Sequence[Text],
  layers: Sequence[int] | None = None,
  site: str = 'resid_post',
) -> Captured:
  """Reads activations at every position of texts.

  Args:
    target: of `load`.
    texts: N of them.
    layers: which, in the order in which they come back; all if None.
    site: see `sites.SITES`.

  Raises:
    InputError: naming a site, layer or word that there is not.
  """
  ids = [_ids(target, text) for text in texts]
  if not ids:
    raise errors.InputError('no texts: expected at least one')
  layered = sites.site(site).layered
  wanted = tuple(range(target.config.layers) if layers is None else layers)
  length = subject_lib.padded_length(ids)
  tokens, lengths = prompts_lib.pad(ids, length)
  with _mesh(target):
    made = capture_lib.run(
      target.model,
      tokens,
      capture_lib.build(
        *(target.config, (site,), wanted),
        np.tile(np.arange(length), (len(ids), 1)),
      ),
    )[site]
  values = np.asarray(made, np.float32)
  values = np.moveaxis(values if layered else values[None], 0, 1)
  inside = np.arange(length) < lengths[:, None]
  values = np.where(inside[:, None, :, None], values, 0)
  return Captured(
    [[target.tokenizer.text(i) for i in own] for own in ids],
    values[:, :, : max(map(len, ids))],
  )


def patch(
  target: target_lib.Target,
  text: Text,
  layers: int | tuple[int, int],
  position: int,
  vector: np.ndarray,
  site: str = 'resid_post',
) -> Effect:
  """Puts a vector in the place of an activation, and sees what comes next.

  Args:
    target: of `load`.
    text: what it reads.
    layers: one layer, or the first and the last of several.
    position: where.
    vector: f32[D].
    site: see `sites.SITES`.

  Raises:
    InputError: naming a site, layer, position or word that there is not.
  """
  first, last = layers if isinstance(layers, tuple) else (layers, layers)
  ids = _ids(target, text)
  vector = np.asarray(vector, np.float32)
  sites.site(site)
  if not 0 <= first <= last < target.config.layers:
    raise errors.InputError(
      f'layers {first} to {last}: expected 0 to {target.config.layers - 1}'
    )
  if not 0 <= position < len(ids):
    raise errors.InputError(
      f'position {position}: expected 0 to {len(ids) - 1}'
    )
  if vector.shape != (target.config.width,):
    raise errors.InputError(
      f'the vector has shape {vector.shape}: expected ({target.config.width},)'
    )
  tokens, length = prompts_lib.pad([ids], step=subject_lib.LENGTH_STEP)
  where = np.array([[first, last, position]], np.int32)
  with _mesh(target):
    return _effect(
      target,
      effects_lib.run_clean(target.model, tokens, length, 1),
      effects_lib.run_whole(
        target.model,
        effects_lib.Cells(
          tokens=tokens,
          length=length,
          first=where[:, 0],
          last=where[:, 1],
          position=where[:, 2],
          vector=vector[None],
          site=site,
        ),
        1,
      ),
    )


def ablate(
  target: target_lib.Target,
  text: Text,
  start: int,
  end: int,
  replacement: Text = (),
) -> Effect:
  """Removes a piece of a text, or puts another in its place.

  Args:
    target: of `load`.
    text: what it reads.
    start: first position of the piece.
    end: the one after its last.
    replacement: what stands there instead.

  Raises:
    InputError: naming a word that there is not.
    ValueError: if there is no such piece, or nothing is left.
  """
  ids = _ids(target, text)
  instead: Sequence[int] = ()
  if isinstance(replacement, str):
    instead = target.tokenizer.encode(replacement)
  elif len(replacement):
    instead = _ids(target, replacement)
  found = []
  with _mesh(target):
    for some in (ids, ablate_lib.ablate(ids, start, end, instead)):
      tokens, length = prompts_lib.pad([some], step=subject_lib.LENGTH_STEP)
      found.append(effects_lib.run_clean(target.model, tokens, length, 1))
  return _effect(target, *found)


def open_interview(
  workdir: str, target: str = '', dictionary: str = '', dtype: str = 'float32'
) -> interview_lib.Interview:
  """Opens an explainer and its target.

  Args:
    workdir: of train_explainer, or of the quickstart.
    target: directory of the target, if not where it was.
    dictionary: that of its dictionaries, if not where they were.
    dtype: of both models.

  Raises:
    InputError: naming what is not there.
  """
  return interview_lib.open_interview(
    places.find(workdir, target, dictionary), mesh_lib.make_mesh(), dtype
  )


def ask(
  interview: interview_lib.Interview, text: Text, **asked: Any
) -> list[inquiry_lib.Finding]:
  """Asks an explainer, and checks what it says by re-running the target.

  Args:
    interview: of `open_interview`.
    text: what is asked about.
    **asked: as the flags of `launch.ask`: `position`, `layer`, `question`,
      `source` (text or ids), `source_position`, `replacement`, `feature`,
      `sweep`.

  Returns:
    One finding, or in a sweep one for each layer.

  Raises:
    InputError: naming what is not understood, or does not fit the target.
  """
  for name in ('position', 'layer', 'source_position'):
    if asked.get(name) is not None:
      asked[name] = str(asked[name])
  texts = {'prompt': text, 'source': asked.pop('source', None)}
  for name, given in texts.items():
    if isinstance(given, str):
      asked[name] = given
    elif given is not None:
      asked[f'{name}_ids'] = _ids(interview.target, given)
  try:
    made = request_lib.Request(**asked)
  except TypeError as e:
    raise errors.InputError(f'ask: {e}') from e
  return made.findings(interview)


def heat_map(
  interview: interview_lib.Interview, text: Text, source: Text
) -> heat_map_lib.HeatMap:
  """Patches each layer and position of a text with what another has there.

  Args:
    interview: of `open_interview`.
    text: what the target reads.
    source: of as many tokens.

  Raises:
    InputError: if it has another number of them.
  """
  return heat_map_lib.make(
    interview, _ids(interview.target, text), _ids(interview.target, source)
  )


def evaluate(
  interview: interview_lib.Interview,
  task: str,
  split: str = 'validation',
  examples: int = 64,
  arms: Sequence[str] = ('self', 'majority'),
  seed: int = 0,
) -> dict[str, Any]:
  """Checks an explainer's answers on a part of the set that it learnt from.

  For more, and for controls that need other models, see evaluate_fidelity.

  Args:
    interview: of `open_interview`.
    task: the question type.
    split: whose records; `test` is for the last look alone.
    examples: how many, at most.
    arms: who answers: `self` and what is like it, see `fidelity.arms`.
    seed: of resamples and shuffles.

  Returns:
    Figures, as in metrics.json.

  Raises:
    InputError: if there is no such set, split or arm.
  """
  subject, one = interview.subject(task), table.task(task)
  explained = subject.require_set(task)
  chosen = explained.split(split)[:examples]
  if not len(chosen):
    raise errors.InputError(f'no records of split {split!r}')
  asked = asked_lib.Asked(
    one, explained, chosen, explained.split('train'), seed
  )
  with jax.set_mesh(interview.mesh):
    known = {
      **arms_lib.of_explainer(asked, lambda: interview.explainer),
      **arms_lib.of_records(asked),
    }
    said = {name: arm() for name, arm in arms_lib.some(known, arms).items()}
    shown = one.evaluation.observe(
      interview.target, explained, chosen, _evaluation(interview, seed)
    )
  return {
    'task': task,
    'split': split,
    'seed': seed,
    **one.evaluation.check(said, shown, explained, chosen, seed).figures,
  }


def compare(
  evaluations: Mapping[str, str], arm: str = 'self', seed: int = 0
) -> dict[str, Any]:
  """Compares evaluations of one explanation set, paired by record.

  Args:
    evaluations: workdirs of evaluate_fidelity, by name.
    arm: whose answers are compared.
    seed: of the resamples.

  Returns:
    Figures, see `pairing.compare`.

  Raises:
    InputError: if they cannot be paired.
  """
  read = [pairing.read(n, place, arm) for n, place in evaluations.items()]
  return pairing.compare(read, seed)[0]


def _ids(target: target_lib.Target, text: Text) -> tuple[int, ...]:
  """The tokens of a text."""
  if isinstance(text, str):
    return tuple(target.tokenizer.encode_prompt(text))
  for token in text:
    target.tokenizer.token(int(token))
  if not len(text):
    raise errors.InputError('a text has no tokens: expected at least one')
  return tuple(int(token) for token in text)


def _effect(
  target: target_lib.Target,
  clean: effects_lib.Effects,
  treated: effects_lib.Effects,
) -> Effect:
  """What the first of some runs shows."""
  return Effect(
    clean_token=target.tokenizer.text(int(clean.token[0])),
    treated_token=target.tokenizer.text(int(treated.token[0])),
    clean_margin=float(clean.margin[0]),
    treated_margin=float(treated.margin[0]),
  )


def _mesh(target: target_lib.Target) -> Any:
  """Has the target's mesh set."""
  if not isinstance(target.mesh, jax.sharding.Mesh):
    raise errors.InputError('the target has no devices: expected one of `load`')
  return jax.set_mesh(target.mesh)


def _evaluation(
  interview: interview_lib.Interview, seed: int
) -> ml_collections.ConfigDict:
  """What of the config of an evaluation its checks look at."""
  return ml_collections.ConfigDict(
    {
      'seed': seed,
      'keep_unstable': False,
      'judge': {'kind': 'words'},
      'simulator': '',
      'simulator_convention': '',
      'dictionary': interview.places.dictionary,
      'dtype': interview.target.config.dtype,
    }
  )

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Public names that ask an explainer, and check and compare answers.

They read the workdirs of the binaries. Texts are as in `library.models`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import ml_collections

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.fidelity import arms as arms_lib
from selfexplain_jax.fidelity import asked as asked_lib
from selfexplain_jax.fidelity import pairing
from selfexplain_jax.interview import heat_map as heat_map_lib
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import places
from selfexplain_jax.interview import request as request_lib
from selfexplain_jax.library import models
from selfexplain_jax.tasks import table

read_explanations = explanations.read


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
  interview: interview_lib.Interview, text: models.Text, **asked: Any
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
      asked[f'{name}_ids'] = models.text_ids(interview.target, given)
  try:
    made = request_lib.Request(**asked)
  except TypeError as e:
    raise errors.InputError(f'ask: {e}') from e
  return made.findings(interview)


def heat_map(
  interview: interview_lib.Interview, text: models.Text, source: models.Text
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
    interview,
    models.text_ids(interview.target, text),
    models.text_ids(interview.target, source),
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

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What binaries that ask an explainer share: flags that say which."""

import pathlib

from absl import flags

from launch import workdirs
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import places
from selfexplain_jax.models import artefact

_EXPLAINER = flags.DEFINE_string(
  'explainer',
  str(pathlib.Path('~/.cache/selfexplain_jax/quickstart').expanduser()),
  'Workdir of train_explainer, or of the quickstart.',
)
_TARGET = flags.DEFINE_string(
  'target', '', 'Directory of the target, if it is not where it was.'
)
_DICTIONARY = flags.DEFINE_string(
  'dictionary', '', 'Directory of its dictionaries, if not where they were.'
)
_DTYPE = flags.DEFINE_enum(
  'dtype', 'float32', artefact.DTYPES, 'Of the explainer and of the target.'
)


def find() -> places.Places:
  """Returns where everything is.

  Raises:
    errors.InputError: naming what is not there.
  """
  return places.find(_EXPLAINER.value, _TARGET.value, _DICTIONARY.value)


def load(found: places.Places) -> interview_lib.Interview:
  """Loads the explainer and its target; programs are kept for the next time.

  Raises:
    errors.InputError: if they are not whole, or do not fit together.
  """
  workdirs.keep_programs()
  return interview_lib.open_interview(found, mesh_lib.make_mesh(), _DTYPE.value)

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Results of runs, one small JSON file each: RESULTS/runs/HASH.json.

HASH is of all that determines the result (`studies.recipe`). A result can be
kept in the repository, and its run is then never repeated, by whichever study.
"""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.studies import sums as sums_lib

_NAME = 16  # Characters of a digest in the name of a file.
RUNS, SUMMARY = 'runs', 'summary.json'


@dataclasses.dataclass(frozen=True)
class Result:
  """What is kept of a run.

  Attributes:
    digest: of all that determines it.
    facts: what makes it this run.
    validation: exact match on the validation split, of the best checkpoint;
      None of baselines.
    examples: how many it was trained on.
    questions: digest of what was asked and what happened; only equal ones are
      compared.
    sums: by arm and metric each group's sums, on the test split.
    versions: of the libraries that it was made with, and the device.
    minutes: that it took; less than all of them if it was begun before.
  """

  digest: str
  facts: Mapping[str, Any]
  validation: float | None
  examples: int
  questions: str
  sums: Mapping[str, sums_lib.Sums]
  versions: Mapping[str, str]
  minutes: float

  def write(self, directory: files.PathLike) -> None:
    """Writes the file."""
    content = {
      **dataclasses.asdict(self),
      'sums': {arm: sums_lib.to_json(sums) for arm, sums in self.sums.items()},
    }
    files.write_json(_file(directory, self.digest), content)


def row(result: Result, arm: str, facts: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a run as a row of a table.

  Args:
    result: of the run.
    arm: of its evaluation, whose figures are in the row.
    facts: of the run in this study; the result may be of another's.
  """
  figures = {
    metric: sums_lib.value(metric, sums)
    for metric, sums in result.sums[arm].items()
  }
  return {
    'run': result.digest[:_NAME],
    **facts,
    'examples': result.examples,
    **{m: v if math.isfinite(v) else None for m, v in figures.items()},
    'validation': result.validation,
    'minutes': result.minutes,
  }


def read(directory: files.PathLike, digest: str) -> Result | None:
  """Reads the result of one run, None if there is none.

  Raises:
    errors.InputError: if the file is not a result, or that of another run.
  """
  name = _file(directory, digest)
  if not name.exists():
    return None
  content = files.read_json(name, 'result of a run')
  try:
    sums = {
      arm: sums_lib.from_json(sums) for arm, sums in content['sums'].items()
    }
    result = Result(**{**content, 'sums': sums})
  except (AttributeError, KeyError, TypeError, ValueError) as e:
    raise errors.InputError(
      f'{name} is not the result of a run ({type(e).__name__}: {e}): expected '
      'one as it was written; remove it to repeat the run'
    ) from e
  if result.digest != digest:
    raise errors.InputError(
      f'{name} is the result of run {result.digest}: expected {digest}'
    )
  return result


def _file(directory: files.PathLike, digest: str) -> Any:
  return files.path(directory) / f'{digest[:_NAME]}.json'

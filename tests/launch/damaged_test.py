# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Damaged input of every published format, put to the binaries that read it.

Each is refused with exit code 2 and one line on stderr, which names the file
and what was expected.
"""

from collections.abc import Iterator
import contextlib
import io
import pathlib
import re
import sys
from typing import Any
from unittest import mock

from absl import app
from absl.testing import absltest
from absl.testing import parameterized
import ml_collections

from launch import cli
from tests.launch import binaries
from tests.launch import damaged_cases
from tests.launch import damaged_formats

# A few of them are put to the binaries as a shell does.
_PROCESSES = (
  ('activation patching', 'wrong BOS'),
  ('features', 'pickle'),
  ('pickles', 'calls'),
)


def _ids(cases: Any) -> Iterator[tuple[str, ...]]:
  for form, name, damage, said in cases:
    yield f'{form} {name}'.replace(' ', '_'), form, damage, said


class DamagedTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self._root = pathlib.Path(self.create_tempdir().full_path)
    self._folder = self._root / 'input'
    self._folder.mkdir()

  def _run(self, module: Any, config: ml_collections.ConfigDict) -> str:
    """Runs a binary up to its exit, which has to be 2; returns its stderr."""

    def run(*unused_args: Any, **unused_kwargs: Any) -> None:
      module.run(config, str(self._root / 'out'))

    said = io.StringIO()
    with (
      mock.patch.object(app, 'run', run),
      mock.patch.object(sys, 'argv', [module.__file__]),
      contextlib.redirect_stderr(said),
      self.assertRaises(SystemExit) as left,
    ):
      cli.launch(module.run, config='experiments/conversion.py')
    self.assertEqual(left.exception.code, 2)
    return said.getvalue()

  @parameterized.parameters(*damaged_formats.FORMATS)
  def test_a_whole_one_is_taken(self, form):
    damaged_formats.FORMATS[form].write(self._folder)
    module, config = damaged_formats.FORMATS[form].stage(self._folder)
    module.run(config, str(self._root / 'out'), True)

  @parameterized.named_parameters(*_ids(damaged_cases.CASES))
  def test_one_line_says_what_is_wrong(self, form, damage, said):
    damage(damaged_formats.write(form, self._folder))
    line = self._run(*damaged_formats.FORMATS[form].stage(self._folder))
    self.assertStartsWith(line, 'error: ')
    self.assertLen(line.splitlines(), 1)
    self.assertRegex(line, said)
    self.assertIn(str(self._folder), line)

  def test_processes(self):
    lines = []
    for form, name in _PROCESSES:
      folder = self._folder / form
      folder.mkdir()
      damage = next(
        d for f, n, d, _ in damaged_cases.CASES if (f, n) == (form, name)
      )
      damage(damaged_formats.write(form, folder))
      module, config = damaged_formats.FORMATS[form].stage(folder)
      given = config.to_dict()
      flat = {
        k: v
        for k, v in ml_collections.ConfigDict(given).items()
        if isinstance(v, str) and v
      }
      flat |= {
        f'published.{k}': v for k, v in given.get('published', {}).items() if v
      }
      file = {
        'activation patching': 'patching/published.py',
        'features': 'features/published.py',
        'pickles': 'conversion.py',
      }[form]
      lines.append(
        [
          module.__name__,
          f'--workdir={self._root}/{form}',
          f'--config=experiments/{file}',
          *(f'--config.{k}={v}' for k, v in flat.items()),
        ]
      )
    for ended in binaries.run(*lines):
      self.assertEqual(ended.code, 2, ended)
      # Conversion tells what it has done before.
      lines = [
        n for n in ended.stderr.splitlines() if not re.match(r'I\d{4} ', n)
      ]
      self.assertLen(lines, 1)
      self.assertStartsWith(lines[0], 'error: ')
      self.assertNotIn('called', ended.stdout)

  def test_every_format_has_several(self):
    for form in damaged_formats.FORMATS:
      if not form.startswith('text '):
        self.assertGreaterEqual(
          sum(f == form for f, *_ in damaged_cases.CASES), 4, form
        )
    self.assertGreaterEqual(len(damaged_cases.CASES), 40)


if __name__ == '__main__':
  absltest.main()

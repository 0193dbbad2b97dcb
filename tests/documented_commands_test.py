# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that the commands in README and docs are commands of this tree.

All are parsed by their binaries, flags and fields of configs included; those
about a finished quickstart are run on the smallest one.
"""

import os
import pathlib
import re
import shlex
from unittest import mock

from absl.testing import absltest

from tests.launch import binaries
from tests.launch import whole

_ROOT = pathlib.Path(__file__).parents[1]
_PAGES = ('README.md', *sorted(str(p) for p in (_ROOT / 'docs').glob('*.md')))

# Of a folder that the reader has.
_RUN = ('launch.ask', 'launch.report')


def commands(text: str) -> list[list[str]]:
  """Returns the `python -m` commands of a page, each as its words."""
  blocks = re.findall(r'```(?:bash|sh)\n(.*?)```', text, re.DOTALL)
  lines = [
    line for block in blocks for line in re.sub(r'\\\n', ' ', block).split('\n')
  ]
  lines += [
    ' '.join(code.split())
    for code in re.findall(
      r'`(python -m [^`]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL)
    )
  ]
  found = []
  for line in lines:
    _, python, rest = line.partition('python -m ')
    if python:
      words = shlex.split(rest.split(' && ')[0], comments=True)
      found.append([w for w in words if w not in ('...', '&')])
  return found


class DocumentedCommandsTest(absltest.TestCase):
  def all(self, part: str) -> list[tuple[str, list[str]]]:
    return [
      (page, words)
      for page in _PAGES
      for words in commands((_ROOT / page).read_text())
      if words[0].startswith(part) and words[0] != 'launch.NAME'
    ]

  def test_finds_commands(self):
    text = """
      ```bash
      python -m launch.ask --prompt='a b' \\
        --layer=1   # why
      cd x && .venv/bin/python -m launch.serve && ls
      ```
      or `python -m launch.report
      --workdir=DIR`.
    """
    self.assertEqual(
      commands(re.sub('^      ', '', text, flags=re.MULTILINE)),
      [
        ['launch.ask', '--prompt=a b', '--layer=1'],
        ['launch.serve'],
        ['launch.report', '--workdir=DIR'],
      ],
    )
    self.assertGreater(len(self.all('launch.')), 25)
    self.assertGreater(len(self.all('experiments.')), 5)

  def test_all_are_understood(self):
    asked = self.all('launch.')
    for (page, words), ended in zip(
      asked,
      binaries.run(*([*words, '--help'] for _, words in asked)),
      strict=True,
    ):
      self.assertEqual(ended.code, 0, f'{page}: {words}: {ended.stderr}')

  def test_those_that_have_flags_of_their_own_have_these(self):
    for page, words in self.all('experiments.'):
      source = _ROOT / f'{words[0].replace(".", "/")}.py'
      self.assertTrue(source.exists(), f'{page}: {words}')
      for word in words[1:]:
        flag = re.match(r'--(\w+)', word)
        if flag and flag[1] != 'config':
          self.assertRegex(
            source.read_text(), f'[\'"]{flag[1]}[\'"]', f'{page}: {words}'
          )

  def test_those_of_a_finished_quickstart_run(self):
    run_, _ = whole.run()
    home = pathlib.Path(self.create_tempdir().full_path)
    (home / '.cache/selfexplain_jax').mkdir(parents=True)
    os.symlink(run_, home / '.cache/selfexplain_jax/quickstart')
    small = {'DIR': str(run_), '3': '1'}  # Its models have two layers.
    own = [
      [
        re.sub(
          r'(?<=^--workdir=)DIR$|(?<=^--layer=)3$', lambda m: small[m[0]], w
        )
        for w in words
      ]
      for page, words in self.all('launch.')
      if page == 'README.md' and words[0] in _RUN
    ]
    self.assertGreater(len(own), 1)
    with mock.patch.dict(os.environ, {'HOME': str(home)}):
      for words, ended in zip(own, binaries.run(*own), strict=True):
        self.assertEqual(ended.code, 0, f'{words}: {ended.stderr}')


if __name__ == '__main__':
  absltest.main()

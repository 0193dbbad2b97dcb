# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of asking from a command line."""

import json
import os
import pathlib
import shlex

from absl.testing import absltest

from selfexplain_jax import files
from tests.launch import binaries
from tests.launch import whole


class AskTest(absltest.TestCase):
  def test_questions(self):
    run_, _ = whole.run()
    ask = ['launch.ask', f'--explainer={run_}']
    listed, answered, swept, asked = binaries.run(
      [*ask, '--list=examples'],
      [*ask, '--prompt=anna keller', '--position=2', '--layer=0', '--json'],
      [*ask, '--prompt=anna keller', '--position=1', '--sweep'],
      [
        *ask,
        '--prompt_ids=1,9,10',
        '--position=2',
        '--layer=0-1',
        '--json',
        '--question=does the output change if patched',
      ],
    )
    for ended in (listed, answered, swept, asked):
      self.assertEqual(ended.code, 0, ended.stderr)
    found = json.loads(answered.stdout)
    self.assertEqual(found['task'], 'features')
    self.assertEqual(found['tokens'][1:], ['anna', 'keller'])
    self.assertIn('answer', found['control'])
    self.assertEqual(swept.stdout.count('\nanswer   '), 2)
    found = json.loads(asked.stdout)
    self.assertEqual((found['task'], found['ids']), ('patching', [1, 9, 10]))
    self.assertEqual(found['layers'], [0, 1])

    # Examples can be pasted.
    examples = [shlex.split(line) for line in listed.stdout.splitlines()]
    self.assertLen(examples, 9)
    for ended in binaries.run(*([*ask, *line] for line in examples[::4])):
      self.assertEqual(ended.code, 0, ended.stderr)
      self.assertIn('\nanswer   ', ended.stdout)

  def test_bad_input(self):
    run_, _ = whole.run()
    ask = ['launch.ask', f'--explainer={run_}']
    moved = pathlib.Path(self.create_tempdir().full_path)
    noted = run_ / 'self_explainer/config.json'
    for name in ('unfinished', 'moved'):
      (moved / name).mkdir()
      config = files.read_json(noted, 'config')
      if name == 'moved':
        os.symlink(
          run_ / 'self_explainer/metrics.json', moved / name / 'metrics.json'
        )
        config['explanations']['patching'] = str(moved / 'nowhere')
      files.write_json(moved / name / 'config.json', config)
    cases = (
      (
        ['launch.ask', '--explainer=/nowhere'],
        'expected the workdir of train_ex',
      ),
      (['launch.ask', f'--explainer={run_}/target'], 'of another stage'),
      (['launch.ask', f'--explainer={moved}/unfinished'], 'whose training has'),
      (
        ['launch.ask', f'--explainer={moved}/moved'],
        'moved/config.json has the',
      ),
      ([*ask, f'--target={run_}/stranger/model'], 'is not the target of the'),
      ([*ask, '--target=/nowhere'], 'there is no /nowhere, the target of'),
      ([*ask, '--position=1'], 'either --prompt or --prompt_ids'),
      ([*ask, '--prompt=anna'], '--position is missing'),
      ([*ask, '--prompt_ids=1,b', '--position=0'], "--prompt_ids has 'b'"),
      ([*ask, '--json'], '--json needs a question'),
      (
        [*ask, '--prompt=anna kellr', '--position=1', '--layer=0'],
        "word 'kellr'",
      ),
      ([*ask, '--list=towns'], '--list'),
    )
    for (line, pattern), ended in zip(
      cases, binaries.run(*(line for line, _ in cases)), strict=True
    ):
      self.assertEqual(ended.code, 2, (line, ended))
      self.assertIn(pattern, ended.stderr)
      self.assertLen(ended.stderr.strip().splitlines(), 1, ended.stderr)
      self.assertEmpty(ended.stdout)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the public names, by the page that shows them and by oracles."""

import doctest
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
import numpy as np
import treescope

import selfexplain_jax as sx
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from tests.launch import whole
from tests.models import oracle

_PAGE = pathlib.Path(__file__).parents[1] / 'docs/library.md'


class LibraryTest(absltest.TestCase):
  def test_the_page(self):
    run_, _ = whole.run()
    home = pathlib.Path(self.create_tempdir().full_path)
    (home / '.cache/selfexplain_jax').mkdir(parents=True)
    os.symlink(run_, home / '.cache/selfexplain_jax/quickstart')
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with mock.patch.dict(os.environ, {'HOME': str(home)}):
      found = doctest.testfile(
        str(_PAGE), module_relative=False, optionflags=flags
      )
    self.assertEqual(found.failed, 0)
    self.assertGreater(found.attempted, 15)

  def test_the_page_names_all_names(self):
    text = _PAGE.read_text()
    self.assertEqual(dir(sx), sorted(sx.__all__))
    for name in sx.__all__:
      self.assertIn(f'`{name}`', text)
      self.assertTrue(getattr(sx, name).__doc__, name)
    with self.assertRaises(AttributeError):
      sx.library_of_alexandria  # noqa: B018

  def test_importing_the_package_imports_nothing_heavy(self):
    code = (
      'import sys, selfexplain_jax; '
      "print([m for m in ('jax', 'numpy', 'flax') if m in sys.modules])"
    )
    made = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    self.assertEqual(made.stdout.strip(), '[]')

  def test_captures_and_patches_equal_the_slow_decoder(self):
    run_, _ = whole.run()
    target = sx.load(str(run_ / 'target/model'))
    self.assertNotIn('Decoder(', treescope.render_to_text(target))
    texts = ['anna keller', 'felix farkas plays the']
    for site in ('resid_mid', 'embed'):
      found = sx.capture(target, texts, [1, 0], site)
      self.assertIn('Decoder(', treescope.render_to_text(target))
      for n, text in enumerate(texts):
        ids = np.array(target.tokenizer.encode_prompt(text))
        _, seen = oracle.forward(target.model, ids)
        for slot, layer in enumerate((1, 0) if site == 'resid_mid' else (0,)):
          expected = seen[site, layer]
          bound = 1e-5 * np.abs(expected).max()
          np.testing.assert_allclose(
            found.values[n, slot, : len(ids)], expected, 0, bound
          )
        self.assertTrue(np.all(found.values[n, :, len(ids) :] == 0))
    vector = 5 * np.random.default_rng(0).normal(size=target.config.width)
    effect = sx.patch(target, texts[1], (0, 1), 4, vector)
    ids = target.tokenizer.encode_prompt(texts[1])
    again = sx.patch(target, ids, 1, 4, vector)
    self.assertEqual(effect.treated_token, again.treated_token)
    self.assertAlmostEqual(effect.treated_margin, again.treated_margin, 3)

  def test_ablations_are_those_of_the_set(self):
    run_, _ = whole.run()
    target = sx.load(str(run_ / 'target/model'))
    explained = explanations.read(run_ / 'ablation')
    for row in explained.rows[:4]:
      effect = sx.ablate(
        target,
        row['prompt_ids'],
        *(row['start'], row['end'], row['replacement_ids']),
      )
      self.assertEqual(effect.changed, row['changed'])
      self.assertEqual(effect.treated_token, row['treated_token'])
      self.assertAlmostEqual(effect.treated_margin, row['treated_margin'], 3)

  def test_figures_are_those_of_the_evaluation(self):
    run_, _ = whole.run()
    interview = sx.open_interview(str(run_))
    for task in whole.TASKS:
      expected = files.read_json(
        run_ / f'{task}_evaluation/metrics.json', 'figures'
      )
      arms = [
        a for a in ('self', 'wrong_layer', 'majority') if a in expected['rows']
      ]
      found = sx.evaluate(interview, task, 'test', 24, arms)
      for arm in arms:
        self.assertEqual(found['rows'][arm], expected['rows'][arm], (task, arm))

  def test_refuses(self):
    run_, _ = whole.run()
    target = sx.load(str(run_ / 'target/model'))
    width = target.config.width
    for call, pattern in (
      (lambda: sx.capture(target, []), 'no texts'),
      (lambda: sx.capture(target, [()]), 'no tokens'),
      (lambda: sx.capture(target, ['anna'], [7]), 'cannot capture layer 7'),
      (lambda: sx.capture(target, ['anna'], None, 'x'), "unknown site 'x'"),
      (
        lambda: sx.patch(target, 'anna', 2, 1, np.zeros(width)),
        'layers 2 to 2',
      ),
      (lambda: sx.patch(target, 'anna', 0, 9, np.zeros(width)), 'position 9'),
      (lambda: sx.patch(target, 'anna', 0, 1, np.zeros(3)), 'has shape'),
      (lambda: sx.open_interview('/nowhere'), 'expected the workdir'),
    ):
      with self.assertRaisesRegex(sx.InputError, pattern):
        call()


if __name__ == '__main__':
  absltest.main()

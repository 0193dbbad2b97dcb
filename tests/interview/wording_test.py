# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of which question is meant."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.interview import wording
from selfexplain_jax.tasks import table

_PHRASINGS = {n: t.language.PHRASINGS for n, t in table.TASKS.items()}


class WordingTest(parameterized.TestCase):
  @parameterized.parameters(
    ('patching', 'patching', 0),
    ('ablation', 'ablation', 0),
    ('what does it encode?', 'features', 1),
    ('When is it active', 'features', 2),
    ('describe this', 'features', 3),
    (
      'does the output change if that is replaced at layers 1 to 2',
      'patching',
      3,
    ),
    ('how does the output change when patched', 'patching', 4),
    ('what happens when <hint> is read', 'ablation', 1),
  )
  def test_finds_the_nearest(self, asked, task, phrasing):
    self.assertEqual(
      wording.find(asked, _PHRASINGS), (task, _PHRASINGS[task][phrasing])
    )

  def test_every_phrasing_finds_itself(self):
    for task, own in _PHRASINGS.items():
      for phrasing in own:
        found = wording.find(phrasing, {task: own})
        self.assertEqual(found, (task, phrasing))

  @parameterized.parameters('', 'guten tag', '???', 'what is the weather?')
  def test_refuses_what_is_like_nothing(self, asked):
    with self.assertRaisesRegex(errors.InputError, 'expected features, patch'):
      wording.find(asked, _PHRASINGS)


if __name__ == '__main__':
  absltest.main()

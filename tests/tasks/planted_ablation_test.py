# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Ablations of a model whose circuit is planted: effects known by hand."""

import itertools

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import spans as spans_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import cells
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from tests import planted

_HINTS, _KEYS = ('rome', 'vienna'), ('france', 'gaul', 'spain', 'atlantis')
_TEXTS = [
  [hint, 'the', 'capital', 'of', key, 'is']
  for hint, key in itertools.product(_HINTS, _KEYS)
]
_PLACES = {'hint': 0, 'key': 4, 'filler': 2}  # Words of the text.


def _asked():
  count = len(_TEXTS)
  prompts = prompts_lib.Prompts(
    ids=[planted.TOKENIZER.encode_prompt(' '.join(t)) for t in _TEXTS],
    text=[' '.join(text) for text in _TEXTS],
    positions={},
    kind=['capital'] * count,
    group=[text[4] for text in _TEXTS],
    split=['test'] * count,
    answer=np.full(count, -1, np.int32),
    known=np.ones(count, bool),
  )
  spans = {
    name: np.tile([1 + word, 2 + word], (count, 1))
    for name, word in _PLACES.items()
  }
  return spans_lib.SpannedPrompts(prompts, spans)


class PlantedAblationTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    target = target_lib.Target.of(
      planted.model(), planted.TOKENIZER, 'planted', 'abc'
    )
    cls.ablations = ablation_effects.Ablations(target, _asked(), seed=0)

  def expected(self, base, place, other, removed):
    """The words without or with another's word, and what follows them."""
    words = list(_TEXTS[base])
    at = list(_PLACES.values())[place]
    words[at : at + 1] = [] if removed else [_TEXTS[other][at]]
    return planted.answer(words)

  def test_every_ablation_has_the_effect_that_the_rule_gives(self):
    every = np.array(
      [
        (base, base if removed else other, place, 1 - removed)
        for base in range(len(_TEXTS))
        for other in range(len(_TEXTS))
        for place in range(len(_PLACES))
        for removed in (0, 1)
      ]
    )
    drawn = cells.Drawn(*every.T)
    found = self.ablations.run(drawn, 96)
    expected = [
      self.expected(b, p, o, removed=not kind) for b, o, p, kind in every
    ]
    self.assertEqual(
      [planted.TOKENIZER.token(int(t)) for t in found.token], expected
    )
    np.testing.assert_allclose(found.margin, planted.MARGIN, rtol=1e-4)

  def test_some_effects_by_hand(self):
    # rome the capital of france is -> paris, whatever the hint.
    for base, place, removed, other, says in (
      (0, 0, True, 0, 'paris'),  # Without the hint.
      (0, 1, True, 0, 'rome'),  # Without the country the hint is followed.
      (0, 1, False, 1, 'paris'),  # gaul has the same capital as france.
      (0, 1, False, 2, 'madrid'),
      (0, 1, False, 3, 'rome'),  # atlantis is not known: the hint again.
      (3, 0, True, 3, 'unknown'),  # Neither country nor hint.
      (3, 0, False, 7, 'vienna'),  # Another hint.
    ):
      self.assertEqual(self.expected(base, place, other, removed), says)

  def test_a_set_of_them_tells_the_same(self):
    config = ml_collections.ConfigDict()
    config.seed, config.rounds, config.quota = 0, 1, dict(test=12)
    config.floor = dict(unchanged=0.5, changed=1.0)
    config.dtype, config.keep_unstable = 'float32', False
    clean = self.ablations.run_clean(np.arange(len(_TEXTS)), 96)
    made = sampling.sample(
      self.ablations, clean, np.arange(len(_TEXTS)), config, 'test'
    )
    self.assertNotEmpty(made.drawn)
    for row in range(len(made.drawn)):
      base = int(made.drawn.base[row])
      record = changes.effect(planted.TOKENIZER, clean, made.effects, base, row)
      after = self.expected(
        base,
        int(made.drawn.kind[row]),
        int(made.drawn.counterfactual[row]),
        removed=made.drawn.block[row] == 0,
      )
      before = planted.answer(_TEXTS[base])
      self.assertEqual(record['changed'], after != before)
      self.assertIn(f'<<<{after}>>>', ablation.answer(record))
      # The filler does nothing.
      if made.drawn.kind[row] == 2:
        self.assertFalse(record['changed'])


if __name__ == '__main__':
  absltest.main()

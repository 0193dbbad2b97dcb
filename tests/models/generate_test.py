# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of cached greedy generation against a loop without a cache."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate
from tests.models import oracle
from tests.models import tiny

_PROMPTS = ([1, 7, 12, 30, 5, 9, 22], [33], [1, 4, 19, 8])
_NOWHERE = -1  # An end token that is never chosen.
_NEW = 64  # In every test, so that they share one compiled program.


def _padded(prompts, padding=0):
  length = max(map(len, prompts))
  rows = [list(p) + [padding] * (length - len(p)) for p in prompts]
  lengths = jnp.asarray([len(p) for p in prompts], jnp.int32)
  return jnp.asarray(rows, jnp.int32), lengths


def _generate(model, tokens, lengths, end_id=_NOWHERE, **kwargs):
  return generate.generate(
    model, tokens, lengths, new_tokens=_NEW, end_id=end_id, **kwargs
  )


class GenerateTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('llama', dict()),
    ('one_layer', dict(layers=1)),
    ('scaled', dict(rope_scaling=tiny.SCALING, tied=True)),
    ('query_key_norm', dict(query_key_norm=True)),
    ('gemma2', tiny.gemma2(2)),
  )
  def test_equals_uncached_loop(self, changes):
    model = tiny.model(**{'layers': 2, **changes})
    found = _generate(model, *_padded(_PROMPTS))
    for row, prompt in enumerate(_PROMPTS):
      expected = oracle.generate(model, prompt, _NEW)
      self.assertEqual(found.tokens[row].tolist(), expected)
      self.assertEqual(found.length[row], _NEW)
      logits, _ = oracle.forward(model, np.array(prompt + expected))
      logits = logits[len(prompt) - 1 : -1]
      total = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
      self.assertAlmostEqual(
        float(found.log_probability[row]),
        float(total[np.arange(_NEW), expected].sum()),
        delta=1e-3,
      )

  def test_a_row_stops_at_the_end_token_and_the_others_go_on(self):
    model = tiny.model(layers=2)
    free = _generate(model, *_padded(_PROMPTS))
    for step in (0, 2, 5):
      end = int(free.tokens[0, step])
      found = _generate(model, *_padded(_PROMPTS), end_id=end)
      for row in range(3):
        expected = free.tokens[row].tolist()
        stop = expected.index(end) if end in expected else _NEW
        kept = expected[: stop + 1]
        self.assertEqual(found.length[row], stop)
        self.assertEqual(
          found.tokens[row].tolist(), kept + [end] * (_NEW - len(kept))
        )
      self.assertLessEqual(int(found.length[0]), step)
      self.assertGreater(int(found.length.max()), int(found.length[0]))

  def test_layers_that_are_not_copied_give_the_same(self):
    model = tiny.model(layers=2)
    expected = _generate(model, *_padded(_PROMPTS)).tokens
    jax.clear_caches()
    with mock.patch.object(generate, '_COPIED', 0):
      found = _generate(model, *_padded(_PROMPTS)).tokens
    jax.clear_caches()
    self.assertEqual(found.tolist(), expected.tolist())

  @parameterized.named_parameters(('llama', dict()), ('gemma2', tiny.gemma2(2)))
  def test_half_of_the_rows_going_on_alone_changes_nothing(self, changes):
    few = mock.patch.object(generate, '_FEWEST_ROWS', 16)
    halving = mock.patch.object(generate, '_halving', wraps=generate._halving)
    self.enter_context(few)
    halved = self.enter_context(halving)
    model = tiny.model(**{'layers': 2, **changes})
    prompts = [[1, 2 + n, 3 + 2 * n][: 1 + n % 3] for n in range(17)]
    tokens, lengths = _padded(prompts)
    free = _generate(model, tokens, lengths)
    halved.assert_called_once()
    # Rows end one after the other, and some never: both loops are run.
    rows = free.tokens.tolist()
    said = {
      token: sum(token in row for row in rows) for row in rows for token in row
    }
    end = max((t for t in said if said[t] < 16), key=said.__getitem__)
    empty = (4, 7, 10, 13)
    ends = [end in row or n in empty for n, row in enumerate(rows)]
    self.assertGreater(sum(ends), 8)
    self.assertLess(sum(ends), 16)
    found = _generate(
      model, tokens, lengths.at[np.array(empty)].set(0), end_id=end
    )
    for row in range(17):
      expected = [] if row in empty else rows[row]
      stop = expected.index(end) if end in expected else len(expected)
      self.assertEqual(found.length[row], stop)
      kept = expected[: stop + 1]
      padding = [end] * (_NEW - len(kept))
      self.assertEqual(found.tokens[row].tolist(), kept + padding)
    whole = [row for row in range(17) if not ends[row]]
    np.testing.assert_allclose(
      found.log_probability[np.array(whole)],
      free.log_probability[np.array(whole)],
      1e-5,
    )

  def test_log_probability_ends_with_the_end_token(self):
    model = tiny.model(layers=2)
    prompt = _PROMPTS[0]
    text = oracle.generate(model, prompt, _NEW)
    stop = next(i for i in range(1, _NEW) if text[i] not in text[:i])
    logits, _ = oracle.forward(model, np.array(prompt + text[: stop + 1]))
    logits = logits[len(prompt) - 1 : -1]
    total = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = total[np.arange(stop + 1), text[: stop + 1]].sum()
    found = _generate(model, *_padded(_PROMPTS), end_id=text[stop])
    self.assertEqual(found.length[0], stop)
    np.testing.assert_allclose(found.log_probability[0], expected, 1e-5)

  def test_padding_and_company_change_nothing(self):
    model = tiny.model(layers=2)
    expected = _generate(model, *_padded(_PROMPTS)).tokens
    found = _generate(model, *_padded(_PROMPTS[::-1], padding=17)).tokens
    self.assertEqual(found[::-1].tolist(), expected.tolist())

  def test_a_row_of_length_0_ends_before_it_begins(self):
    model = tiny.model(layers=2)
    tokens, lengths = _padded(_PROMPTS)
    expected = _generate(model, tokens, lengths)
    found = _generate(model, tokens, lengths.at[1].set(0))
    self.assertEqual(found.tokens[1].tolist(), [_NOWHERE] * _NEW)
    self.assertEqual(found.length[1], 0)
    self.assertEqual(found.log_probability[1], 0.0)
    for row in (0, 2):
      self.assertEqual(
        found.tokens[row].tolist(), expected.tokens[row].tolist()
      )

  def test_embeddings_in_place_of_tokens(self):
    model = tiny.model(layers=2)
    tokens, lengths = _padded(_PROMPTS)
    expected = _generate(model, tokens, lengths)
    found = _generate(
      model,
      jnp.zeros_like(tokens),
      lengths,
      embeddings_BxTxD=decoder.embed(model, tokens),
    )
    self.assertEqual(found.tokens.tolist(), expected.tokens.tolist())


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of effects on the planted circuit, where all of them are known."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import effects
from selfexplain_jax.interventions import run
from selfexplain_jax.models import rotation
from selfexplain_jax.models import sites as sites_lib
from tests import planted
from tests.models import oracle

_MODEL = planted.model()
_BOS = planted.TOKENIZER.special['bos_token']
_SITES = tuple(site.name for site in sites_lib.SITES)
_LENGTH = 12  # Of the padded rows.
_BATCH = 128

# Prompt, answer.
_ANSWERS = (
  ('the capital of france is', 'paris'),
  ('the capital of gaul is', 'paris'),
  ('the capital of italy is', 'rome'),
  ('spain', 'madrid'),
  ('the capital of austria is now of the capital of', 'vienna'),
  ('france and italy is', 'rome'),
  ('italy france', 'paris'),
  ('the capital of atlantis is', 'unknown'),
  ('the capital of', 'unknown'),
  ('rome the capital of atlantis is', 'rome'),
  ('rome and vienna the capital of utopia is', 'vienna'),
  ('rome the capital of france is', 'paris'),
  ('the capital of france is rome', 'paris'),
)

# Prompt, position and the word that comes there, the answer then; BOS is at 0.
_EXCHANGES = (
  ('the capital of france is', 4, 'italy', 'rome'),
  ('the capital of france is', 4, 'gaul', 'paris'),
  ('the capital of france is', 4, 'atlantis', 'unknown'),
  ('the capital of france is', 2, 'italy', 'paris'),
  ('the capital of france is', 5, 'italy', 'rome'),
  ('rome the capital of france is', 5, 'atlantis', 'rome'),
  ('rome the capital of utopia is', 1, 'the', 'unknown'),
  ('rome the capital of utopia is', 1, 'madrid', 'madrid'),
  ('france and italy is', 3, 'the', 'paris'),
)

# Sites and layers by what an activation that is put in there counts as; at all
# others zeros are exchanged for zeros.
_AS_WORD = (
  ('embed', 0),
  ('resid_pre', 0),
  ('resid_mid', 0),
  ('mlp_out', 0),
  ('resid_post', 0),
  ('resid_pre', 1),
)
_AS_ANSWER = (
  ('attn_out', 1),
  ('resid_mid', 1),
  ('resid_post', 1),
  ('resid_pre', 2),
  ('resid_mid', 2),
  ('resid_post', 2),
  ('final_norm', 0),
)


def _words(text):
  return [_BOS, *text.split()]


def _rows(prompts):
  """Padded token ids and lengths of prompts, each a list of words."""
  tokens = np.zeros((len(prompts), _LENGTH), np.int32)
  for row, words in zip(tokens, prompts):
    row[: len(words)] = [planted.TOKENIZER.id_of(word) for word in words]
  return tokens, np.array([len(words) for words in prompts], np.int32)


def _captured(model, prompts):
  """Activations of all positions by site, [L, N, T, D] or [N, T, D]."""
  tokens, length = _rows(prompts)
  tap = capture.build(
    model.config,
    _SITES,
    tuple(range(planted.LAYERS)),
    np.broadcast_to(np.arange(_LENGTH), tokens.shape),
  )
  return jax.device_get(run.run(model, tokens, length, None, tap).captured)


def _cells(prompts, site, first, last, position, vector):
  tokens, length = _rows(prompts)
  count = len(prompts)

  def column(value):
    return np.broadcast_to(np.asarray(value, np.int32), count)

  return effects.Cells(
    tokens=tokens,
    length=length,
    first=column(first),
    last=column(last),
    position=column(position),
    vector=np.broadcast_to(vector, (count, planted.CONFIG.width)),
    site=site,
  )


def _said(made):
  return [planted.TOKENIZER.token(int(token)) for token in made.token]


def _run_planned(model, cells, batch):
  return effects.run_planned(model, cells, effects.plan(model, cells, batch))


_WAYS = (effects.run_whole, _run_planned)


class CleanTest(parameterized.TestCase):
  def test_answers(self):
    prompts = [_words(text) for text, _ in _ANSWERS]
    expected = [value for _, value in _ANSWERS]
    self.assertEqual([planted.answer(words) for words in prompts], expected)
    made = effects.run_clean(_MODEL, *_rows(prompts), _BATCH)
    self.assertEqual(_said(made), expected)
    np.testing.assert_allclose(made.margin, planted.MARGIN, atol=1e-3)

  def test_answers_by_the_slow_decoder(self):
    for text, value in _ANSWERS:
      ids = planted.TOKENIZER.encode_prompt(text)
      logits = oracle.forward(_MODEL, np.array(ids))[0][-1]
      expected = np.zeros(planted.CONFIG.vocabulary)
      expected[planted.TOKENIZER.id_of(value)] = planted.MARGIN
      np.testing.assert_allclose(logits, expected, atol=1e-3, err_msg=text)

  def test_answers_over_the_longest_distance(self):
    between = planted.CONFIG.max_positions - 2
    # A known country beats a hint however far, and a hint the rest.
    for first, other in (('france', 'rome'), ('paris', 'the')):
      words = [_BOS, first, *[other] * between]
      ids = [planted.TOKENIZER.id_of(word) for word in words]
      made = effects.run_clean(
        _MODEL, np.array([ids]), np.array([len(ids)]), batch=1
      )
      self.assertEqual(_said(made), ['paris'])
      np.testing.assert_allclose(made.margin, planted.MARGIN, atol=1e-3)

  def test_follows_its_rule_on_any_words(self):
    rng = np.random.default_rng(0)
    count, longest = 500, planted.CONFIG.max_positions
    length = rng.integers(1, longest + 1, count).astype(np.int32)
    tokens = rng.integers(0, planted.CONFIG.vocabulary, (count, longest))
    made = effects.run_clean(_MODEL, tokens.astype(np.int32), length)
    expected = [
      planted.answer([planted.VOCABULARY[i] for i in row[:n]])
      for row, n in zip(tokens, length)
    ]
    self.assertEqual(_said(made), expected)
    self.assertEqual(set(expected), set(planted.ANSWERS))
    np.testing.assert_allclose(made.margin, planted.MARGIN, atol=1e-3)

  def test_the_stream_is_the_sum_of_the_active_features(self):
    prompts = [_words(text) for text, _ in _ANSWERS]
    kept = _captured(_MODEL, prompts)
    for layer in range(-1, planted.LAYERS):
      stream = kept['embed'] if layer < 0 else kept['resid_post'][layer]
      for n, words in enumerate(prompts):
        for position, features in enumerate(planted.active(words, layer)):
          expected = sum(planted.direction(name) for name in features)
          np.testing.assert_allclose(
            stream[n, position], expected, atol=1e-5, err_msg=f'{words} {layer}'
          )

  def test_the_active_features_of_a_prompt_by_hand(self):
    words = _words('rome atlantis gaul is')
    self.assertEqual(
      planted.active(words, 2)[1:],
      [
        {'token rome', 'constant', 'found rome', 'hint', 'answer rome'},
        {
          'token atlantis',
          'constant',
          'found unknown',
          'nothing',
          'answer rome',
        },
        {'token gaul', 'constant', 'found paris', 'known', 'answer paris'},
        {'token is', 'constant', 'found unknown', 'nothing', 'answer paris'},
      ],
    )
    self.assertEqual(planted.active(words, -1)[3], {'token gaul', 'constant'})
    self.assertLen(planted.active(words, 0)[3], 4)

  def test_arrays_of_directions(self):
    table = _MODEL.embedding[...]
    keys = [planted.TOKENIZER.id_of(word) for word in planted.VALUE_OF]
    np.testing.assert_array_equal(
      planted.directions('token', list(planted.VALUE_OF)),
      table[np.array(keys)] - planted.direction('constant')[None],
    )


class PatchTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('as_it_is', _MODEL, np.eye(planted.CONFIG.width), _SITES),
    (
      'rotated',
      rotation.rotate(_MODEL, seed=3),
      rotation.rotation_matrix(planted.CONFIG.width, seed=3),
      ('resid_post',),
    ),
  )
  def test_every_position_and_layer(self, model, turn, sites):
    """Each activation of one prompt in place of another's, by the rule."""
    for run_cells in _WAYS:
      self._patch_everywhere(run_cells, model, turn, sites)

  def _patch_everywhere(self, run_cells, model, turn, sites):
    texts = (
      'the capital of france is',
      'the capital of italy is',
      'rome and atlantis now is',
    )
    prompts = [_words(text) for text in texts]
    # All of the model as it is: the rotated one is given rotated vectors.
    kept = {
      site: value @ turn for site, value in _captured(_MODEL, prompts).items()
    }
    answers = set()
    for site in map(sites_lib.site, sites):
      asked, expected, vectors = [], [], []
      for n, words in enumerate(prompts):
        for donor, others in enumerate(prompts):
          for layer in range(planted.LAYERS if site.layered else 1):
            for position in range(len(words)):
              asked.append((n, layer, position))
              expected.append(
                _after_patch(words, others, position, site.name, layer)
              )
              value = kept[site.name]
              value = value[layer] if site.layered else value
              vectors.append(value[donor, position])
      n, layer, position = np.transpose(asked)
      cells = _cells(
        [prompts[i] for i in n], site.name, layer, layer, position, vectors
      )
      made = run_cells(model, cells, _BATCH)
      self.assertEqual(_said(made), expected, site.name)
      np.testing.assert_allclose(made.margin, planted.MARGIN, atol=1e-3)
      answers.update(expected)
    self.assertEqual(answers, {'paris', 'rome', 'unknown'})

  @parameterized.parameters(*_WAYS)
  def test_by_hand(self, run_cells):
    """The claims of the fixture's docstring, without its functions."""
    france = _words('the capital of france is')
    stream = _captured(_MODEL, [_words('the capital of italy is'), france])[
      'resid_post'
    ]
    key, last = 4, 5
    # Layer and position patched, position and layer that the vector of the
    # prompt about Italy is from, and the answer; None for no answer at all.
    expected = (
      (0, key, key, 0, 'rome'),
      (1, key, key, 1, 'paris'),
      (2, key, key, 2, 'paris'),
      (0, last, last, 0, 'paris'),
      (1, last, last, 1, 'rome'),
      (2, last, last, 2, 'rome'),
      (0, 3, 3, 0, 'paris'),
      (1, 3, 3, 1, 'paris'),
      (0, last, key, 0, 'rome'),
      (1, last, 3, 1, 'unknown'),
      (1, last, key, 0, None),
    )
    layer, position, source, depth, answers = zip(*expected)
    cells = _cells(
      [france] * len(expected),
      'resid_post',
      layer,
      layer,
      position,
      stream[np.array(depth), 0, np.array(source)],
    )
    made = run_cells(_MODEL, cells, _BATCH)
    for said, margin, wanted in zip(_said(made), made.margin, answers):
      if wanted is None:
        self.assertEqual(margin, 0)
      else:
        self.assertEqual((said, round(float(margin), 2)), (wanted, 10.0))

  @parameterized.parameters(*_WAYS)
  def test_blocks_of_layers(self, run_cells):
    """A vector of the lookup acts if its first layer is written, or never."""
    france = _words('the capital of france is')
    vector = sum(
      planted.direction(name)
      for name in ('token spain', 'constant', 'found madrid', 'known')
    )
    blocks = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    first, last = zip(*blocks)
    cells = _cells([france] * len(blocks), 'resid_post', first, last, 4, vector)
    made = run_cells(_MODEL, cells, _BATCH)
    self.assertEqual(_said(made), ['madrid'] * 3 + ['paris'] * 3)


class ExchangeTest(parameterized.TestCase):
  def test_words_exchanged_in_the_prompt(self):
    prompts = []
    for text, position, word, _ in _EXCHANGES:
      words = _words(text)
      words[position] = word
      prompts.append(words)
    made = effects.run_clean(_MODEL, *_rows(prompts), _BATCH)
    self.assertEqual(_said(made), [value for *_, value in _EXCHANGES])

  def test_words_removed_from_the_prompt(self):
    removed = (
      ('the capital of france is', 'france', 'unknown'),
      ('the capital of france is', 'capital', 'paris'),
      ('rome the capital of france is', 'france', 'rome'),
      ('rome the capital of france is', 'rome', 'paris'),
      ('rome the capital of utopia is', 'rome', 'unknown'),
      ('france and italy is', 'italy', 'paris'),
      ('france and italy is', 'france', 'rome'),
    )
    prompts = [
      [word for word in _words(text) if word != gone]
      for text, gone, _ in removed
    ]
    made = effects.run_clean(_MODEL, *_rows(prompts), _BATCH)
    self.assertEqual(_said(made), [value for *_, value in removed])
    np.testing.assert_allclose(made.margin, planted.MARGIN, atol=1e-3)

  @parameterized.parameters(*_WAYS)
  def test_exchanging_the_embedding_is_exchanging_the_word(self, run_cells):
    prompts = [_words(text) for text, *_ in _EXCHANGES]
    vectors = [
      planted.direction(f'token {word}') + planted.direction('constant')
      for *_, word, _ in _EXCHANGES
    ]
    position = [position for _, position, *_ in _EXCHANGES]
    cells = _cells(prompts, 'embed', 0, 0, position, np.stack(vectors))
    made = run_cells(_MODEL, cells, _BATCH)
    self.assertEqual(_said(made), [value for *_, value in _EXCHANGES])


def _after_patch(words, others, position, site, layer):
  """The answer with an activation of `others` at the same place of `words`."""
  as_word = (site, layer) in _AS_WORD
  as_answer = (site, layer) in _AS_ANSWER
  assert as_word == planted.before_copy(site, layer), (site, layer)
  assert as_answer == planted.after_copy(site, layer), (site, layer)
  if as_word:
    changed = [*words]
    changed[position] = others[position]
    return planted.answer(changed)
  if as_answer and position == len(words) - 1:
    return planted.answer(others[: position + 1])
  return planted.answer(words)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of who is asked what in an evaluation."""

from typing import cast
from unittest import mock

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection
from selfexplain_jax.fidelity import arms
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.tasks import patching
from tests.data import fixtures

TOKENIZER = fixtures.TOKENIZER
EXPLAINED = fixtures.explanation_set(60)
ASKED = arms.Asked(
  EXPLAINED,
  chosen=EXPLAINED.split('test'),
  train=EXPLAINED.split('train'),
  seed=0,
)
EXPLAINER = explainer_lib.Explainer(
  model=cast(decoder.Decoder, None),
  tokenizer=TOKENIZER,
  injection=injection.Injection('replace_embedding', TOKENIZER.vector_id, 1.0),
  phrasings=patching.PHRASINGS[1:3],
)


class ArmsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.calls = []
    self.enter_context(mock.patch.object(answering, 'ask', self.answer))

  def answer(self, model, injected, question_ids, vectors, **options):
    """Says how many tokens each question has, as that many commas."""
    self.calls.append((model, injected, question_ids, vectors, options))
    comma = TOKENIZER.encode(',')
    return answering.Answers(
      [comma * len(ids) for ids in question_ids],
      -np.arange(len(question_ids), dtype=np.float32),
    )

  def expected_questions(self):
    return [
      TOKENIZER.encode_prompt(
        patching.question(EXPLAINED.rows[i], patching.PHRASINGS[1])
      )
      for i in ASKED.chosen
    ]

  def test_say(self):
    vectors = ASKED.vectors * 2
    said = arms.say(ASKED, EXPLAINER, vectors)
    ((model, injected, asked, shown, options),) = self.calls
    self.assertIs(model, EXPLAINER.model)
    self.assertIs(injected, EXPLAINER.injection)
    # The first phrasing that the explainer was trained on.
    self.assertEqual(asked, self.expected_questions())
    np.testing.assert_array_equal(shown, vectors)
    self.assertEqual(options['end_id'], TOKENIZER.eos_id)
    longest = max(
      len(TOKENIZER.encode(EXPLAINED.rows[i]['answer'])) for i in ASKED.chosen
    )
    self.assertGreater(options['new_tokens'], longest)
    self.assertEqual(said.output, [' '.join(',' * len(ids)) for ids in asked])
    np.testing.assert_array_equal(
      said.log_probability, -np.arange(len(ASKED.chosen))
    )

  def test_an_untrained_explainer_sees_a_training_answer_of_each_form(self):
    arms.say_untrained(ASKED, EXPLAINER)
    ((_, _, asked, shown, _),) = self.calls
    rows = [EXPLAINED.rows[i] for i in ASKED.train]
    examples = [
      next(row['answer'] for row in rows if row['changed'] == changed)
      for changed in (False, True)
    ]
    prefix = TOKENIZER.encode(' '.join(examples))
    self.assertEqual(
      asked,
      [[ids[0], *prefix, *ids[1:]] for ids in self.expected_questions()],
    )
    for ids in asked:
      self.assertEqual(ids.count(TOKENIZER.vector_id), 1)
    np.testing.assert_array_equal(shown, ASKED.vectors)

  def test_shuffled_vectors_are_of_the_cell_but_never_the_rows_own(self):
    shuffled = ASKED.shuffled()
    cells = {}
    for n, index in enumerate(ASKED.chosen):
      row = EXPLAINED.rows[index]
      names = ('position_kind', 'first_layer', 'last_layer')
      cells.setdefault(tuple(row[name] for name in names), []).append(n)
    self.assertGreater(max(map(len, cells.values())), 1)
    for members in cells.values():
      self.assertSameElements(
        map(tuple, shuffled[members].tolist()),
        map(tuple, ASKED.vectors[members].tolist()),
      )
      for n in members:
        own = np.array_equal(shuffled[n], ASKED.vectors[n])
        self.assertEqual(own, len(members) == 1)

  def all_arms(self, *names):
    """Returns the arms, with explainers that are known by their folder."""

    def load(directory, mesh):
      del mesh
      return explainer_lib.Explainer(
        directory, TOKENIZER, EXPLAINER.injection, EXPLAINER.phrasings
      )

    self.enter_context(mock.patch.object(explainer_lib, 'load', load))
    self.enter_context(
      mock.patch.object(artefact, 'load', lambda d, mesh: (d, TOKENIZER))
    )
    self.enter_context(
      mock.patch.object(injection, 'make', lambda mode, m, v, b: (mode, m, v))
    )
    folders = {name: f'folder of {name}' for name in names}
    return arms.all_arms(ASKED, folders, 'folder of initial', None)

  def test_who_answers_each_arm_and_with_which_vectors(self):
    made = self.all_arms('self', 'stranger', 'twin')
    zero = np.zeros_like(ASKED.vectors)
    for name, folder, vectors in (
      ('self', 'self', ASKED.vectors),
      ('shuffled_vector', 'self', ASKED.shuffled()),
      ('zero_vector', 'self', zero),
      ('untrained', 'initial', ASKED.vectors),
      ('stranger', 'stranger', ASKED.vectors),
      ('twin', 'twin', ASKED.vectors),
    ):
      made.pop(name)()
      model, injected, _, shown, _ = self.calls.pop()
      self.assertEqual(model, f'folder of {folder}')
      np.testing.assert_array_equal(shown, vectors, name)
      if name == 'untrained':
        self.assertEqual(
          injected, ('replace_embedding', model, TOKENIZER.vector_id)
        )
    self.assertSameElements(made, ('nearest_neighbour', 'metadata', 'majority'))

  def test_controls_answer_from_training_records_alone(self):
    made = self.all_arms()
    self.assertSameElements(made, ('nearest_neighbour', 'metadata', 'majority'))
    told = {EXPLAINED.rows[i]['answer'] for i in ASKED.train}
    for name, arm in made.items():
      said = arm()
      self.assertLen(said.output, len(ASKED.chosen), name)
      self.assertContainsSubset(said.output, told, name)
      self.assertFalse(said.log_probability.any())
    self.assertEmpty(self.calls)


class RunTest(absltest.TestCase):
  def test_goes_on_with_the_arm_that_was_not_finished(self):
    folder = files.path(self.create_tempdir().full_path)
    said = {
      'a': arms.Said(['ü <<<x>>>', ''], np.array([-0.1, -2], np.float32)),
      'b': arms.Said(['y', 'z'], np.zeros(2, np.float32)),
    }
    first = {
      'a': mock.Mock(return_value=said['a']),
      'b': mock.Mock(side_effect=KeyboardInterrupt),
    }
    with self.assertRaises(KeyboardInterrupt):
      arms.run(first, folder, {'set': 'a'})
    second = {name: mock.Mock(return_value=said[name]) for name in said}
    results = arms.run(second, folder, {'set': 'a'})
    second['a'].assert_not_called()
    second['b'].assert_called_once_with()
    self.assertEqual(list(results), ['a', 'b'])
    for name, expected in said.items():
      self.assertEqual(results[name].output, expected.output)
      np.testing.assert_array_equal(
        results[name].log_probability, expected.log_probability
      )

  def test_refuses_answers_that_depend_on_other_inputs(self):
    folder = self.create_tempdir().full_path
    said = arms.Said(['y'], np.zeros(1, np.float32))
    arms.run({'a': lambda: said}, folder, {'self explainer': '1'})
    with self.assertRaisesRegex(errors.InputError, 'another self explainer'):
      arms.run({'a': lambda: said}, folder, {'self explainer': '2'})


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of who is asked what in an evaluation."""

import collections
import dataclasses
from typing import cast
from unittest import mock

from absl.testing import absltest
from flax import nnx
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import layer_blocks
from selfexplain_jax.fidelity import arms
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from tests.data import fixtures
from tests.fidelity import fixtures as asked_of
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
EXPLAINED, ABLATED = asked_of.EXPLAINED, asked_of.ABLATED
ASKED, ASKED_ABLATION = asked_of.PATCHING, asked_of.ABLATION
BLOCKS = layer_blocks.LayerBlocks(fixtures.BLOCKS)
EXPLAINER = explainer_lib.Explainer(
  model=cast(decoder.Decoder, None),
  tokenizer=TOKENIZER,
  injection=injection.Injection(
    'replace_embedding', TOKENIZER.vector_id, 1.0, layer_blocks=BLOCKS
  ),
  phrasings={
    patching.NAME: patching.PHRASINGS[1:3],
    ablation.NAME: ablation.PHRASINGS[2:],
  },
)


def _blocks(records):
  """The number of each record's layers in the explainer's table."""
  return [
    [fixtures.BLOCKS.index((row['first_layer'], row['last_layer']))]
    for row in records
  ]


class ArmsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.calls = []
    self.enter_context(mock.patch.object(answering, 'ask', self.answer))

  def answer(self, model, injected, question_ids, vectors, blocks, **options):
    """Says how many tokens each question has, as that many commas."""
    self.calls.append((model, injected, question_ids, vectors, blocks, options))
    comma = TOKENIZER.encode(',')
    return answering.Answers(
      [comma * len(ids) for ids in question_ids],
      -np.arange(len(question_ids), dtype=np.float32),
    )

  def expected_questions(self, rows=None, phrasing=patching.PHRASINGS[1]):
    rows = ASKED.rows if rows is None else rows
    return [
      TOKENIZER.encode_prompt(patching.question(row, phrasing)) for row in rows
    ]

  def test_say(self):
    vectors = ASKED.vectors * 2
    said = arms.say(ASKED, EXPLAINER, vectors)
    ((model, injected, asked, shown, blocks, options),) = self.calls
    self.assertIs(model, EXPLAINER.model)
    self.assertIs(injected, EXPLAINER.injection)
    # The first phrasing that the explainer was trained on.
    self.assertEqual(asked, self.expected_questions())
    np.testing.assert_array_equal(shown, vectors)
    self.assertEqual(blocks.tolist(), _blocks(ASKED.rows))
    self.assertEqual(options['end_id'], TOKENIZER.eos_id)
    longest = max(len(TOKENIZER.encode(row['answer'])) for row in ASKED.rows)
    self.assertGreater(options['new_tokens'], longest)
    self.assertEqual(said.output, [' '.join(',' * len(ids)) for ids in asked])
    np.testing.assert_array_equal(
      said.log_probability, -np.arange(len(ASKED.chosen))
    )

  def test_say_asks_a_task_that_was_not_trained_in_its_first_phrasing(self):
    other = dataclasses.replace(EXPLAINER, phrasings={})
    arms.say(ASKED, other, ASKED.vectors)
    self.assertEqual(
      self.calls[0][2], self.expected_questions(phrasing=patching.PHRASINGS[0])
    )

  def test_say_asks_ablation_questions(self):
    # Of another width than the vectors of the set, of which there are none.
    wide = dataclasses.replace(EXPLAINER, model=tiny.model(width=24))
    arms.say(ASKED_ABLATION, wide, ASKED_ABLATION.vectors)
    _, _, asked, shown, _, _ = self.calls[0]
    self.assertEqual(shown.shape[1:], (1, 24))
    self.assertEqual(
      asked,
      [
        TOKENIZER.encode_prompt(ablation.question(row, ablation.PHRASINGS[2]))
        for row in ASKED_ABLATION.rows
      ],
    )
    self.assertFalse(shown.any())

  def all_arms(self, *names, asked=ASKED, text_only=('text_only',)):
    """Returns the arms, with explainers that are known by their folder."""

    def load(directory, mesh, dtype):
      del mesh, dtype
      return dataclasses.replace(EXPLAINER, model=directory)

    def training(directory):
      # Explainers of a task alone say nothing of text.
      blind = any(directory == f'folder of {name}' for name in text_only)
      return {'text_only': True} if blind else {}

    self.enter_context(mock.patch.object(explainer_lib, 'load', load))
    self.enter_context(mock.patch.object(explainer_lib, 'training', training))
    self.enter_context(
      mock.patch.object(artefact, 'load', lambda d, mesh, dtype: (d, TOKENIZER))
    )
    self.made = []

    def make(mode, model, vector_id, block=0, layer_blocks=BLOCKS, **options):
      self.assertEmpty(options)
      self.made.append((mode, model, vector_id, block))
      return injection.Injection(mode, vector_id, 2.0, block, layer_blocks)

    self.enter_context(mock.patch.object(injection, 'make', make))
    folders = {name: f'folder of {name}' for name in names}
    return arms.all_arms(
      asked, folders, 'folder of initial', 'the target', None
    )

  def test_who_answers_each_arm_and_with_which_vectors(self):
    made = self.all_arms('self', 'stranger', 'twin', 'text_only')
    zero = np.zeros_like(ASKED.vectors)
    for name, folder, vectors in (
      ('self', 'self', ASKED.vectors),
      ('shuffled_vector', 'self', ASKED.shuffled()),
      ('zero_vector', 'self', zero),
      ('untrained', 'initial', ASKED.vectors),
      ('stranger', 'stranger', ASKED.vectors),
      ('twin', 'twin', ASKED.vectors),
      ('text_only', 'text_only', zero),
    ):
      made.pop(name)()
      model, injected, asked, shown, blocks, _ = self.calls.pop()
      self.assertEqual(model, f'folder of {folder}')
      np.testing.assert_array_equal(shown, vectors, name)
      self.assertEqual(blocks.tolist(), _blocks(ASKED.rows))
      if name == 'untrained':
        self.assertEqual(injected.norm, 2.0)
        ((mode, *rest),) = self.made
        self.assertEqual(mode, 'replace_embedding')
        self.assertEqual(rest[:2], [model, TOKENIZER.vector_id])
      else:
        self.assertIs(injected, EXPLAINER.injection)
        self.assertEqual(asked, self.expected_questions())
    self.assertSameElements(
      made, ('wrong_layer', 'nearest_neighbour', 'metadata', 'majority')
    )

  def test_wrong_layer_is_asked_elsewhere_about_its_own_vector(self):
    self.all_arms('self', 'stranger')['wrong_layer']()
    model, _, asked, shown, _, _ = self.calls.pop()
    self.assertEqual(model, 'folder of self')
    self.assertEqual(asked, self.expected_questions(ASKED.misplaced()))
    for wrong, right in zip(asked, self.expected_questions(), strict=True):
      self.assertNotEqual(wrong, right)
    np.testing.assert_array_equal(shown, ASKED.vectors)

  def test_only_explainers_trained_on_text_alone_get_zeros(self):
    made = self.all_arms('self', 'text_only', text_only=())
    made['text_only']()
    np.testing.assert_array_equal(self.calls.pop()[3], ASKED.vectors)

  def test_an_untrained_explainer_sees_a_training_answer_of_each_form(self):
    self.all_arms('self')['untrained']()
    ((_, _, asked, shown, _, _),) = self.calls
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

  def test_an_untrained_explainer_keeps_what_projects_its_vectors(self):
    learnt = injection.Parameters(projection=nnx.Param(jnp.ones((3, 8, 16))))
    shows = EXPLAINER.injection.with_parameters(learnt)
    arm = self.all_arms('self')['untrained']
    own = dataclasses.replace(EXPLAINER, injection=shows)
    with mock.patch.object(
      explainer_lib, 'load', lambda folder, mesh, dtype: own
    ):
      arm()
    self.assertEqual(self.calls[0][0], 'folder of initial')
    self.assertIs(self.calls[0][1], shows)
    self.assertEmpty(self.made)

  def test_controls_answer_from_training_records_alone(self):
    for asked in (ASKED, ASKED_ABLATION):
      made = self.all_arms(asked=asked)
      made.pop('black_box', None)
      self.assertSameElements(
        made, ('nearest_neighbour', 'metadata', 'majority')
      )
      told = {asked.explained.rows[i]['answer'] for i in asked.train}
      for name, arm in made.items():
        said = arm()
        self.assertLen(said.output, len(asked.chosen), name)
        self.assertContainsSubset(said.output, told, name)
        self.assertFalse(said.log_probability.any())
    self.assertEmpty(self.calls)

  def test_controls_do_not_look_at_what_is_asked_of_them(self):
    rows = [dict(row) for row in EXPLAINED.rows]
    for index in ASKED.chosen:
      row = rows[index]
      row['changed'] = not row['changed']
      row['answer'] = 'what ?'
    explained = dataclasses.replace(
      EXPLAINED, records=fixtures.explained(rows).records
    )
    falsified = dataclasses.replace(ASKED, explained=explained)
    expected = {
      name: arm().output for name, arm in self.all_arms(asked=ASKED).items()
    }
    for name, arm in self.all_arms(asked=falsified).items():
      self.assertEqual(arm().output, expected[name], name)

  def test_without_vectors_none_are_shuffled_or_blanked(self):
    made = self.all_arms('self', 'stranger', asked=ASKED_ABLATION)
    self.assertSameElements(
      made,
      (
        'self',
        'untrained',
        'stranger',
        'nearest_neighbour',
        'metadata',
        'majority',
        'black_box',
      ),
    )

  def test_the_target_itself_answers_where_it_can_be_asked(self):
    self.assertNotIn('black_box', self.all_arms('self'))
    said = self.all_arms(asked=ASKED_ABLATION)['black_box']()
    self.assertEqual(
      said.output,
      [f'the target: {row["ablated_text"]}' for row in ASKED_ABLATION.rows],
    )

  def test_the_nearest_neighbour_by_vectors(self):
    said = self.all_arms()['nearest_neighbour']().output
    vectors = EXPLAINED.vectors
    for n, index in enumerate(ASKED.chosen):
      names = ('place', 'treatment')
      same = [
        i
        for i in ASKED.train
        if all(EXPLAINED.rows[i][k] == EXPLAINED.rows[index][k] for k in names)
      ]
      best = max(
        same or ASKED.train,
        key=lambda i, own=vectors[index]: float(vectors[i] @ own),
      )
      self.assertEqual(said[n], EXPLAINED.rows[best]['answer'])

  def test_the_nearest_neighbour_by_words_where_there_are_no_vectors(self):
    said = self.all_arms(asked=ASKED_ABLATION)['nearest_neighbour']().output

    def count(index):
      asked = ablation.question(ABLATED.rows[index], ablation.PHRASINGS[0])
      return collections.Counter(asked.split())

    def alike(one, other):
      # The length of the first is the same whatever it is compared with.
      both = sum(n * other[word] for word, n in one.items())
      return both / sum(n**2 for n in other.values()) ** 0.5

    for n, index in enumerate(ASKED_ABLATION.chosen):
      names = ('place', 'treatment')
      near = {
        i: alike(count(index), count(i))
        for i in ASKED_ABLATION.train
        if all(ABLATED.rows[i][k] == ABLATED.rows[index][k] for k in names)
      }
      self.assertNotEmpty(near)
      told = [i for i in near if ABLATED.rows[i]['answer'] == said[n]]
      self.assertAlmostEqual(
        max(near[i] for i in told), max(near.values()), places=5
      )


class SomeTest(absltest.TestCase):
  def test_those_that_are_named_in_the_order_of_all(self):
    every = {name: mock.Mock() for name in ('self', 'stranger', 'majority')}
    self.assertEqual(arms.some(every, ()), every)
    chosen = arms.some(every, ('majority', 'self'))
    self.assertEqual(
      list(chosen.items()), [(n, every[n]) for n in ('self', 'majority')]
    )

  def test_a_name_that_nobody_has(self):
    with self.assertRaisesRegex(
      errors.InputError, "config.arms has 'mind_reader': expected some of self"
    ):
      arms.some({'self': mock.Mock()}, ('self', 'mind_reader'))


class RunTest(absltest.TestCase):
  def test_goes_on_with_the_arm_that_was_not_finished(self):
    folder = files.path(self.create_tempdir().full_path)
    said = {
      'a': said_lib.Said(['ü <<<x>>>', ''], np.array([-0.1, -2], np.float32)),
      'b': said_lib.fixed(['y', 'z']),
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
    said = said_lib.fixed(['y'])
    arms.run({'a': lambda: said}, folder, {'self explainer': '1'})
    with self.assertRaisesRegex(errors.InputError, 'another self explainer'):
      arms.run({'a': lambda: said}, folder, {'self explainer': '2'})


if __name__ == '__main__':
  absltest.main()

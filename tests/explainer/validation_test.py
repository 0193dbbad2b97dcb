# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is kept of an explainer that trains."""

import dataclasses
from unittest import mock

from absl.testing import absltest
from flax import nnx
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pyarrow as pa

from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import packing
from selfexplain_jax.data import questions
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks
from selfexplain_jax.explainer import train_step
from selfexplain_jax.explainer import validation
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from selfexplain_jax.training import state as state_lib
from tests.data import fixtures
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
COUNT = 10
SETS = {
  patching.NAME: fixtures.explanation_set(200),
  ablation.NAME: fixtures.ablation_set(200),
}
CHOSEN = {n: own.split('validation')[:COUNT] for n, own in SETS.items()}
LANGUAGES = {patching.NAME: patching, ablation.NAME: ablation}
BLOCKS = layer_blocks.LayerBlocks(fixtures.BLOCKS)
INJECTION = injection_lib.Injection(
  'replace_embedding', TOKENIZER.vector_id, 1.0, layer_blocks=BLOCKS
)
PHRASINGS = {n: spoken.PHRASINGS for n, spoken in LANGUAGES.items()}


def _model(seed):
  return tiny.model(seed, layers=1, vocabulary=TOKENIZER.vocab_size)


def _config(**changes):
  config = ml_collections.ConfigDict(
    dict(
      validation_examples=COUNT,
      seed=0,
      batch=2,
      row_length=128,
      examples_per_row=3,
      text_only=False,
      initial='the base',
    )
  )
  config.update(changes)
  return config


def _state(model, injection=INJECTION):
  trained = train_step.Trained(model, injection.parameters)
  return state_lib.TrainState(trained, None)


class ValidationTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = files.path(self.create_tempdir().full_path)
    self.right = {}  # (task, real vectors?) to right answers of the ten
    self.asked = []
    self.enter_context(mock.patch.object(answering, 'ask', self.answer))

  def answer(self, model, injection, question_ids, vectors, blocks, **options):
    """Gives the right answer to the first of the questions only."""
    (task,) = (n for n in SETS if question_ids == self.questions(n))
    real = np.array_equal(vectors, SETS[task].shown(CHOSEN[task]))
    self.asked.append((task, model, vectors, blocks, options))
    count = self.right.get((task, real), 0)
    said = [
      SETS[task].rows[index]['answer'] if n < count else 'the output'
      for n, index in enumerate(CHOSEN[task])
    ]
    ids = [TOKENIZER.encode(answer) for answer in said]
    return answering.Answers(ids, np.zeros(len(said), np.float32))

  def questions(self, task):
    """The questions of a task: validation people, in the first phrasing."""
    language = LANGUAGES[task]
    return [
      TOKENIZER.encode_prompt(
        language.question(SETS[task].rows[i], language.PHRASINGS[0])
      )
      for i in CHOSEN[task]
    ]

  def make(self, *tasks, base=None, injection=INJECTION, text_only=False):
    tasks = tasks or (patching.NAME,)
    return validation.Validation(
      {name: SETS[name] for name in tasks},
      {name: LANGUAGES[name] for name in tasks},
      explainer.Explainer(_model(0), TOKENIZER, injection, PHRASINGS),
      self.workdir,
      _config(text_only=text_only),
      {'seed': 5},
      base,
    )

  def evaluate(self, validated, step, notes, real, shuffled, model=None):
    """Evaluates where so many patching questions are answered right."""
    model = _model(step) if model is None else model
    self.right[patching.NAME, True] = real
    self.right[patching.NAME, False] = shuffled
    return validated(step, _state(model), notes)

  def test_keeps_the_first_of_the_best_with_real_vectors(self):
    validated, notes = self.make(), {}
    # The shuffled vectors of step 3 do better than anything.
    for step, real, shuffled in ((1, 2, 0), (2, 5, 1), (3, 4, 10), (4, 5, 0)):
      notes = self.evaluate(validated, step, notes, real, shuffled)
      # As after a restart.
      notes = files.as_json(notes)
    self.assertEqual(
      [notes['best'][k] for k in ('step', 'exact_match', 'shuffled_vector')],
      [2, 0.5, 0.1],
    )
    self.assertEqual([p['step'] for p in notes['curve']], [1, 2, 3, 4])
    self.assertEqual(
      [p['exact_match'] for p in notes['curve']], [0.2, 0.5, 0.4, 0.5]
    )
    folder = self.workdir / 'model'
    kept = explainer.load(folder, mesh_lib.make_mesh())
    jax.tree.map(np.testing.assert_array_equal, kept.model, _model(2))
    self.assertEqual(kept.phrasings, PHRASINGS)
    self.assertEqual(explainer.training(folder), {'seed': 5, 'step': 2})

  def test_losses_are_those_of_one_question_at_a_time(self):
    model = _model(1)
    notes = self.evaluate(self.make(), 1, {}, 0, 0, model)
    (_, _, real, _, _), (_, _, shuffled, _, _) = self.asked
    asked = questions.encode(
      [SETS[patching.NAME].rows[i] for i in CHOSEN[patching.NAME]],
      TOKENIZER,
      patching,
      patching.PHRASINGS[:1],
    )
    for name, vectors in (('loss', real), ('shuffled_vector_loss', shuffled)):
      expected = _slow_loss(model, INJECTION, asked, vectors, None)
      self.assertAlmostEqual(notes['best'][name], expected, places=4)
    self.assertNotEqual(
      notes['best']['loss'], notes['best']['shuffled_vector_loss']
    )

  def test_a_model_that_is_never_right_is_still_kept(self):
    notes = self.evaluate(self.make(), 7, {}, 0, 0)
    self.assertEqual(notes['best']['step'], 7)
    self.assertTrue((self.workdir / 'model/explainer.json').exists())

  def test_asks_with_real_vectors_and_with_those_of_others(self):
    model = _model(1)
    self.evaluate(self.make(), 1, {}, 0, 0, model)
    (_, now, real, blocks, options), (_, _, shuffled, same, _) = self.asked
    self.assertIs(now, model)
    self.assertEqual(options['end_id'], TOKENIZER.eos_id)
    rows = [SETS[patching.NAME].rows[i] for i in CHOSEN[patching.NAME]]
    expected = [
      [fixtures.BLOCKS.index((row['first_layer'], row['last_layer']))]
      for row in rows
    ]
    self.assertEqual(blocks.tolist(), expected)
    self.assertEqual(same.tolist(), expected)
    self.assertSameElements(
      map(tuple, shuffled[:, 0].tolist()), map(tuple, real[:, 0].tolist())
    )
    cells = [(row['place'], row['treatment']) for row in rows]
    for n, cell in enumerate(cells):
      own = np.array_equal(shuffled[n], real[n])
      self.assertEqual(own, cells.count(cell) == 1)

  def test_of_free_descriptions_the_lowest_loss_is_best(self):
    free = dataclasses.replace(
      SETS[patching.NAME],
      manifest={'notes': {'labels': {'name': 'published'}}},
    )
    with mock.patch.dict(SETS, {patching.NAME: free}):
      validated, notes = self.make(), {}
    for step in (1, 2, 3):
      notes = self.evaluate(validated, step, notes, 10 - step, 0)
    losses = [point['loss'] for point in notes['curve']]
    self.assertEqual(notes['best']['loss'], min(losses))
    self.assertEqual(notes['best'], notes['curve'][int(np.argmin(losses))])

  def test_an_adapter_is_merged_and_kept_as_a_model(self):
    base = _model(0)
    adapter = jax.tree.map(
      lambda x: x + 0.1, lora.Lora(base, 2, jax.random.key(0))
    )
    merged = lora.adapt(base, adapter)
    self.make(base=base)(1, _state(adapter), {})
    for _, model, *_ in self.asked:
      jax.tree.map(np.testing.assert_array_equal, model, merged)
    kept = explainer.load(self.workdir / 'model', mesh_lib.make_mesh())
    jax.tree.map(np.testing.assert_array_equal, kept.model, merged)
    again = peft.merge(self.workdir / 'adapter', base, mesh_lib.make_mesh())
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-5), again, merged
    )

  def test_the_best_of_two_tasks_is_that_with_the_best_mean(self):
    validated, notes = self.make(patching.NAME, ablation.NAME), {}
    # Neither the best at patching nor the best at ablation is the best.
    for step, patched, ablated in ((1, 8, 0), (2, 5, 6), (3, 2, 8)):
      self.right[ablation.NAME, True] = ablated
      notes = self.evaluate(validated, step, notes, patched, step)
    self.assertEqual(notes['best'], notes['curve'][1])
    for point, patched, ablated in zip(
      notes['curve'], (8, 5, 2), (0, 6, 8), strict=True
    ):
      step = point['step']
      for name, expected in (
        ('patching_exact_match', patched / 10),
        ('ablation_exact_match', ablated / 10),
        ('exact_match', (patched + ablated) / 20),
        ('patching_shuffled_vector', step / 10),
        ('ablation_shuffled_vector', ablated / 10),
        ('shuffled_vector', (step + ablated) / 20),
      ):
        self.assertAlmostEqual(point[name], expected, msg=name)
      for name in ('loss', 'shuffled_vector_loss'):
        own = [point[f'{task}_{name}'] for task in SETS]
        self.assertAlmostEqual(point[name], sum(own) / 2)
        self.assertNotEqual(*own)
    kept = explainer.load(self.workdir / 'model', mesh_lib.make_mesh())
    jax.tree.map(np.testing.assert_array_equal, kept.model, _model(2))

  def test_without_vectors_nothing_is_asked_a_second_time(self):
    with mock.patch.object(
      train_step,
      'compiled_answer_loss',
      side_effect=train_step.compiled_answer_loss,
    ) as loss:
      self.right[ablation.NAME, True] = 7
      notes = self.make(ablation.NAME)(1, _state(_model(1)), {})
    ((task, _, vectors, _, _),) = self.asked
    self.assertEqual(task, ablation.NAME)
    self.assertFalse(vectors.any())
    best = notes['best']
    self.assertEqual((best['exact_match'], best['shuffled_vector']), (0.7, 0.7))
    self.assertEqual(best['loss'], best['shuffled_vector_loss'])
    rows = sum(
      (call.args[2]['answers'] >= 0).any(1).sum() for call in loss.mock_calls
    )
    self.assertBetween(rows, 1, COUNT)  # Packed, and each of them once.

  def test_a_text_only_explainer_is_shown_zeros_once(self):
    notes = self.make(text_only=True)(1, _state(_model(1)), {})
    ((_, _, vectors, _, _),) = self.asked
    self.assertFalse(vectors.any())
    best = notes['best']
    self.assertEqual(best['loss'], best['shuffled_vector_loss'])

  def test_questions_without_vectors_need_no_layer_block(self):
    # The first layer, which stands for none, is not in the table.
    injection = dataclasses.replace(
      INJECTION, layer_blocks=layer_blocks.LayerBlocks(((1, 1),))
    )
    self.make(ablation.NAME, injection=injection)(1, _state(_model(1)), {})
    self.assertFalse(self.asked[0][3].any())


def _slow_loss(model, injection, asked, vectors, blocks):
  """The mean loss of the answers' tokens, question by question, [N, K, D]."""
  total = count = 0.0
  for i, (question, answer) in enumerate(
    zip(asked.question_ids, asked.answer_ids, strict=True)
  ):
    row = packing.pack([(question[0], answer)], 128, 128)
    batch = {field: value[None] for field, value in row.items()}
    batch['vectors'] = vectors[i][None]
    batch['vector_blocks'] = np.zeros(vectors[i][None].shape[:2], np.int32)
    if blocks is not None:
      batch['vector_blocks'] += blocks[i]
    loss = train_step.compiled_answer_loss(model, injection, batch)
    total += float(loss) * len(answer)
    count += len(answer)
  return total / count


class Several:
  """A language whose questions show as many vectors as the record has."""

  NAME = 'several'
  PHRASINGS = ('{text} {vectors} ?',)

  def question(self, record, phrasing):
    shown = ' '.join([questions.VECTOR] * len(record['vectors']))
    return phrasing.format(text=record['text'], vectors=shown)

  def answer(self, record):
    return record['answer']

  def right(self, said, record):
    return said == record['answer']

  def layers(self, record):
    return fixtures.BLOCKS[record['block']]


class SeveralVectorsTest(absltest.TestCase):
  def test_packed_losses_are_those_of_one_question_at_a_time(self):
    names = ('text', 'answer')
    rows, used = [], 0
    for n in range(9):
      row = {name: fixtures.record(n)[name] for name in names}
      count = (1, 0, 3)[n % 3]
      row['vectors'] = list(range(used, used + count))
      row['block'] = n // 3
      row['treatment'] = str(count)  # Others have as many.
      rows.append({**row, 'place': 'x', 'split': 'validation'})
      used += count
    rng = np.random.default_rng(0)
    explained = explanations.ExplanationSet(
      {},
      pa.Table.from_pylist(rows),
      rng.normal(size=(used, fixtures.WIDTH)).astype(np.float32),
    )
    # Each layer block has parameters of its own, so that mixing them up shows.
    scale, bias = rng.normal(size=3), rng.normal(size=(3, fixtures.WIDTH))
    injection = injection_lib.Injection(
      'scale_and_bias',
      TOKENIZER.vector_id,
      1.0,
      layer_blocks=BLOCKS,
      parameters=injection_lib.Parameters(
        nnx.Param(jnp.asarray(scale, jnp.float32)),
        nnx.Param(jnp.asarray(bias, jnp.float32)),
      ),
    )
    model, language = _model(1), Several()
    answers = answering.Answers([[]] * 9, np.zeros(9, np.float32))
    with (
      mock.patch.object(answering, 'ask', return_value=answers) as ask,
      mock.patch.object(explainer.Explainer, 'save'),
    ):
      notes = validation.Validation(
        {'several': explained},
        {'several': language},
        explainer.Explainer(
          model, TOKENIZER, injection, {'several': language.PHRASINGS}
        ),
        self.create_tempdir().full_path,
        _config(),
        {},
      )(1, _state(model, injection), {})
    asked = questions.encode(rows, TOKENIZER, language, language.PHRASINGS)
    blocks = np.arange(9)[:, None] // 3
    real, shuffled = (call.args[3] for call in ask.mock_calls)
    np.testing.assert_array_equal(real, explained.shown(range(9)))
    for name, vectors in (('loss', real), ('shuffled_vector_loss', shuffled)):
      expected = _slow_loss(model, injection, asked, vectors, blocks)
      self.assertAlmostEqual(notes['best'][name], expected, places=4)


if __name__ == '__main__':
  absltest.main()

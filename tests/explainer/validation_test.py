# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is kept of an explainer that trains."""

from unittest import mock

from absl.testing import absltest
import jax
import ml_collections
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.data import packing
from selfexplain_jax.data import questions
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import explainer
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.explainer import validation
from selfexplain_jax.models import lora
from selfexplain_jax.tasks import patching
from selfexplain_jax.training import state as state_lib
from tests.data import fixtures
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
EXPLAINED = fixtures.explanation_set(200)
CHOSEN = EXPLAINED.split('validation')[:10]
INJECTION = injection_lib.Injection(
  'replace_embedding', TOKENIZER.vector_id, 1.0
)


def _model(seed):
  return tiny.model(seed, layers=1, vocabulary=TOKENIZER.vocab_size)


class ValidationTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = files.path(self.create_tempdir().full_path)
    self.right = {}  # (model, real vectors?) to right answers of the ten
    self.asked = []
    self.enter_context(mock.patch.object(answering, 'ask', self.answer))

  def answer(self, model, injection, question_ids, vectors, **options):
    """Gives the right answer to the first of the questions only."""
    real = np.array_equal(vectors, EXPLAINED.vectors[CHOSEN])
    self.asked.append((question_ids, vectors, options))
    count = self.right[id(model), real]
    said = [
      EXPLAINED.rows[index]['answer'] if n < count else 'the output'
      for n, index in enumerate(CHOSEN)
    ]
    ids = [TOKENIZER.encode(answer) for answer in said]
    return answering.Answers(ids, np.zeros(len(said), np.float32))

  def make(self, base=None):
    config = ml_collections.ConfigDict(
      dict(
        validation_examples=10,
        seed=0,
        batch=2,
        row_length=128,
        examples_per_row=3,
      )
    )
    return validation.Validation(
      EXPLAINED,
      TOKENIZER,
      INJECTION,
      patching.PHRASINGS,
      self.workdir,
      config,
      {'seed': 5},
      base,
    )

  def evaluate(self, validated, step, notes, real, shuffled, model=None):
    model = _model(step) if model is None else model
    self.right = {(id(model), True): real, (id(model), False): shuffled}
    return validated(step, state_lib.TrainState(model, None), notes)

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
    kept = explainer.load(self.workdir / 'model', mesh_lib.make_mesh())
    jax.tree.map(np.testing.assert_array_equal, kept.model, _model(2))
    self.assertEqual(kept.phrasings, patching.PHRASINGS)

  def test_losses_are_those_of_one_question_at_a_time(self):
    model = _model(1)
    notes = self.evaluate(self.make(), 1, {}, 0, 0, model)
    (_, real, _), (_, shuffled, _) = self.asked
    asked = questions.encode(
      EXPLAINED, CHOSEN, TOKENIZER, patching.PHRASINGS[:1]
    )
    for name, vectors in (('loss', real), ('shuffled_vector_loss', shuffled)):
      total = count = 0.0
      for i, (question, answer) in enumerate(
        zip(asked.question_ids, asked.answer_ids, strict=True)
      ):
        row = packing.pack([(question[0], answer)], 128)
        batch = {field: value[None] for field, value in row.items()}
        batch['vectors'] = vectors[i][None, None]
        loss = train_step.compiled_answer_loss(model, INJECTION, batch)
        total += float(loss) * len(answer)
        count += len(answer)
      self.assertAlmostEqual(notes['best'][name], total / count, places=4)
    self.assertNotEqual(
      notes['best']['loss'], notes['best']['shuffled_vector_loss']
    )

  def test_a_model_that_is_never_right_is_still_kept(self):
    notes = self.evaluate(self.make(), 7, {}, 0, 0)
    self.assertEqual(notes['best']['step'], 7)
    self.assertTrue((self.workdir / 'model/explainer.json').exists())

  def test_asks_validation_people_in_the_first_phrasing(self):
    self.evaluate(self.make(), 1, {}, 0, 0)
    (asked, real, options), (same, shuffled, _) = self.asked
    self.assertEqual(asked, same)
    expected = [
      TOKENIZER.encode_prompt(
        patching.question(EXPLAINED.rows[i], patching.PHRASINGS[0])
      )
      for i in CHOSEN
    ]
    self.assertEqual(asked, expected)
    self.assertEqual(options['end_id'], TOKENIZER.eos_id)
    self.assertSameElements(
      map(tuple, shuffled.tolist()), map(tuple, real.tolist())
    )
    cells = [
      tuple(
        EXPLAINED.rows[i][name]
        for name in ('position_kind', 'first_layer', 'last_layer')
      )
      for i in CHOSEN
    ]
    for n, cell in enumerate(cells):
      own = np.array_equal(shuffled[n], real[n])
      self.assertEqual(own, cells.count(cell) == 1)

  def test_an_adapter_is_merged_and_kept_as_a_model(self):
    base = _model(0)
    adapter = jax.tree.map(
      lambda x: x + 0.1, lora.Lora(base, 2, jax.random.key(0))
    )
    merged = lora.adapt(base, adapter)
    with mock.patch.object(lora, 'adapt', lambda *_: merged):
      self.right = {(id(merged), True): 1, (id(merged), False): 0}
      self.make(base)(1, state_lib.TrainState(adapter, None), {})
    kept = explainer.load(self.workdir / 'model', mesh_lib.make_mesh())
    jax.tree.map(np.testing.assert_array_equal, kept.model, merged)


if __name__ == '__main__':
  absltest.main()

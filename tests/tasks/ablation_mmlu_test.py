# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of ablation sets from questions against the slow decoder."""

import collections
import functools
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from experiments.ablation import mmlu as experiment
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import ablate
from selfexplain_jax.interventions import stability
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import ablation_mmlu
from tests.models import oracle
from tests.models import text_tokenizers
from tests.tasks import text_targets

# Below this the fast and the slow run may differ.
NARROW = 1e-3
BATCH = 40
SYSTEM = 'Answer with A.'
QUESTIONS = text_targets.write_json(
  pathlib.Path(tempfile.mkdtemp()) / 'questions.jsonl', text_targets.questions()
)
FAMILIES = ('qwen', 'llama_chat')
TARGETS = {family: text_targets.target(family) for family in FAMILIES}


def _config(**changes):
  config = experiment.get_config()
  config.questions = str(QUESTIONS)
  config.system = SYSTEM
  config.shares = dict(validation=0.2, test=0.2)
  config.update(changes)
  return config


def setUpModule():
  # Few questions, for smaller batches.
  mock.patch.object(stability, 'BATCH', BATCH).start()
  mock.patch.object(stability, 'OTHER_BATCH', 24).start()


def tearDownModule():
  mock.patch.stopall()


def _maker(family='qwen', **changes):
  return ablation_mmlu.prepare(TARGETS[family], _config(**changes))


@functools.cache
def _made(family='qwen'):
  return _maker(family).make()


def _says(model, ids):
  logits = oracle.forward(model, np.array(ids))[0][-1]
  second, first = np.argsort(logits)[-2:]
  return int(first), logits[first] - logits[second]


class MakeTest(parameterized.TestCase):
  @parameterized.parameters(*FAMILIES)
  def test_effects_are_those_of_single_slow_runs(self, family):
    made, target = _made(family), TARGETS[family]
    tokenizer = target.tokenizer
    records = {record['group']: record for record in made.records}
    self.assertLen(records, 40)
    for row in text_targets.questions():
      record = records[row['question']]
      without = '\n'.join(
        [
          row['question'],
          *(f'{a}. {b}' for a, b in zip('ABCD', row['choices'], strict=True)),
        ]
      )
      self.assertEqual(record['ablated_text'], without)
      self.assertEqual(record['text'], f'{without}\n{record["span_text"]}')
      self.assertRegex(record['span_text'], '^Hint: Option [A-D] is the right')
      ids = [
        tokenizer.encode(
          tokenizer.render(
            [
              {'role': 'system', 'content': SYSTEM},
              {'role': 'user', 'content': text},
            ],
            answering=True,
          )
          + 'Answer:'
        )
        for text in (record['text'], without)
      ]
      self.assertEqual(record['prompt_ids'], ids[0])
      self.assertEqual(
        ablate.ablate(
          ids[0], record['start'], record['end'], record['replacement_ids']
        ),
        ids[1],
      )
      for name, some in zip(('clean', 'treated'), ids, strict=True):
        token, margin = _says(target.model, some)
        self.assertAlmostEqual(record[f'{name}_margin'], margin, delta=NARROW)
        if margin > NARROW:
          self.assertEqual(record[f'{name}_id'], token)
      said = record['treated_token']
      expected = claims.render(record['changed'], f'Answer:{said}')
      self.assertEqual(record['answer'], expected)
    changed = np.mean([record['changed'] for record in made.records])
    self.assertBetween(changed, 0.05, 0.99)

  def test_records_are_of_the_schema_and_can_be_run_again(self):
    made = _made()
    for record in made.records:
      self.assertEqual(sorted(record), sorted(ablation.SCHEMA.names))
      self.assertEqual(
        (record['place'], record['treatment']), ('hint', 'removed')
      )
    folder = self.create_tempdir().full_path
    manifest = {'task': 'ablation'}
    explanations.write(
      folder, made.records, ablation.SCHEMA, made.vectors, manifest
    )
    rows = explanations.read(folder).rows
    found = ablation_effects.rerun(TARGETS['qwen'], rows, made.vectors, BATCH)
    self.assertEqual(found.token.tolist(), [row['treated_id'] for row in rows])

  @parameterized.parameters(*FAMILIES)
  def test_the_black_box_reads_the_texts_as_the_target_did(self, family):
    rows = [
      {
        name: record[name]
        for name in ('text', 'ablated_text', 'system', 'content_prefix')
      }
      for record in _made(family).records
    ]
    said = ablation_effects.black_box(TARGETS[family], rows)
    self.assertEqual(
      said, [record['answer'] for record in _made(family).records]
    )

  def test_splits_are_by_question_and_the_set_by_the_seed(self):
    made = _made()
    again = _maker().make()
    self.assertEqual(again.records, made.records)
    self.assertEqual(again.notes, made.notes)
    splits = collections.Counter(record['split'] for record in made.records)
    self.assertGreater(splits['train'], splits['test'])
    other = _maker(seed=1).asked
    letters = [
      {q.question: hinted.hint for hinted in asked for q in [hinted.question]}
      for asked in (_maker().asked, other)
    ]
    self.assertNotEqual(*letters)
    # A question has its letter and split whatever others there are.
    few = text_targets.write_json(
      pathlib.Path(self.create_tempdir().full_path) / 'few.jsonl',
      text_targets.questions()[10:20],
    )
    alone = _maker(questions=str(few)).asked
    self.assertEqual(
      [(h.hint, h.split) for h in alone],
      [(h.hint, h.split) for h in _maker().asked[10:20]],
    )

  def test_letters_are_drawn_whatever_is_right(self):
    asked = _maker().asked
    letters = collections.Counter(
      (h.question.answer == 'ABCD'.index(h.hint.split()[2])) for h in asked
    )
    self.assertBetween(letters[True], 4, 18)
    self.assertLen({h.hint for h in asked}, 4)

  def test_outputs_that_end_a_turn_are_dropped(self):
    records = _made().records
    end = records[0]['clean_id']
    expected = [
      r for r in records if end not in (r['clean_id'], r['treated_id'])
    ]
    maker = _maker(shares=dict(validation=0.3, test=0.3))
    kind = type(maker.target.tokenizer)
    with mock.patch.object(
      kind, 'end_ids', new_callable=mock.PropertyMock, return_value=(end,)
    ):
      made = maker.make()
    self.assertBetween(len(expected), 1, len(records) - 1)
    self.assertCountEqual(
      [record['group'] for record in made.records],
      [record['group'] for record in expected],
    )

  def test_a_quota_balances(self):
    made = _maker(quota=dict(train=5, validation=1, test=1)).make()
    cells = collections.Counter(
      (record['split'], record['changed']) for record in made.records
    )
    self.assertLessEqual(max(cells.values()), 5)
    self.assertLess(len(made.records), 15)

  def test_both_wordings_can_be_chosen(self):
    direct, oblique = (
      _maker(hint=name).asked for name in ('direct', 'oblique')
    )
    for one, other in zip(direct, oblique, strict=True):
      letter = one.hint.split()[2]
      self.assertEqual(
        other.hint,
        f'Hint: In the unrelated question before this one, {letter} was right.',
      )

  def test_without_a_system_prompt_there_is_none(self):
    maker = _maker(system='')
    tokenizer = TARGETS['qwen'].tokenizer
    hinted = maker.asked[0]
    messages = [{'role': 'user', 'content': hinted.text}]
    self.assertEqual(hinted.ids, tokenizer.encode_chat(messages, 'Answer:'))
    self.assertStartsWith(maker.plan, '40 questions, 80 forwards of ')


class DifferenceTest(parameterized.TestCase):
  @parameterized.parameters(
    ([1, 2, 7, 8, 3], [1, 2, 3], (2, 4, [])),
    # Words at the border are split in another way without the span.
    ([1, 5, 7, 8, 3], [1, 9, 3], (1, 4, [9])),
    # What begins like what follows is taken off once.
    ([1, 2, 3, 2, 3, 4], [1, 2, 3, 4], (3, 5, [])),
    ([1, 2], [1], (1, 2, [])),
    ([1, 1, 1], [1], (1, 3, [])),
    # Never an empty span, so that something is always treated.
    ([1, 2], [1, 3, 2], (1, 2, [3, 2])),
    ([1, 2], [1, 2, 3], (1, 2, [2, 3])),
  )
  def test_by_hand(self, ids, ablated, expected):
    start, end, replacement = ablation_mmlu.difference(ids, ablated)
    self.assertEqual((start, end, replacement), expected)
    self.assertEqual(ablate.ablate(ids, start, end, replacement), ablated)

  def test_a_token_across_the_border_is_replaced(self):
    # One that joins the end of the last option and the line end before a hint.
    folder = pathlib.Path(self.create_tempdir().full_path)
    text_tokenizers.write_qwen(folder)
    content = files.read_json(folder / 'tokenizer.json', 'tokenizer')
    content['pre_tokenizer']['use_regex'] = False
    content['model']['vocab']['1Ċ'] = 2000
    content['model']['merges'].insert(0, ['1', 'Ċ'])
    files.write_json(folder / 'tokenizer.json', content)
    tokenizer = tokenizer_lib.load(folder)
    for question in _maker().asked:
      hinted = ablation_mmlu.hint(
        question.question, 'Hint: {letter}', _config(), tokenizer
      )
      across = question.question.question.endswith('1?')
      one = [tokenizer.id_of('1')]
      self.assertEqual(hinted.replacement, one if across else [])
      self.assertEqual(2000 in hinted.ids[hinted.start : hinted.end], across)
      messages = ablation.messages(_config().system, hinted.ablated_text)
      self.assertEqual(
        hinted.ablated_ids, tokenizer.encode_chat(messages, 'Answer:')
      )


class PrepareTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(questions=''), '--config.questions is missing'),
    (dict(hint='broad'), "config.hint is 'broad': .* direct, oblique"),
    (dict(hints=dict(direct='B.')), "config.hints.direct is 'B.': .*{letter}"),
    (dict(hints=dict(direct='{letter} {x}')), 'config.hints.direct is'),
    (dict(hints=dict(direct='{letter')), 'config.hints.direct is'),
    (dict(hints=dict(direct='a\n{letter}')), 'config.hints.direct is'),
    (dict(begun=''), 'config.begun is empty'),
    (dict(shares=dict(test=0)), 'config.shares is'),
    (dict(quota=dict(test=-1)), 'config.quota.test is -1'),
    (dict(system='A' * 3000), 'longest prompt has .* at most 2048'),
  )
  def test_says_what_is_wrong_before_anything_is_run(self, changes, pattern):
    with self.assertRaisesRegex(errors.InputError, pattern):
      _maker(**changes)

  def test_refuses_a_target_that_is_no_chat_model(self):
    with self.assertRaisesRegex(errors.InputError, 'no chat template'):
      ablation_mmlu.prepare(text_targets.target('llama'), _config())


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of reading questions, whole and damaged."""

from collections.abc import Callable
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax.data import mmlu
from tests.tasks import text_targets

Damage = Callable[[pathlib.Path], None]


def _third(**fields) -> Damage:
  """Changes fields of the third record; None removes one."""

  def damage(name: pathlib.Path) -> None:
    lines = name.read_text().splitlines()
    record = {**json.loads(lines[2]), **fields}
    lines[2] = json.dumps({k: v for k, v in record.items() if v is not None})
    name.write_text('\n'.join(lines))

  return damage


_THIRD = 'record 2, counted from 0, '

# What is damaged, how, and what is said.
DAMAGED = (
  ('cut', lambda name: name.write_bytes(name.read_bytes()[:-9]), 'not JSON'),
  ('empty', lambda name: name.write_text(''), 'not JSON'),
  ('no_question', _third(question=None), _THIRD + 'has no field question'),
  ('asks_nothing', _third(question=''), _THIRD + "has '' in question"),
  ('no_choices', _third(choices=None), _THIRD + 'has no field choices'),
  ('three', _third(choices=['a', 'b', 'c']), _THIRD + 'has 3 choices'),
  ('a_text', _third(choices='abcd'), _THIRD + "has 'abcd' choices: expected 4"),
  ('numbers', _third(choices=[1, 2, 3, 4]), _THIRD + 'has the choice 1'),
  ('fifth', _third(answer=4), _THIRD + 'has the answer 4: expected 0 to 3'),
  ('letter', _third(answer='E'), _THIRD + "has the answer 'E': .* from A to D"),
  ('truth', _third(answer=True), _THIRD + 'has the answer True'),
  ('subject', _third(subject=3), _THIRD + 'has the subject 3'),
)


class ReadTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.records = text_targets.questions()

  def read(self, name):
    return mmlu.read(str(name), 'questions')[0]

  def test_every_format_gives_the_same(self):
    lines = text_targets.write_json(self.folder / 'a.jsonl', self.records)
    array = text_targets.write_json(self.folder / 'a.json', self.records)
    table = self.folder / 'a.parquet'
    parquet.write_table(pa.Table.from_pylist(self.records), table)
    found = self.read(lines)
    self.assertLen(found, 40)
    self.assertEqual(
      found[1],
      mmlu.Question(
        question='Which of these is number 1?',
        choices=('the a of 1', 'the be of 1', 'the see of 1', 'the dee of 1'),
        answer=1,
        subject='naming',
      ),
    )
    self.assertEqual(self.read(array), found)
    self.assertEqual(self.read(table), found)

  def test_letters_are_answers_and_subjects_may_lack(self):
    for record in self.records:
      record['answer'] = 'ABCD'[record['answer']]
      del record['subject']
    name = text_targets.write_json(self.folder / 'a.jsonl', self.records)
    found = self.read(name)
    self.assertEqual([q.answer for q in found], [n % 4 for n in range(40)])
    self.assertEqual({q.subject for q in found}, {''})

  def test_a_question_that_comes_twice_is_one(self):
    again = {**self.records[3], 'subject': 'another'}
    other = {**self.records[3], 'choices': ['w', 'x', 'y', 'z']}
    records = [*self.records, again, other]
    name = text_targets.write_json(self.folder / 'a.jsonl', records)
    found = self.read(name)
    self.assertLen(found, 41)
    self.assertLen({q.digest for q in found}, 41)

  @parameterized.named_parameters(*DAMAGED)
  def test_says_what_is_damaged(self, damage, pattern):
    name = text_targets.write_json(self.folder / 'a.jsonl', self.records)
    damage(name)
    with self.assertRaisesRegex(errors.InputError, pattern) as caught:
      self.read(name)
    self.assertNotIn('\n', str(caught.exception))
    self.assertIn('expected', str(caught.exception))

  def test_says_that_a_table_is_cut(self):
    name = self.folder / 'a.parquet'
    parquet.write_table(pa.Table.from_pylist(self.records), name)
    name.write_bytes(name.read_bytes()[:-100])
    with self.assertRaisesRegex(errors.InputError, 'a whole parquet file'):
      self.read(name)


if __name__ == '__main__':
  absltest.main()

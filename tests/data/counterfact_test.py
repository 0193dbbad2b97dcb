# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of reading facts, whole and damaged."""

from collections.abc import Callable
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import counterfact
from tests.tasks import text_targets

Damage = Callable[[pathlib.Path], object]


def _changed(change: Callable[[dict], None]) -> Damage:
  """Changes the third record."""

  def damage(name: pathlib.Path) -> None:
    records = json.loads(name.read_text())
    change(records[2])
    name.write_text(json.dumps(records))

  return damage


def _rewrite(**fields) -> Damage:
  return _changed(lambda record: record['requested_rewrite'].update(fields))


def _written(content: bytes) -> Damage:
  return lambda name: name.write_bytes(content)


_THIRD = 'facts.json: record 2, counted from 0, '

# What is damaged, how, and what is said.
DAMAGED = (
  ('cut', lambda name: name.write_bytes(name.read_bytes()[:-40]), 'not JSON'),
  ('no_text', _written(b'\xff\xfe[]'), 'is not JSON.*expected an array'),
  ('an_object', _written(b'{"a": 1}'), 'holds dict: expected an array'),
  ('empty', _written(b'[]'), 'has no rows: expected at least one'),
  ('no_object', _written(b'[7]'), 'record 0, .* of type int: expected an ob'),
  (
    'no_rewrite',
    _changed(lambda record: record.pop('requested_rewrite')),
    _THIRD + 'has no field requested_rewrite: expected it beside case_id, ',
  ),
  (
    'no_target',
    _changed(lambda record: record['requested_rewrite'].pop('target_true')),
    _THIRD + 'has no field requested_rewrite.target_true: ',
  ),
  (
    'target_of_another_type',
    _rewrite(target_true='French'),
    _THIRD + "has no field requested_rewrite.target_true.str: .* 'French'",
  ),
  (
    'no_place_for_it',
    _rewrite(prompt='He is'),
    _THIRD + 'has the prompt .* {}',
  ),
  ('two_places', _rewrite(prompt='{} is {}'), _THIRD + 'has the prompt .* {}'),
  ('nobody', _rewrite(subject=' '), _THIRD + "has ' ' in .*subject: expected"),
  ('number', _rewrite(relation_id=103), _THIRD + 'has 103 in .*relation_id'),
  ('case', _changed(lambda r: r.pop('case_id')), 'has no field case_id'),
  ('twice', _changed(lambda r: r.update(case_id=1)), 'case_id 1, as a record'),
  ('a_list', _changed(lambda r: r.update(case_id=[])), r'has the case_id \[\]'),
)


class ReadTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def write(self, name):
    return text_targets.write_json(self.folder / name, text_targets.facts())

  @parameterized.parameters('facts.json', 'facts.jsonl')
  def test_reads_what_is_needed(self, name):
    facts, notes = counterfact.read(str(self.write(name)), 'facts')
    records = text_targets.facts()
    self.assertLen(facts, len(records))
    self.assertEqual(
      facts[0],
      counterfact.Fact(
        case='0',
        relation='P103',
        prompt='The mother tongue of {} is',
        subject='Anna Keller',
        object='Finnish',
        other='Dutch',
      ),
    )
    self.assertEqual(facts[0].statement, 'The mother tongue of Anna Keller is')
    self.assertEqual([note['name'] for note in notes], [name])
    size = (self.folder / name).stat().st_size
    self.assertEqual(notes[0]['bytes'], size)

  def test_reads_several_files_in_order(self):
    records = text_targets.facts()
    for n, part in enumerate((records[:7], records[7:])):
      text_targets.write_json(self.folder / f'part {n}.json', part)
    facts, notes = counterfact.read(f'{self.folder}/part*.json', 'facts')
    self.assertEqual([f.case for f in facts], [str(n) for n in range(48)])
    self.assertNotEqual(notes[0]['digest'], notes[1]['digest'])

  @parameterized.named_parameters(*DAMAGED)
  def test_says_what_is_damaged(self, damage, pattern):
    name = self.write('facts.json')
    damage(name)
    with self.assertRaisesRegex(errors.InputError, pattern) as caught:
      counterfact.read(str(name), 'facts')
    self.assertNotIn('\n', str(caught.exception))
    self.assertIn('expected', str(caught.exception))

  @parameterized.parameters(
    ('', '--config.facts is missing: expected files that end in .json'),
    ('nowhere.json', "no file matches 'nowhere.json'"),
  )
  def test_says_what_is_missing(self, pattern, said):
    with self.assertRaisesRegex(errors.InputError, said):
      counterfact.read(pattern, 'facts')

  def test_refuses_other_formats_and_damaged_lines(self):
    name = self.write('facts.txt')
    with self.assertRaisesRegex(errors.InputError, 'is of no known format'):
      counterfact.read(str(name), 'facts')
    name = self.write('facts.jsonl')
    name.write_text(name.read_text()[:-30])
    with self.assertRaisesRegex(errors.InputError, 'record 47, .* not JSON'):
      counterfact.read(str(name), 'facts')


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that asking by hand gives what an evaluation gives."""

import dataclasses
import io
import pathlib
import shutil
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from pyarrow import parquet
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interview import dialogue
from selfexplain_jax.interview import examples
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import places
from selfexplain_jax.interview import request
from tests.launch import whole

_ROWS = 5  # Records of each evaluation that are asked about by hand.


def _patch_of(row: dict[str, Any]) -> inquiry_lib.Inquiry:
  """What a record of patching asks."""
  return inquiry_lib.Inquiry(
    ids=tuple(row['prompt_ids']),
    first=row['first_layer'],
    last=row['last_layer'],
    start=row['position'],
    end=row['position'] + 1,
    source=tuple(row['counterfactual_ids']),
    source_position=row['counterfactual_position'],
  )


class InterviewTest(parameterized.TestCase):
  run_: pathlib.Path
  interview: interview_lib.Interview

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_, _ = whole.run()
    cls.interview = interview_lib.open_interview(
      places.find(str(cls.run_)), mesh_lib.make_mesh()
    )

  def ask(self, task: str, *inquiries: inquiry_lib.Inquiry):
    phrasing = self.interview.phrasings[task][0]
    return self.interview.ask(task, phrasing, inquiries)

  def predictions(self, task: str, arm: str = 'self') -> list[dict[str, Any]]:
    """Some of what an arm said in the evaluation of a question type."""
    content = (
      self.run_ / f'{task}_evaluation/predictions.parquet'
    ).read_bytes()
    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    own = [row for row in rows if row['arm'] == arm]
    return own[:: max(1, len(own) // _ROWS)][:_ROWS]

  def record(self, task: str, prediction: dict[str, Any]) -> dict[str, Any]:
    return explanations.read(self.run_ / task).rows[prediction['record']]

  def check_change(self, finding: inquiry_lib.Finding, expected: dict):
    effect = finding.answer.verdict.effect
    for name in ('changed', 'clean_token', 'treated_token'):
      self.assertEqual(effect[name], expected[name])
    for name in ('clean_margin', 'treated_margin'):
      self.assertAlmostEqual(effect[name], expected[name], places=4)
    self.check_answer(finding, expected)
    if finding.answer.text == expected['output']:
      self.assertEqual(bool(finding.answer.verdict.holds), expected['exact'])
      self.assertAlmostEqual(
        *(np.log(finding.answer.probability), expected['log_probability']), 3
      )

  def check_answer(self, finding: inquiry_lib.Finding, expected: dict):
    # By hand it may say more than the longest answer of a set.
    self.assertStartsWith(finding.answer.text, expected['output'])

  def test_patching_as_in_the_evaluation(self):
    for prediction in self.predictions('patching'):
      row = self.record('patching', prediction)
      (finding,) = self.ask(
        'patching',
        _patch_of(row),
      )
      self.check_change(finding, prediction)

  def test_ablation_as_in_the_evaluation(self):
    for prediction in self.predictions('ablation'):
      row = self.record('ablation', prediction)
      (finding,) = self.ask(
        'ablation',
        inquiry_lib.Inquiry(
          *(tuple(row['prompt_ids']), 0, 0, row['start'], row['end']),
          replacement=tuple(row['replacement_ids']),
        ),
      )
      self.check_change(finding, prediction)
      self.assertIsNone(finding.control)

  def test_features_as_in_the_evaluation(self):
    own = [p for p in self.predictions('features') if p['place'] == 'feature']
    self.assertNotEmpty(own)
    for expected in own:
      (finding,) = self.ask(
        'features',
        inquiry_lib.Inquiry(
          *((1, 9, 10), expected['layer'], expected['layer'], 1, 2),
          feature=expected['feature'],
        ),
      )
      self.check_answer(finding, expected)
      effect = finding.answer.verdict.effect
      if effect:
        self.assertAlmostEqual(effect['simulator'], expected['simulator'], 5)
      else:
        self.assertEqual(expected['valid_rate'], 0)

  def test_a_label_is_executed_on_the_text(self):
    subject = self.interview.subject('features')
    rows = subject.require_set('features').rows
    evaluated = self.predictions('features', 'label')[0]
    row = rows[evaluated['record']]
    ids = tuple(subject.require_set('features').documents[0].tolist())
    made = inquiry_lib.Inquiry(
      ids, row['layer'], row['layer'], 1, 2, feature=row['feature']
    )
    interviewer = interview_lib.table.task('features').interviewer
    check = interviewer.observe(subject, interviewer.cases(subject, [made]))
    verdict = check(0, row['answer'])
    effect = verdict.effect
    self.assertEqual(effect['executed_here'], 1 in effect['executed_at'])
    self.assertEqual(
      verdict.holds, (effect['activation'] > 0) == effect['executed_here']
    )
    every = subject.dictionary.by_layer[row['layer']]
    stream = subject.activations([ids])[row['layer'], 0, 1]
    fires = np.asarray(sparse_autoencoder.encode(every, stream))
    self.assertAlmostEqual(effect['activation'], fires[row['feature']], 4)
    self.assertAlmostEqual(
      verdict.effect['simulator'], evaluated['simulator'], 5
    )
    self.assertIsNone(check(0, 'gibberish of no language').holds)

  def test_one_by_one_as_all_at_once(self):
    tokenizer = self.interview.target.tokenizer
    text = examples.people(self.interview)[0].split(':')[0]
    ids = tuple(tokenizer.encode_prompt(text))
    for task in ('patching', 'features'):
      inquiries = [
        inquiry_lib.Inquiry(ids, layer, layer, 1, 2) for layer in range(2)
      ]
      together = self.ask(task, *inquiries)
      for inquiry, expected in zip(inquiries, together, strict=True):
        (alone,) = self.ask(task, inquiry)
        self.assertEqual(alone.answer.text, expected.answer.text)
        self.assertEqual(alone.control.shown, expected.control.shown)
        self.assertNotEqual(alone.control.shown, alone.answer.shown)
        for name, value in expected.answer.verdict.effect.items():
          found = alone.answer.verdict.effect[name]
          if isinstance(value, float):
            self.assertAlmostEqual(found, value, 4)
          else:
            self.assertEqual(found, value)
        self.assertAlmostEqual(
          alone.answer.probability, expected.answer.probability, 5
        )

  def test_a_vector_of_the_text_itself_changes_nothing(self):
    tokenizer = self.interview.target.tokenizer
    ids = tuple(tokenizer.encode_prompt('anna keller speaks fluent'))
    inquiries = [
      inquiry_lib.Inquiry(
        *(ids, layer, layer, position, position + 1),
        source=ids,
        source_position=position,
      )
      for layer in range(2)
      for position in range(1, len(ids))
    ]
    for finding in self.ask('patching', *inquiries):
      effect = finding.answer.verdict.effect
      self.assertFalse(effect['changed'])
      self.assertAlmostEqual(
        effect['clean_margin'], effect['treated_margin'], places=4
      )

  def test_a_control_is_never_the_vector_itself(self):
    rows, controls = explanations.read(self.run_ / 'patching').rows, 0
    for row in [r for r in rows if r['split'] == 'validation'][:6]:
      (finding,) = self.ask(
        'patching',
        _patch_of(row),
      )
      if finding.control is not None:
        controls += 1
        self.assertNotEqual(finding.control.shown, finding.answer.shown)
    self.assertGreater(controls, 0)

  def test_another_dictionary_is_refused(self):
    found = places.find(str(self.run_))
    other = self.create_tempdir().full_path
    shutil.copytree(found.dictionary, other, dirs_exist_ok=True)
    for name in pathlib.Path(other).rglob('*.safetensors'):
      tensors = safetensors_numpy.load_file(name)
      safetensors_numpy.save_file({k: v + 1 for k, v in tensors.items()}, name)
    with self.assertRaisesRegex(errors.InputError, 'other dictionaries than'):
      interview_lib.open_interview(
        dataclasses.replace(found, dictionary=other), mesh_lib.make_mesh()
      )

  def test_examples_are_what_sets_ask(self):
    lines = examples.examples(self.interview)
    self.assertLen(lines, 9)
    for task in whole.TASKS:
      self.assertLen([x for x in lines if f'--question={task}' in x], 3)

  def test_people_with_what_was_taught(self):
    lines = examples.people(self.interview)
    self.assertLen(lines, 61)
    self.assertIn('anna', lines[0])
    self.assertIn('Texts that ask for a fact: ', lines[-1])

  @parameterized.parameters(
    (dict(first=1, last=2), 'layers 1 to 2: expected 0 to 1'),
    (dict(start=9, end=10), 'positions 9 to 9: expected 0 to 2'),
    (dict(ids=(1, 2, 99999)), 'no token has the id 99999'),
    (dict(ids=(1, 2, 2**40)), 'no token has the id 1099511627776'),
    (
      dict(source=(1, 2), source_position=2),
      'source position 2: expected 0 to 1',
    ),
  )
  def test_refuses_what_does_not_fit(self, fields, pattern):
    fitting = inquiry_lib.Inquiry((1, 9, 10), 0, 0, 1, 2)
    with self.assertRaisesRegex(errors.InputError, pattern):
      self.ask('patching', dataclasses.replace(fitting, **fields))

  def test_refuses_features_that_there_are_not(self):
    asked = inquiry_lib.Inquiry((1, 9, 10), 0, 0, 1, 2, feature=4096)
    with self.assertRaisesRegex(
      errors.InputError, 'no feature 4096 in layer 0'
    ):
      self.ask('features', asked)
    asked = inquiry_lib.Inquiry((1, 9, 10), 0, 1, 1, 2)
    with self.assertRaisesRegex(errors.InputError, 'expected one layer'):
      self.ask('features', asked)

  @parameterized.parameters(
    (dict(layer='0', question='features'), 'features'),
    (dict(layer='0', question='does the output change if patched'), 'patching'),
    (dict(layer='0', source='anna keller'), 'patching'),
    (dict(), 'ablation'),
    (dict(question='does the output change'), 'ablation'),
    (dict(replacement='anna'), 'ablation'),
    (dict(layer='0', feature=3), 'features'),
  )
  def test_what_is_meant(self, fields, expected):
    made = request.Request(prompt='anna keller', position='1', **fields)
    self.assertEqual(made.meant(self.interview)[0], expected)

  @parameterized.parameters(
    (dict(question='features'), '--layer is missing: expected 0 to 1'),
    (dict(layer='0', replacement='x', question='patching'), 'does not go'),
    (dict(layer='2', question='features'), '--layer=2: expected .* 0 to 1'),
    (dict(layer='0', position='7'), '--position=7'),
    (dict(layer='0', position='0-1'), 'spans are of ablation'),
    (dict(layer='0', position='0', source='anna'), 'where the text begins'),
    (dict(layer='0', prompt='anna kellr'), "'kellr' is not in the vocabulary"),
    (dict(sweep=True, question='ablation'), '--sweep is over layers'),
    (dict(position='0-1'), 'where the text begins'),
    (dict(prompt=None, prompt_ids=(9, 10)), 'ids begin with 9: expected 1'),
    (dict(question='<' * 501), 'the question has 501 letters'),
    (dict(replacement='anna ' * 2048), 'with the replacement the text has'),
  )
  def test_refuses_requests(self, fields, pattern):
    made = request.Request(**{'prompt': 'anna', 'position': '1', **fields})
    with self.assertRaisesRegex(errors.InputError, pattern):
      made.findings(self.interview)

  def test_dialogue(self):
    given = iter(
      [
        'people',
        'examples',
        'anna kellr',
        *('anna keller speaks fluent', 'patching', '0', '2', ''),
        *('anna keller speaks fluent', '', '', '2', ''),
        *('anna keller speaks fluent', 'describe it', 'all', '1'),
        '',
      ]
    )
    shown: list[str] = []
    dialogue.hold(self.interview, lambda _: next(given), shown.append)
    self.assertEmpty(list(given))
    text = '\n'.join(shown)
    self.assertIn('1 anna  2 keller  3 speaks  4 fluent', text)
    self.assertIn("error: word 'kellr' is not in the vocabulary", text)
    self.assertEqual(text.count('\nanswer   '), 4)
    self.assertIn('none: these questions show no vector', text)

  def test_claims_are_checked_against_what_happens(self):
    asked = inquiry_lib.Inquiry((1, 9, 10), 0, 0, 1, 2)
    subject = self.interview.subject('patching')
    interviewer = interview_lib.table.task('patching').interviewer
    with interview_lib.jax.set_mesh(self.interview.mesh):
      check = interviewer.observe(subject, interviewer.cases(subject, [asked]))
    effect = check(0, '').effect
    token = effect['treated_token']
    for changed in (False, True):
      verdict = check(0, claims.render(changed, token))
      self.assertEqual(verdict.holds, changed == effect['changed'])
      self.assertFalse(check(0, claims.render(changed, 'anything')).holds)
    self.assertIsNone(check(0, 'who knows').holds)


if __name__ == '__main__':
  absltest.main()

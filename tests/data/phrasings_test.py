# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of published phrasings: what becomes of their fields, and refusals."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import phrasings
from selfexplain_jax.data import questions
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching

_VECTOR = '{begin_continuous}{feature}{end_continuous}'


def _yaml(section, *prompts):
  """A config as published ones are laid out; prompts are YAML."""
  listed = '\n'.join(f'            - {prompt}' for prompt in prompts)
  return f"""
model_path: some/model
train:
  learning_rate: !!float 5e-5
  tasks:
    {section}:
      question_types:
        generative_explanation:
          prompts:
{listed}
"""


_MESSAGES = """messages:
              - role: "system"
                content: "{system_prompt}"
              - role: "user"
                content: "{user_prompt} -- without it?"
              - role: "assistant"
                content: ""
"""
_RECORD = {
  'text': 'The tongue of Anna',
  'token_text': ' Anna',
  'first_layer': 2,
  'last_layer': 4,
  'before': 'The tongue of',
  'after': '',
}


class PhrasingsTest(parameterized.TestCase):
  def _file(self, content):
    name = pathlib.Path(self.create_tempdir().full_path) / 'config.yaml'
    name.write_text(content)
    return str(name)

  def test_patching(self):
    said = f'"Put {_VECTOR} in {{layer}} at {{tokens}} of <<<{{input}}>>>?\\n"'
    (found,) = phrasings.find(self._file(_yaml('act_patch', said)), patching)
    self.assertEqual(
      patching.question(_RECORD, found),
      f'Put {questions.VECTOR} in 2, 3, 4 at < Anna> of '
      '<<<The tongue of Anna>>>?\n',
    )

  def test_features(self):
    name = self._file(
      _yaml('features_explain', f'"At {{layer}}, {_VECTOR} is "', '"{layer}"')
    )
    found = phrasings.find(name, features)
    self.assertLen(found, 2)
    self.assertEqual(
      features.question({'layer': 7}, found[0]), f'At 7, {questions.VECTOR} is '
    )

  def test_a_chat_is_what_the_user_says(self):
    name = self._file(_yaml('hint_attribution', _MESSAGES))
    self.assertEqual(phrasings.find(name, ablation), ('{text} -- without it?',))

  def test_braces_may_be_meant_as_such(self):
    said = f'\'JSON {{"a": {{layer}}}} of {_VECTOR} }}\''
    (found,) = phrasings.find(
      self._file(_yaml('features_explain', said)), features
    )
    self.assertEqual(
      features.question({'layer': 7}, found),
      f'JSON {{"a": 7}} of {questions.VECTOR} }}',
    )

  def test_own_ones_by_name(self):
    for language in (patching, ablation, features):
      self.assertEqual(phrasings.find('world', language), language.PHRASINGS)
      self.assertEqual(
        phrasings.find('text', language), language.TEXT_PHRASINGS
      )

  @parameterized.named_parameters(
    ('a_name', 'wrold', "'wrold'.*'world', 'text' or a YAML"),
    ('no_file', '/nowhere/c.yaml', 'expected a file at /nowhere'),
  )
  def test_refuses_to_find(self, name, message):
    with self.assertRaisesRegex(errors.InputError, message):
      phrasings.find(name, patching)

  @parameterized.named_parameters(
    ('no_yaml', 'a: [', 'not valid YAML'),
    ('code', 'a: !!python/object/apply:os.getcwd []', 'not valid YAML'),
    ('another_task', _yaml('features_explain', '"x"'), 'act_patch'),
    ('no_mapping', '[1, 2]', 'expected a list at train.tasks'),
    ('a_field', _yaml('act_patch', '"{feture}"'), '{feture}.*feature, input'),
    ('a_number', _yaml('act_patch', '3'), 'phrasing 3.*expected a text'),
    (
      'a_system',
      _yaml('act_patch', _MESSAGES.replace('{system_prompt}', 'Be brief.')),
      'the system says .Be brief',
    ),
    (
      'no_user',
      _yaml('act_patch', _MESSAGES.replace('"user"', '"assistant"')),
      'the assistant says',
    ),
  )
  def test_refuses(self, content, message):
    with self.assertRaisesRegex(errors.InputError, message):
      phrasings.find(self._file(content), patching)


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the manifest of an activation store and of its JSON Schema."""

import copy
import json
import pathlib
import re
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.activations import manifest
from tests.activations import fixtures

_SCHEMA = (
  pathlib.Path(__file__).parents[2] / 'docs' / 'activation_store.schema.json'
)
_TYPES: dict[str, Any] = {
  'object': dict,
  'array': list,
  'string': str,
  'integer': int,
  'number': (int, float),
}


def _problems(value: Any, schema: dict[str, Any], where: str) -> list[str]:
  """Checks `value` against the part of JSON Schema that the schema uses."""
  problems = []

  def expect(good, what):
    if not good:
      problems.append(f'{where}: {what}')

  for keyword, arg in schema.items():
    match keyword:
      case '$schema' | 'title' | 'description':
        pass
      case 'type':
        if not isinstance(value, _TYPES[arg]):
          return [f'{where}: not of type {arg}']
      case 'const':
        expect(value == arg, f'not {arg}')
      case 'enum':
        expect(value in arg, f'not one of {arg}')
      case 'pattern':
        expect(re.search(arg, value), f'not like {arg}')
      case 'minimum':
        expect(value >= arg, f'below {arg}')
      case 'maximum':
        expect(value <= arg, f'above {arg}')
      case 'minItems':
        expect(len(value) >= arg, f'fewer than {arg}')
      case 'uniqueItems':
        expect(len(set(value)) == len(value), 'repeated')
      case 'items':
        for i, item in enumerate(value):
          problems += _problems(item, arg, f'{where}[{i}]')
      case 'required':
        expect(set(arg) <= set(value), f'lacks {set(arg) - set(value)}')
      case 'properties':
        for name in set(arg) & set(value):
          problems += _problems(value[name], arg[name], f'{where}.{name}')
      case 'additionalProperties':
        for name in set(value) - set(schema.get('properties', {})):
          if arg is False:
            expect(False, f'unknown {name}')
          else:
            problems += _problems(value[name], arg, f'{where}.{name}')
      case _:
        raise ValueError(f'keyword {keyword} is not checked here')
  return problems


class ManifestTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.directory = pathlib.Path(self.create_tempdir().full_path) / 'store'
    fixtures.write(self.directory)
    self.file = self.directory / 'manifest.json'
    self.content = json.loads(self.file.read_text())

  def assert_refused(self, content, message):
    self.file.write_text(json.dumps(content))
    with self.assertRaisesRegex(errors.InputError, message) as caught:
      manifest.read(self.directory)
    self.assertNotIn('\n', str(caught.exception))

  def test_reading_gives_what_was_written(self):
    found = manifest.read(self.directory)
    self.assertEqual(found.spec, fixtures.SPEC)
    self.assertEqual(found.rows, 11)
    self.assertEqual([s.rows for s in found.shards], [4, 4, 3])
    self.assertEqual(
      json.loads(json.dumps(manifest.to_json(found))), self.content
    )

  @parameterized.parameters('float32', 'bfloat16')
  def test_written_manifests_follow_the_schema(self, dtype):
    directory = self.directory.with_name('other')
    fixtures.write(directory, fixtures.with_dtype(dtype))
    content = json.loads((directory / 'manifest.json').read_text())
    schema = json.loads(_SCHEMA.read_text())
    self.assertEqual(_problems(content, schema, 'manifest'), [])

  def test_the_schema_and_the_reader_require_the_same_fields(self):
    schema = json.loads(_SCHEMA.read_text())
    self.assertEqual(set(schema['required']), set(self.content))
    for name in schema['required']:
      content = copy.deepcopy(self.content)
      del content[name]
      self.assertNotEmpty(_problems(content, schema, 'manifest'))
      self.assert_refused(content, f'field {name} is missing')

  @parameterized.parameters(
    (('format_version',), 2, 'format_version is 2, expected 1'),
    (('rows',), 0, 'rows is 0, expected at least 1'),
    (('rows',), 13, '3 shards, expected 4 for 13 rows'),
    (('rows',), 12, 'shard 2: rows is 3, expected 4'),
    (('dtype',), 'float64', "dtype is 'float64'"),
    (('shards', 1, 'index'), 2, 'shard 1: index is 2'),
    (('shards', 1, 'crc32c'), {}, 'shard 1: field token_id/c/1 is missing'),
    (('shards', 0), 'x', 'shard 0: field index is missing'),
    (('statistics', 'embed', 'mean'), [0.5, 0.5], 'embed: mean .* 1 number'),
    (('statistics', 'resid_post', 'rms'), ['a', 'b'], 'expected 2 numbers'),
  )
  def test_a_bad_field_is_refused_by_name(self, path, value, message):
    content = copy.deepcopy(self.content)
    inner = content
    for key in path[:-1]:
      inner = inner[key]
    inner[path[-1]] = value
    self.assert_refused(content, message)

  @parameterized.parameters('', '[]', '{"rows": ')
  def test_what_is_no_manifest_is_refused(self, text):
    self.file.write_text(text)
    with self.assertRaises(errors.InputError):
      manifest.read(self.directory)


if __name__ == '__main__':
  absltest.main()

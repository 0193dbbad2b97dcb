# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Every BUILD file says what the Python files beside it import."""

import ast
import pathlib
import re
import textwrap

from absl.testing import absltest
from absl.testing import parameterized

from tests import build_files

ROOT = pathlib.Path(__file__).resolve().parents[1]

PROGRAM = "if __name__ == '__main__':\n  print()"

BUILD = """
load("@rules_python//python:defs.bzl", "py_library")

py_library(
    name = "view",
    srcs = ["view.py"],
    data = glob(["**/*.j2"]),
    deps = [
        ":shape",
        "//selfexplain_jax:errors",
        "@pypi//orbax_checkpoint",
    ],
)

py_library(
    name = "shape",
    srcs = ["shape.py"],
    data = glob(["**/*.j2"]),
)
"""


def _requirement_names() -> tuple[set[str], set[str]]:
  """Returns the names in setup.py's runtime and test requirements."""
  tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
  values = {
    ast.unparse(statement.targets[0]): statement.value
    for statement in tree.body
    if isinstance(statement, ast.Assign)
  }
  runtime = ast.literal_eval(values['RUNTIME'])
  test = ast.literal_eval(values['EXTRAS'])['test']
  return {_normal(r) for r in runtime}, {_normal(r) for r in test}


def _normal(requirement: str) -> str:
  """Returns the name of a requirement as rules_python spells it."""
  name = re.match(r'[\w.-]+', requirement)
  assert name is not None, requirement
  return re.sub(r'[-_.]+', '_', name[0]).lower()


class RepositoryTest(absltest.TestCase):
  """The repository's own BUILD files."""

  def test_build_files_say_what_is_imported(self):
    differences = build_files.differences(ROOT)
    self.assertEmpty(
      differences,
      '\n'.join(('', *differences, 'or: python -m tests.build_files --write')),
    )

  def test_third_party_imports_are_required_and_locked(self):
    runtime, test = _requirement_names()
    lock = (ROOT / 'requirements_lock.txt').read_text(encoding='utf-8')
    locked = {_normal(x) for x in lock.splitlines() if x and x[0] not in '# '}
    self.assertLessEqual(runtime | test, locked)
    for folder, targets in build_files.written_targets(ROOT).items():
      allowed = runtime | test if folder.startswith('tests') else runtime
      for target in targets:
        names = {d[7:] for d in target.deps if d.startswith('@pypi//')}
        self.assertLessEqual(
          names, allowed, f'//{folder}:{target.name} needs more than setup.py'
        )


class DifferencesTest(parameterized.TestCase):
  """A small repository, right at first, and broken in every way."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir())
    self.add('selfexplain_jax/__init__.py', '# Only a comment.')
    self.add('selfexplain_jax/errors.py', 'class InputError(ValueError): ...')
    self.add('selfexplain_jax/pages/__init__.py', '"""Only a docstring."""')
    self.add('selfexplain_jax/pages/templates/page.j2', '{{ x }}')
    self.add('selfexplain_jax/pages/shape.py', 'import dataclasses')
    self.add(
      'selfexplain_jax/pages/view.py',
      """
      import os.path
      from orbax.checkpoint import v1 as ocp
      from selfexplain_jax import errors
      import torch

      def lazily():
        from selfexplain_jax.pages import shape
      """,
    )
    self.add('selfexplain_jax/pages/BUILD', BUILD)
    self.add(
      'selfexplain_jax/BUILD',
      'py_library(name = "errors", srcs = ["errors.py"])',
    )

  def add(self, path: str, text: str) -> None:
    file = self.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))

  def test_right(self):
    self.assertEmpty(build_files.differences(self.root))

  @parameterized.parameters(
    (
      '        ":shape",\n',
      '',
      'view: add //selfexplain_jax/pages:shape to deps,'
      ' since view.py imports it',
    ),
    (
      '":shape"',
      '":shape", "//selfexplain_jax:files"',
      'view: remove //selfexplain_jax:files from deps: view.py imports no such',
    ),
    (
      '        "@pypi//orbax_checkpoint",\n',
      '',
      'view: add @pypi//orbax_checkpoint to deps, since view.py imports it',
    ),
    (
      'py_library(\n    name = "shape"',
      'py_binary(\n    name = "shape"',
      'shape: make the py_binary a py_library',
    ),
    (
      'srcs = ["shape.py"]',
      'srcs = ["shape.py", "view.py"]',
      "shape: set srcs to ['shape.py']",
    ),
    (
      'name = "view"',
      'name = "look"',
      'remove py_library look: no file calls for it',
      'add py_library view for view.py',
    ),
    (
      'load(',
      'py_library(name = "shape", srcs = ["shape.py"],'
      ' data = glob(["**/*.j2"]))\nload(',
      'shape: keep one of its 2 targets',
    ),
    (
      'srcs = ["view.py"],\n    data = glob(["**/*.j2"]),',
      'srcs = ["view.py"],',
      "view: set data to glob(['**/*.j2'])",
    ),
  )
  def test_wrong_build_file(self, old: str, new: str, *expected: str):
    self.assertIn(old, BUILD)
    self.add('selfexplain_jax/pages/BUILD', BUILD.replace(old, new, 1))
    self.assertEqual(
      build_files.differences(self.root),
      [f'//selfexplain_jax/pages/BUILD: {line}' for line in expected],
    )

  @parameterized.parameters(
    ('launch/go.py', PROGRAM, 'py_binary go'),
    ('tests/shape_test.py', PROGRAM, 'py_test shape_test'),
    ('tests/shape.py', 'import os', 'py_library shape'),
    ('tests/oracles/__init__.py', 'X = 1', 'py_library oracles'),
  )
  def test_new_file(self, path: str, text: str, target: str):
    self.add(path, text)
    folder, _, file = path.rpartition('/')
    self.assertEqual(
      build_files.differences(self.root),
      [f'//{folder}/BUILD: add {target} for {file}'],
    )

  @parameterized.parameters(
    (
      'tests/shape_test.py',
      'import os',
      'call absltest.main(), or Bazel runs none of its tests',
    ),
    (
      'launch/go.py',
      'from selfexplain_jax import nowhere',
      'imports selfexplain_jax.nowhere, which no file defines',
    ),
  )
  def test_fault_of_source(self, path: str, text: str, expected: str):
    self.add(path, text)
    build_files.write(self.root)
    self.assertEqual(
      build_files.differences(self.root), [f'//{path}: {expected}']
    )

  def test_removed_package(self):
    for name in ('shape.py', 'view.py', 'templates/page.j2'):
      (self.root / 'selfexplain_jax/pages' / name).unlink()
    self.assertLen(build_files.differences(self.root), 2)
    build_files.write(self.root)
    self.assertEmpty(build_files.differences(self.root))
    self.assertFalse((self.root / 'selfexplain_jax/pages/BUILD').exists())

  @parameterized.parameters(
    ('import selfexplain_jax.pages.view', 'selfexplain_jax/pages:view'),
    ('import selfexplain_jax.pages.view as v', 'selfexplain_jax/pages:view'),
    ('from selfexplain_jax.pages import view', 'selfexplain_jax/pages:view'),
    ('from selfexplain_jax.errors import InputError', 'selfexplain_jax:errors'),
    ('from tests import oracles', 'tests/oracles:oracles'),
    ('from tests.oracles import X', 'tests/oracles:oracles'),
    ('from . import near', 'launch:near'),
    ('from .near import Y', 'launch:near'),
    ('from ..selfexplain_jax import errors', 'selfexplain_jax:errors'),
  )
  def test_import_forms(self, statement: str, expected: str):
    self.add('tests/oracles/__init__.py', 'X = 1')
    self.add('launch/near.py', 'Y = 1')
    self.add('launch/go.py', statement)
    sources = build_files.source_files(self.root)
    self.assertEqual(
      build_files.dependencies('launch/go.py', sources, self.root),
      {f'//{expected}'},
    )

  def test_written_files_are_right_and_sorted(self):
    (self.root / 'selfexplain_jax/pages/BUILD').unlink()
    build_files.write(self.root)
    self.assertEmpty(build_files.differences(self.root))
    text = (self.root / 'selfexplain_jax/pages/BUILD').read_text()
    rules = BUILD.partition('\n\n')[2].strip().split('\n\n')
    self.assertEqual(text.strip().split('\n\n')[-2:], sorted(rules))


if __name__ == '__main__':
  absltest.main()

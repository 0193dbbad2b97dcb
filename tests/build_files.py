# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Bazel BUILD files from the imports of the Python files, and back.

Every Python file with code is the one source of one target, named after it:
a `py_test` if it ends in `_test.py`, a `py_binary` if it runs as a program, a
`py_library` otherwise. An `__init__.py` with code is a library named after its
folder; one without needs no target, because rules_python makes empty ones.
BUILD files are in the part of Starlark that is Python too, so that `ast` reads
both.

  python -m tests.build_files            # what is wrong
  python -m tests.build_files --write    # make it right
"""

import argparse
import ast
from collections.abc import Iterator, Mapping
import dataclasses
import pathlib
import sys
from typing import Any

ROOTS = ('experiments', 'launch', 'selfexplain_jax', 'tests')
HEADER = """\
# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
# Written by `python -m tests.build_files --write` from the imports.
"""
RULES = ('py_binary', 'py_library', 'py_test')
DATA_PATTERNS = tuple(
  f'**/*.{ending}'
  for ending in 'css html j2 js json pkl pt safetensors'.split()
)
# What studies found, which no program needs to run.
RESULTS = 'experiments/results'

# Distributions that are not named like the module that is imported.
DISTRIBUTIONS = {
  'absl': 'absl_py',
  'yaml': 'pyyaml',
  'jinja2': 'jinja2',
  'orbax': 'orbax_checkpoint',
  'tensorboardX': 'tensorboardx',
}
# Imported only where an extra is installed, and not in the lock file.
OPTIONAL = frozenset(
  (
    'datasets',
    'dictionary_learning',
    'gcp_storage_emulator',
    'gcsfs',
    'nnsight',
    'peft',
    'sentence_transformers',
    'sae_lens',
    'selenium',
    'torch',
    'transformer_lens',
    'transformers',
  )
)


@dataclasses.dataclass(frozen=True)
class Target:
  """A rule of a BUILD file.

  Attributes:
    kind: one of `RULES`.
    name: the name within the package.
    srcs: file names, relative to the package.
    deps: full labels: `//folder:name` and `@pypi//name`.
    data: patterns of data files, relative to the package.
  """

  kind: str
  name: str
  srcs: tuple[str, ...]
  deps: frozenset[str] = frozenset()
  data: tuple[str, ...] = ()


def source_files(root: pathlib.Path) -> dict[str, ast.Module]:
  """Parses every Python file that needs a target.

  Args:
    root: the top folder of the repository.

  Returns:
    Syntax trees by path relative to `root`, such as `launch/sweep.py`, sorted.
  """
  trees = {}
  for folder in ROOTS:
    for file in sorted((root / folder).rglob('*.py')):
      tree = ast.parse(file.read_text(encoding='utf-8'), str(file))
      if file.name != '__init__.py' or _has_code(tree):
        trees[file.relative_to(root).as_posix()] = tree
  return trees


def _has_code(tree: ast.Module) -> bool:
  return len(tree.body) > (ast.get_docstring(tree) is not None)


def label(path: str) -> str:
  """Returns the full label of the target of a Python file."""
  folder, _, file = path.rpartition('/')
  if file == '__init__.py':
    return f'//{folder}:{folder.rpartition("/")[2]}'
  return f'//{folder}:{file.removesuffix(".py")}'


def kind(path: str, tree: ast.Module) -> str:
  """Returns the rule that a Python file calls for."""
  if path.endswith('_test.py'):
    return 'py_test'
  return 'py_binary' if runs_as_program(tree) else 'py_library'


def runs_as_program(tree: ast.Module) -> bool:
  """Whether a module has a top-level `if __name__ == '__main__':`."""
  return any(
    isinstance(statement, ast.If)
    and ast.unparse(statement.test) == "__name__ == '__main__'"
    for statement in tree.body
  )


def imported_names(path: str, tree: ast.Module) -> Iterator[str]:
  """Yields the dotted name of everything a file imports, wherever it does so.

  `from a.b import c` is `a.b.c`, whether `c` is a module or not.
  """
  package = path.split('/')[:-1]
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else []
      base = base + (node.module.split('.') if node.module else [])
      yield from ('.'.join((*base, name.name)) for name in node.names)


def dependencies(
  path: str, sources: Mapping[str, ast.Module], root: pathlib.Path
) -> frozenset[str]:
  """Returns the labels that a file's imports call for.

  First-party imports that name no file have none; `differences` reports them.

  Args:
    path: the file, relative to `root`.
    sources: what `source_files` returned.
    root: the top folder of the repository.
  """
  labels = set()
  for name in imported_names(path, sources[path]):
    top = name.partition('.')[0]
    if top in ROOTS:
      file = _module_file(name, root)
      if file and file in sources:
        labels.add(label(file))
    elif top not in sys.stdlib_module_names and top not in OPTIONAL:
      labels.add(f'@pypi//{DISTRIBUTIONS.get(top, top)}')
  return frozenset(labels)


def _module_file(name: str, root: pathlib.Path) -> str | None:
  """Returns the file that `import name`, or `from module import it`, loads."""
  path = name.replace('.', '/')
  parent = path.rpartition('/')[0]
  for candidate in (f'{path}.py', f'{path}/__init__.py', f'{parent}.py'):
    if (root / candidate).is_file():
      return candidate
  initialiser = f'{parent}/__init__.py'
  if (root / initialiser).is_file():
    tree = ast.parse((root / initialiser).read_text(encoding='utf-8'))
    return initialiser if _has_code(tree) else None
  return None


def expected_targets(root: pathlib.Path) -> dict[str, dict[str, Target]]:
  """Returns the targets that the Python files call for, by folder and name."""
  sources = source_files(root)
  packages: dict[str, dict[str, Target]] = {}
  for path, tree in sources.items():
    folder, _, file = path.rpartition('/')
    name = label(path).rpartition(':')[2]
    packages.setdefault(folder, {})[name] = Target(
      kind(path, tree), name, (file,), dependencies(path, sources, root)
    )
  return {
    folder: {
      name: dataclasses.replace(
        target, data=_data_patterns(root, folder, packages)
      )
      for name, target in targets.items()
    }
    for folder, targets in packages.items()
  }


def _data_patterns(
  root: pathlib.Path, folder: str, packages: Mapping[str, object]
) -> tuple[str, ...]:
  """Returns the patterns with a file in `folder`, not in a package below it."""

  def belongs(file: pathlib.Path) -> bool:
    name = file.relative_to(root)
    parents = [parent.as_posix() for parent in name.parents]
    if RESULTS in parents:
      return False
    return next(p for p in parents if p in packages) == folder

  return tuple(
    pattern
    for pattern in DATA_PATTERNS
    if any(map(belongs, (root / folder).glob(pattern)))
  )


def render(folder: str, targets: Mapping[str, Target]) -> str:
  """Returns the text of a BUILD file, as buildifier would format it."""
  rules = ', '.join(
    f'"{rule}"' for rule in sorted({t.kind for t in targets.values()})
  )
  blocks = [
    HEADER.strip(),
    f'load("@rules_python//python:defs.bzl", {rules})',
    'package(default_visibility = ["//visibility:public"])',
  ]
  for target in targets.values():
    lines = [f'{target.kind}(', f'    name = "{target.name}",']
    lines.append(f'    srcs = ["{target.srcs[0]}"],')
    if target.data:
      patterns = _list(target.data, 4)
      lines.append(f'    data = glob({patterns}),')
    if target.deps:
      short = (dep.replace(f'//{folder}:', ':') for dep in target.deps)
      lines.append(f'    deps = {_list(sorted(short, key=_label_order), 4)},')
    blocks.append('\n'.join([*lines, ')']))
  return '\n\n'.join(blocks) + '\n'


def _label_order(text: str) -> tuple[int, str]:
  """Orders labels as buildifier does: here, then elsewhere, then outside."""
  return ':/@'.index(text[0]), text.replace(':', '!')


def _list(items: tuple[str, ...] | list[str], indent: int) -> str:
  if len(items) == 1:
    return f'["{items[0]}"]'
  pad = ' ' * indent
  return '[\n' + ''.join(f'{pad}    "{item}",\n' for item in items) + f'{pad}]'


def parse(text: str, folder: str) -> list[Target]:
  """Parses the Python rules of a BUILD file.

  Args:
    text: its contents.
    folder: the folder it is in, relative to the top, to complete labels.

  Raises:
    SyntaxError: if it is not Python.
    ValueError: if an attribute is not a literal, or a `glob` of literals.
  """
  targets = []
  for statement in ast.parse(text, f'{folder}/BUILD').body:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) not in RULES:
      continue
    attributes = {
      keyword.arg: _literal(keyword.value) for keyword in call.keywords
    }
    targets.append(
      Target(
        ast.unparse(call.func),
        attributes['name'],
        tuple(attributes.get('srcs', ())),
        frozenset(
          f'//{folder}{dep}' if dep.startswith(':') else dep
          for dep in attributes.get('deps', ())
        ),
        tuple(attributes.get('data', ())),
      )
    )
  return targets


def _literal(node: ast.expr) -> Any:
  if isinstance(node, ast.Call) and ast.unparse(node.func) == 'glob':
    return ast.literal_eval(node.args[0])
  return ast.literal_eval(node)


def written_targets(root: pathlib.Path) -> dict[str, list[Target]]:
  """Parses all BUILD files with Python rules; returns the rules by folder."""
  packages = {}
  for top in ROOTS:
    for file in sorted((root / top).rglob('BUILD')):
      folder = file.parent.relative_to(root).as_posix()
      if targets := parse(file.read_text(encoding='utf-8'), folder):
        packages[folder] = targets
  return packages


def differences(root: pathlib.Path) -> list[str]:
  """Returns what to change for Bazel to be right, a sentence each.

  Args:
    root: the top folder of the repository.

  Raises:
    ValueError: if a BUILD file cannot be parsed.
  """
  expected, written = expected_targets(root), written_targets(root)
  found = list(_source_faults(root))
  for folder in sorted({*expected, *written}):
    wanted = expected.get(folder, {})
    present = written.get(folder, [])
    for target in present:
      if target.name not in wanted:
        found.append(
          f'remove {target.kind} {target.name}: no file calls for it'
        )
      else:
        found.extend(_target_differences(target, wanted[target.name]))
    names = [target.name for target in present]
    for name, target in wanted.items():
      if name not in names:
        found.append(f'add {target.kind} {name} for {target.srcs[0]}')
      elif names.count(name) > 1:
        found.append(f'{name}: keep one of its {names.count(name)} targets')
    found = [
      f if f.startswith('//') else f'//{folder}/BUILD: {f}' for f in found
    ]
  return found


def _source_faults(root: pathlib.Path) -> Iterator[str]:
  """Yields what no BUILD file can make right."""
  for path, tree in source_files(root).items():
    for name in imported_names(path, tree):
      if name.partition('.')[0] in ROOTS and not _module_file(name, root):
        yield f'//{path}: imports {name}, which no file defines'
    if path.endswith('_test.py') and not runs_as_program(tree):
      yield f'//{path}: call absltest.main(), or Bazel runs none of its tests'


def _target_differences(present: Target, wanted: Target) -> Iterator[str]:
  name = present.name
  if present.kind != wanted.kind:
    yield f'{name}: make the {present.kind} a {wanted.kind}'
  if present.srcs != wanted.srcs:
    yield f'{name}: set srcs to {list(wanted.srcs)}'
  if present.data != wanted.data:
    yield f'{name}: set data to glob({list(wanted.data)})'
  for dep in sorted(wanted.deps - present.deps):
    yield f'{name}: add {dep} to deps, since {wanted.srcs[0]} imports it'
  for dep in sorted(present.deps - wanted.deps):
    yield f'{name}: remove {dep} from deps: {wanted.srcs[0]} imports no such'


def write(root: pathlib.Path) -> None:
  """Writes the BUILD files, and removes those whose Python files are gone."""
  packages = expected_targets(root)
  for folder, targets in packages.items():
    text = render(folder, targets)
    (root / folder / 'BUILD').write_text(text, encoding='utf-8')
  for folder in written_targets(root).keys() - packages.keys():
    (root / folder / 'BUILD').unlink()


def main() -> None:
  """Prints what differs, or with `--write` mends it; exit status 1 or 0."""
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument(
    '--write', action='store_true', help='write the BUILD files'
  )
  root = pathlib.Path(__file__).resolve().parents[1]
  if parser.parse_args().write:
    write(root)
  found = differences(root)
  print('\n'.join(found))
  sys.exit(bool(found))


if __name__ == '__main__':
  main()

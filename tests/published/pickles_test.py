# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of `pickles` on files that PyTorch wrote, and on hostile ones."""

import io
import os
import pathlib
import pickle
import struct
from typing import Any
import zipfile

from absl.testing import absltest
from absl.testing import parameterized
import ml_dtypes
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.published import pickles

_DATA = pathlib.Path(__file__).parent / 'data' / 'tensors'
_VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)
_PROTOCOLS = (2, 4, 5)


class _Call:
  """Pickles as a call of a function."""

  def __init__(self, function: Any, *arguments: Any):
    self._call = function, arguments

  def __reduce__(self) -> Any:
    return self._call


class _Global:
  """Pickles as the name of something, whatever is at that name."""

  def __init__(self, name: str):
    self.name = name


class _Reduce:
  """Pickles as a call of a name."""

  def __init__(self, name: str, arguments: Any):
    self.name, self.arguments = name, arguments


_PYTHON_PICKLER: Any = pickle._Pickler  # The one that can be told more.


class _Pickler(_PYTHON_PICKLER):
  """Writes the two above, and tuples that say so as persistent ids."""

  def persistent_id(self, obj: Any) -> Any:
    marked = isinstance(obj, list) and obj[:1] == ['persistent']
    return tuple(obj[1:]) if marked else None

  def _save_global(self, obj: _Global) -> None:
    module, _, last = obj.name.rpartition('.')
    self.write(b'c' + f'{module}\n{last}\n'.encode())

  def _save_reduce(self, obj: _Reduce) -> None:
    self.save(_Global(obj.name))
    self.save(obj.arguments)
    self.write(b'R')

  dispatch = {
    **_PYTHON_PICKLER.dispatch,
    _Global: _save_global,
    _Reduce: _save_reduce,
  }


def _dump(value: Any) -> bytes:
  out = io.BytesIO()
  _Pickler(out, 2).dump(value)
  return out.getvalue()


def _zip(program: bytes, **entries: bytes) -> bytes:
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w') as archive:
    archive.writestr('archive/data.pkl', program)
    for name, content in entries.items():
      archive.writestr(f'archive/data/{name}', content)
  return out.getvalue()


def _legacy(program: bytes, keys: list[str], numbers: bytes = b'') -> bytes:
  system = {'little_endian': True, 'protocol_version': 1001}
  parts = (0x1950A86A20F9469CFC6C, 1001, system)
  head = b''.join(pickle.dumps(p, 2) for p in parts)
  return head + program + pickle.dumps(keys, 2) + numbers


def _storage(count: int, kind: str = 'torch.FloatStorage') -> list[Any]:
  return ['persistent', 'storage', _Global(kind), '0', 'cpu', count]


def _tensor(storage: Any, size: Any, stride: Any, offset: int = 0) -> Any:
  return _Reduce(
    'torch._utils._rebuild_tensor_v2',
    (storage, offset, size, stride, False, None),
  )


class PicklesTest(parameterized.TestCase):
  def _write(self, content: bytes) -> str:
    file = pathlib.Path(self.create_tempdir().full_path) / 'file.pkl'
    file.write_bytes(content)
    return str(file)

  def assert_refused(self, content: bytes, said: str) -> None:
    name = self._write(content)
    with self.assertRaises(errors.InputError) as caught:
      pickles.read(name)
    message = str(caught.exception)
    self.assertLen(message.splitlines(), 1)
    self.assertStartsWith(message, name)
    self.assertIn(said, message)

  @parameterized.product(
    name=('tensor', 'tensor_transposed', 'array', 'array_fortran'),
    protocol=_PROTOCOLS,
  )
  def test_pickled_arrays(self, name, protocol):
    found = pickles.read(_DATA / f'{name}_{protocol}.pkl')
    np.testing.assert_array_equal(found, _VALUES, strict=True)

  @parameterized.parameters(*_PROTOCOLS)
  def test_pickled_bfloat16(self, protocol):
    found = pickles.read(_DATA / f'tensor_bfloat16_{protocol}.pkl')
    np.testing.assert_array_equal(
      found, _VALUES.astype(ml_dtypes.bfloat16), strict=True
    )

  @parameterized.parameters(
    ('zip', np.float32),
    ('zip_bfloat16', ml_dtypes.bfloat16),
    ('zip_int64', np.int64),
    ('zip_transposed', np.float32),
    ('zip_part', np.float32),
  )
  def test_zip_files(self, name, dtype):
    found = pickles.read(_DATA / f'{name}.pt')
    np.testing.assert_array_equal(found, _VALUES.astype(dtype), strict=True)

  @parameterized.parameters(
    ('legacy_float32', np.float32), ('legacy_bfloat16', ml_dtypes.bfloat16)
  )
  def test_older_files(self, name, dtype):
    found = pickles.read(_DATA / f'{name}.pt')
    self.assertEqual(list(found), ['vectors'])
    np.testing.assert_array_equal(
      found['vectors'], _VALUES.astype(dtype), strict=True
    )

  def test_state_dict(self):
    found = pickles.read(_DATA / 'zip_state_dict.pt')
    self.assertEqual(list(found), ['weight'])
    np.testing.assert_array_equal(found['weight'], _VALUES, strict=True)

  @parameterized.parameters(*_PROTOCOLS)
  def test_containers(self, protocol):
    self.assertEqual(
      pickles.read(_DATA / f'containers_{protocol}.pkl'),
      {
        'set': {1, 2},
        'frozen': frozenset([3]),
        'bytes': b'4',
        'nested': [(5, None, 'six')],
      },
    )
    scalars = pickles.read(_DATA / f'scalars_{protocol}.pkl')
    self.assertEqual(scalars, list(range(12)))

  @parameterized.parameters(0, 1, 2, 3, 4, 5)
  def test_plain_values_as_pickle_itself(self, protocol):
    shared = ['shared']
    value = {
      'numbers': [0, -1, 255, 65536, 2**31, -(2**70), 0.5, True, False, None],
      'texts': ('', 'é', 'x' * 300),
      ('a', 1): [shared, shared, {}, [], ()],
    }
    found = pickles.read(self._write(pickle.dumps(value, protocol)))
    self.assertEqual(found, value)

  def test_hostile_files_do_nothing(self):
    marker = os.path.join(self.create_tempdir().full_path, 'marker')
    call = _Call(os.system, f'touch {marker}')
    opens = _Call(open, marker, 'w')
    pickle.loads(pickle.dumps(call))  # It would.
    self.assertTrue(os.path.exists(marker))
    os.remove(marker)
    evaluates = _Call(eval, f'open({marker!r}, "w")')
    nested = _legacy(_dump(call), [])
    hostile = {
      'plain': (pickle.dumps(call), 'posix.system'),
      'protocol 0': (pickle.dumps(call, 0), 'posix.system'),
      'evaluates': (pickle.dumps({'x': evaluates}), 'builtins.eval'),
      'opens': (pickle.dumps([opens]), 'io.open'),
      'as an argument': (
        _dump(_Reduce('collections.OrderedDict', ([call],))),
        'posix.system',
      ),
      'of a tensor': (_dump(_tensor(call, (2,), (1,))), 'posix.system'),
      'beside a tensor': (
        _zip(
          _dump([_tensor(_storage(4), (4,), (1,)), call]), **{'0': bytes(16)}
        ),
        'posix.system',
      ),
      'persistent id': (
        _zip(_dump(['persistent', 'storage', call, '0', 'cpu', 4])),
        'posix.system',
      ),
      'nested file': (
        _dump(_Reduce('torch.storage._load_from_bytes', (nested,))),
        'posix.system',
      ),
      'older file': (nested, 'posix.system'),
      'among keys': (_legacy(_dump([1]), [])[:-4] + _dump(call), 'system'),
      'as a method': (
        _dump(_Reduce('builtins.getattr', (call, 'x'))),
        'getattr',
      ),
      'by instance': (b'(S"true"\nios\nsystem\n.', 'by INST'),
    }
    for name, (content, said) in hostile.items():
      with self.subTest(name):
        self.assert_refused(content, said)
        self.assertFalse(os.path.exists(marker))

  @parameterized.named_parameters(
    ('function', pickle.dumps(_Call(os.system, 'true')), 'posix.system'),
    ('evaluation', pickle.dumps(_Call(eval, '1')), 'names builtins.eval'),
    ('class', pickle.dumps(pathlib.PurePosixPath('/')), 'PurePosixPath'),
    (
      'not a storage',
      _zip(_dump(_tensor(_storage(4, 'numpy.ndarray'), (4,), (1,)))),
      'no storage',
    ),
    (
      'outside of a plain pickle',
      _dump(_tensor(_storage(4), (4,), (1,))),
      'refers to something outside',
    ),
    (
      'a tensor beyond its storage',
      _zip(_dump(_tensor(_storage(2), (3,), (1,))), **{'0': bytes(8)}),
      'expected one that fits',
    ),
    (
      'a tensor before its storage',
      _zip(_dump(_tensor(_storage(2), (1,), (1,), -1)), **{'0': bytes(8)}),
      'has a tensor of size',
    ),
    (
      'a small storage as a large tensor',
      _zip(
        _dump(_tensor(_storage(2), (10**6, 10**6), (0, 0))), **{'0': bytes(8)}
      ),
      'expected one that fits',
    ),
    (
      'a storage cut short',
      _zip(_dump(_tensor(_storage(2**40), (3,), (1,))), **{'0': bytes(8)}),
      'storage 0 has 8 bytes',
    ),
    (
      'a call of a type',
      _dump(_Reduce('torch.FloatStorage', ())),
      'calls torch.FloatStorage',
    ),
    (
      'an array of objects',
      _dump(_Reduce('numpy.dtype', ('O', False, True))),
      'whose dtype is no number',
    ),
    (
      'three files deep',
      _dump(
        _Reduce(
          'torch.storage._load_from_bytes',
          (_dump(_Reduce('torch.storage._load_from_bytes', (b'x',))),),
        )
      ),
      'a file in a file in a file',
    ),
    (
      'a number that is encoded',
      _dump(_Reduce('_codecs.encode', (5, 'latin1'))),
      'damaged',
    ),
    (
      'a key that takes forever to hash',
      b'\x80\x02})' + b'2\x86' * 80 + b'Ns.',
      'has a key of a tuple',
    ),
    (
      'a member that takes forever to hash',
      b'\x80\x04\x8f()' + b'2\x86' * 80 + b'\x90.',
      'has a key of a tuple',
    ),
    ('cut', pickle.dumps(list(range(1000)))[:-5], 'damaged'),
    ('no pickle', b'{"json": 1}', 'damaged'),
    ('of no bytes', b'', 'damaged'),
    ('a huge text', b'\x80\x04\x8d' + struct.pack('<Q', 2**40), 'damaged'),
    ('a cut zip', (_DATA / 'zip.pt').read_bytes()[:-30], 'damaged'),
    ('a deep pickle', b'(' * 10, 'damaged'),
    ('a state for a text', b'\x80\x02X\x01\x00\x00\x00a}b.', 'a state'),
  )
  def test_refused(self, content, said):
    self.assert_refused(content, said)

  def test_a_huge_memo_takes_no_room(self):
    content = b'\x80\x02Nr' + struct.pack('<I', 2**32 - 1) + b'.'
    self.assertIsNone(pickles.read(self._write(content)))

  def test_missing_file_is_named(self):
    with self.assertRaisesRegex(errors.InputError, 'no file at /nowhere'):
      pickles.read('/nowhere/x.pkl')


if __name__ == '__main__':
  absltest.main()

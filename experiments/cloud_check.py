# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Runs a small quickstart on gs:// and compares it with one on a disk.

  pip install -e '.[test,cloud]'
  python -m experiments.cloud_check --workdir=DIR

The bucket is that of an emulator on this machine; nothing is sent anywhere. The
run on the bucket is killed once and started again. Exits with 1 if its results
are not those of the run on the disk, byte for byte.
"""

import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from absl import app
from absl import flags

from experiments.kills import killing
from experiments.kills import stages

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the runs; nothing may be there.', required=True
)
_PORT, _BUCKET = 9123, 'selfexplain'
_KILL_AFTER_SECONDS = 15


def _serve() -> None:
  """Emulates the storage."""
  from gcp_storage_emulator.handlers import objects

  download = objects.download

  def complete(request, response, storage, *args, **kwargs):
    """Serves what the emulator leaves out: last bytes, and generations."""
    place = (request.params['bucket_name'], request.params['object_id'])
    asked = request.get_header('range', None)
    last = re.fullmatch(r'\s*bytes=-(\d+)', asked or '')
    try:
      note = storage.get_file_obj(*place)
    except Exception:  # There is no such object: it says so itself.
      return download(request, response, storage, *args, **kwargs)
    response['x-goog-generation'] = str(note.get('generation', 1))
    if last:
      size = len(storage.get_file(*place))
      start = max(0, size - int(last[1]))
      other = request.get_header
      request.get_header = lambda name, default=None: (
        f'bytes={start}-{size - 1}' if name == 'range' else other(name, default)
      )
    return download(request, response, storage, *args, **kwargs)

  listed = objects.ls

  def within(request, response, storage, *args, **kwargs):
    """Lists what lies between two names, where the emulator lists all."""
    first, after = (
      (request.query.get(name) or [None])[0]
      for name in ('startOffset', 'endOffset')
    )
    answer = response.json

    def some(content):
      items = [
        one
        for one in content['items']
        if (first is None or one['name'] >= first)
        and (after is None or one['name'] < after)
      ]
      answer({**content, 'items': items})

    response.json = some
    return listed(request, response, storage, *args, **kwargs)

  objects.download, objects.ls = complete, within
  from gcp_storage_emulator import server  # Which takes them as it is imported.

  emulator = server.create_server(
    'localhost', _PORT, in_memory=True, default_bucket=_BUCKET
  )
  emulator.start()
  while True:
    time.sleep(1)


def _run(workdir: str, log: pathlib.Path) -> subprocess.Popen[bytes]:
  with log.open('ab') as out:
    return subprocess.Popen(
      [
        *(sys.executable, '-m', 'launch.quickstart'),
        f'--config=experiments/kills/stages.py:{stages.FLOW}',
        f'--workdir={workdir}',
      ],
      stdout=out,
      stderr=out,
    )


def _finish(workdir: str, log: pathlib.Path) -> None:
  if code := _run(workdir, log).wait():
    raise RuntimeError(f'{workdir} ended with {code}: see {log}')


def _fetch(folder: pathlib.Path) -> None:
  """Copies all objects of the bucket to a folder."""
  import gcsfs

  remote = gcsfs.GCSFileSystem(token='anon')
  for name in remote.find(f'{_BUCKET}/run'):
    target = folder / name.removeprefix(f'{_BUCKET}/run/')
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(remote.cat_file(name))


def main(argv: list[str]) -> None:
  """Runs both and prints what differs."""
  del argv
  root = pathlib.Path(_WORKDIR.value).absolute()
  if root.exists() and any(root.iterdir()):
    print(f'error: {root} is not empty: expected a new folder', file=sys.stderr)
    sys.exit(2)
  root.mkdir(parents=True, exist_ok=True)
  address = f'http://localhost:{_PORT}'
  os.environ |= {
    'STORAGE_EMULATOR_HOST': address,
    'TENSORSTORE_GCS_HTTP_URL': address,
    # Else another protocol is tried, which the emulator does not speak.
    'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false',
  }
  served = multiprocessing.get_context('spawn').Process(
    target=_serve, daemon=True
  )
  served.start()
  time.sleep(5)

  _finish(str(root / 'disk'), root / 'disk.txt')
  bucket, log = f'gs://{_BUCKET}/run', root / 'bucket.txt'
  process = _run(bucket, log)
  time.sleep(_KILL_AFTER_SECONDS)
  process.send_signal(signal.SIGKILL)
  print(f'killed after {_KILL_AFTER_SECONDS} s: {process.wait()}')
  _finish(bucket, log)
  _fetch(root / 'fetched')
  served.terminate()

  expected = killing.digests(root / 'disk', str(root / 'disk'))
  found = killing.digests(root / 'fetched', bucket)
  different = killing.differences(expected, found)
  print(f'{len(expected)} results, {len(different)} differences', *different)
  if different:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)

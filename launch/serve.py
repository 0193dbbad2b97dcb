# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Serves a local page: type a text, click a token, ask, see claim and check.

  python -m launch.serve

`--explainer` is the workdir of train_explainer or of the quickstart, and
`--evaluations` a folder with workdirs of evaluate_fidelity, whose claims can be
looked through: that of the quickstart if it is not given. It listens on this
machine alone, unless `--host` says otherwise; whoever can reach it can ask.
"""

import socket

from absl import flags
from absl import logging
import uvicorn

from launch import cli
from launch import interviews
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.serving import app
from selfexplain_jax.serving import claims

flags.adopt_module_key_flags(interviews)
_EVALUATIONS = flags.DEFINE_string(
  'evaluations', None, 'Folder with evaluations; that of --explainer if none.'
)
_HOST = flags.DEFINE_string('host', '127.0.0.1', 'Address to listen on.')
_PORT = flags.DEFINE_integer(
  'port',
  8712,
  'Port to listen on; 0 for any.',
  lower_bound=0,
  upper_bound=65535,
)
_MOST_TOKENS = flags.DEFINE_integer(
  'most_tokens', 128, 'Longest text, in tokens.', lower_bound=1
)
_LOCAL = ('127.0.0.1', 'localhost', '::1', '[::1]')
_ANY = ('0.0.0.0', '::')


def main() -> int:
  """Loads the models and serves the page until it is stopped."""
  found = interviews.find()
  listening = _listen()
  opened = interviews.load(found)
  folder = _EVALUATIONS.value
  if folder is None:
    folder = str(files.path(found.explainer).parent.parent)
  page = app.Page(opened, claims.find(folder), _MOST_TOKENS.value)
  # Pages of other sites reach it by names of theirs, which it does not answer
  # to, unless it is to be reached by any.
  hosts = ('*',) if _HOST.value in _ANY else (_HOST.value, *_LOCAL)
  address, port = listening.getsockname()[:2]
  logging.info(
    'Serving %s and %d evaluations at http://%s:%d; Ctrl-C ends it',
    found.explainer,
    len(page.evaluations),
    f'[{address}]' if ':' in address else address,
    port,
  )
  logging.set_verbosity(logging.WARNING)
  server = uvicorn.Server(
    uvicorn.Config(app.make(page, hosts), log_level='warning', ws='none')
  )
  try:
    server.run(sockets=[listening])
  except KeyboardInterrupt:
    pass  # As it was told.
  return 0


def _listen() -> socket.socket:
  """Takes the port before anything is loaded.

  Raises:
    errors.InputError: if it cannot be had.
  """
  try:
    family = socket.AF_INET6 if ':' in _HOST.value else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((_HOST.value, _PORT.value))
    made.listen()
  except OSError as e:
    raise errors.InputError(
      f'--host={_HOST.value} --port={_PORT.value} cannot be listened on: '
      f'{e.strerror or e}, expected a free port of this machine'
    ) from e
  return made


if __name__ == '__main__':
  cli.launch_flags(main)

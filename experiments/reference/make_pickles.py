# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the pickles and `.pt` files that are read without PyTorch in the tests.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.make_pickles --output=tests/published/data

`tensors/` has one file for each way in which tensors are written; all hold
0, 1, 2, … in one shape. `features/` is a small data set of feature descriptions
in the published layout (method E.1): the decoder directions of two layers, of
random numbers, labels, and two sets of vectors that are no features.
"""

import collections
from collections.abc import Sequence
import itertools
import pathlib
import pickle
from typing import Any

from absl import app
from absl import flags
import numpy as np
import torch

from selfexplain_jax import files

_OUTPUT = flags.DEFINE_string(
  'output', 'tests/published/data', 'Folder to write to.'
)

_WIDTH, _FEATURES, _LAYERS = 16, 24, 2
_TOPICS = ('rivers', 'bread', 'music', 'winter', 'ships', 'numbers')


def _tensors(folder: pathlib.Path) -> None:
  """Writes 0 to 11, of shape [3, 4], in every way."""
  folder.mkdir(parents=True, exist_ok=True)
  values = torch.arange(12, dtype=torch.float32).reshape(3, 4)
  transposed = values.T.contiguous().T
  state = torch.nn.Linear(4, 3, bias=False)
  state.weight.data.copy_(values)
  of_torch: dict[str, Any] = {
    'zip': values,
    'zip_bfloat16': values.bfloat16(),
    'zip_int64': values.long(),
    'zip_transposed': transposed,
    'zip_part': torch.arange(100.0)[:12].reshape(3, 4),
    'zip_state_dict': state.state_dict(),
  }
  for name, value in of_torch.items():
    torch.save(value, folder / f'{name}.pt')
  for name, value in (('float32', values), ('bfloat16', values.bfloat16())):
    torch.save(
      {'vectors': value},
      folder / f'legacy_{name}.pt',
      _use_new_zipfile_serialization=False,
    )
  of_pickle: dict[str, Any] = {
    'tensor': values,
    'tensor_bfloat16': values.bfloat16(),
    'tensor_transposed': transposed,
    'array': values.numpy(),
    'array_fortran': np.asfortranarray(values.numpy()),
    'scalars': [np.float32(v) for v in range(12)],
    'containers': collections.OrderedDict(
      set={1, 2}, frozen=frozenset([3]), bytes=b'4', nested=[(5, None, 'six')]
    ),
  }
  for name, value in of_pickle.items():
    for protocol in (2, 4, 5):
      content = pickle.dumps(value, protocol)
      (folder / f'{name}_{protocol}.pkl').write_bytes(content)


def _features(folder: pathlib.Path) -> None:
  """Writes the published layout."""
  torch.manual_seed(0)
  (folder / 'features').mkdir(parents=True, exist_ok=True)
  (folder / 'explanations').mkdir(exist_ok=True)
  for layer in range(_LAYERS):
    directions = torch.randn(_WIDTH, _FEATURES)
    with (folder / f'features/layer_{layer}.pkl').open('wb') as f:
      pickle.dump(directions, f)
  every = list(itertools.product(range(_LAYERS), range(_FEATURES)))
  for split, chosen in (
    ('train', [c for c in every if c[1] % 4]),
    ('test', [c for c in every if not c[1] % 4]),
  ):
    entries = []
    for layer, feature in chosen:
      # By the largest number of the direction: something to be learnt.
      label = f'words about {_TOPICS[(layer + feature) % len(_TOPICS)]}'
      other = f'terms of {_TOPICS[(layer + feature) % len(_TOPICS)]}'
      entries.append(
        (
          (layer, feature),
          {
            'chosen_label': label,
            'all_labels': [label, other],
            'all_label_scores': {label: 0.5, other: None},
          },
        )
      )
    for name, content in (
      (f'{split}_explanations.pkl', entries),
      (f'{split}_layer_feature_idxs.pkl', chosen),
    ):
      with (folder / 'explanations' / name).open('wb') as f:
        pickle.dump(content, f)
  files.write_json(
    folder / 'exemplar_config.json', {'seq_len': 12, 'k': 2, 'model': 'tiny'}
  )
  vectors = torch.randn(6, _WIDTH)
  torch.save(vectors, folder / 'test_vectors.pt')
  indices = [[i % _LAYERS, i] for i in range(6)]
  files.write_json(folder / 'test_indices.json', indices)


def main(argv: Sequence[str]) -> None:
  """Writes everything."""
  del argv
  output = pathlib.Path(_OUTPUT.value)
  _tensors(output / 'tensors')
  _features(output / 'features')


if __name__ == '__main__':
  app.run(main)

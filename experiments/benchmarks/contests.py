# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The contests: what is done, by whom, and what ratio is aimed for."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import pathlib

from experiments.benchmarks import capturing
from experiments.benchmarks import contestant
from experiments.benchmarks import decoding
from experiments.benchmarks import dictionary
from experiments.benchmarks import fine_tuning
from experiments.benchmarks import models
from experiments.benchmarks import patch_sweep
from experiments.benchmarks import products
from experiments.benchmarks import startup


@dataclasses.dataclass(frozen=True)
class Contest:
  """One contest, of us with each of several peers.

  Attributes:
    ours: module of our side, in this package.
    write: given a folder, writes what is to be done.
    unit: of what is done, in the plural.
    peers: module of each peer, in `peers` or, of a side of our own, in this
      package; and the least ratio that is aimed for, if any.
    different: how many of a peer's results are not ours.
  """

  ours: str
  write: Callable[[pathlib.Path], None]
  unit: str
  peers: Mapping[str, tuple[str, float | None]]
  different: Callable[[contestant.Arrays, contestant.Arrays], int]


_SWEEP: dict[str, tuple[str, float | None]] = {
  'nnsight_loop': ('peers.patching', 10.0),
  'transformer_lens_loop': ('peers.patching', 10.0),
  'nnsight_batched': ('peers.patching', 4.0),
  'transformer_lens_batched': ('peers.patching', 4.0),
  'pytorch_batched': ('peers.patching', 2.5),
  'pytorch_planned': ('peers.planned', None),
}

_CAPTURE: dict[str, tuple[tuple[int, ...], float]] = {
  'all': (tuple(range(6)), 1.0),
  'middle': ((2,), 1.5),
}

_RUNNER = ('peers.sae_lens_runner', 1.5)

_DICTIONARY: dict[str, tuple[str, float | None]] = {
  'sae_lens': ('peers.sae_lens', 1.5),
  'sae_lens_sparse': ('peers.sae_lens', 1.5),
  'dictionary_learning': ('peers.dictionary_learning', 1.5),
}

CONTESTS: dict[str, Contest] = {
  'products': Contest(
    ours='products',
    write=products.write,
    unit='10^9 operations',
    peers={'pytorch': ('peers.products', None)},
    different=products.different,
  ),
  **{
    f'patch_sweep_{model}_{length}': Contest(
      ours='patch_sweep',
      write=functools.partial(patch_sweep.write, model=model, length=length),
      unit='cells',
      peers=_SWEEP,
      different=patch_sweep.different,
    )
    for model in models.SHAPES
    for length in (16, 64)
  },
  **{
    f'capturing_{which}': Contest(
      ours='capturing',
      write=functools.partial(
        capturing.write,
        model='15m',
        gigabytes=1.0 if which == 'all' else 0.3,
        layers=layers,
      ),
      unit='rows',
      peers={
        'hidden_states': ('peers.capturing', bar),
        # It reads one layer.
        **({} if which == 'all' else {'sae_lens_runner': _RUNNER}),
        'forward_only': ('capturing', 0.9),
      },
      different=capturing.different,
    )
    for which, (layers, bar) in _CAPTURE.items()
  },
  **{
    f'fine_tuning_{kind}': Contest(
      ours='fine_tuning',
      write=functools.partial(
        fine_tuning.write, model='15m', adapter=kind == 'lora'
      ),
      unit='answer tokens',
      peers={
        'trainer_padded': ('peers.fine_tuning', 1.5),
        'trainer_grouped': ('peers.fine_tuning', 1.2),
      },
      different=fine_tuning.different,
    )
    for kind in ('full', 'lora')
  },
  **{
    f'decoding_{which}': Contest(
      ours='decoding',
      write=functools.partial(decoding.write, model='15m', ends=ends),
      unit='answers',
      peers={'generate': ('peers.decoding', 2.0)},
      different=decoding.different,
    )
    for which, ends in (('all', False), ('ending', True))
  },
  **{
    f'dictionary_{width}_{features}': Contest(
      ours='dictionary',
      write=functools.partial(
        dictionary.write,
        width=width,
        features=features,
        k=32,
        batches=batches,
      ),
      unit='rows',
      peers=_DICTIONARY,
      different=dictionary.different,
    )
    for width, features, batches in ((128, 2048, 32), (512, 16_384, 4))
  },
  'startup': Contest(
    ours='startup',
    write=startup.write,
    unit='starts',
    peers={'cold': ('startup', 3.0)},
    different=startup.different,
  ),
}

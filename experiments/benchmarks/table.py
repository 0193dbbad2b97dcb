# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes docs/performance.md from the results of contests."""

import json
import pathlib
import statistics
from typing import Any

RESULTS = pathlib.Path(__file__).parents[1] / 'results' / 'contests'
_DOCUMENT = pathlib.Path(__file__).parents[2] / 'docs' / 'performance.md'

_HEAD = """# Speed beside peers

Written by `python -m experiments.benchmarks.run --workdir=DIR --peers=PYTHON
--old_peers=PYTHON`, whose module says what these two environments have. Both
sides of a contest are processes with the same random weights, inputs, threads
and cores, in float32. They take turns, after a first run each, which compiles
what there is to compile and whose results are compared. Where batches do not
depend on each other, ours has up to three programs side by side on these cores.
Rates are medians, with the least and the most in brackets. `15m` has 6 layers
of width 288 and a vocabulary of 32,000; `world` the shape of the quickstart's
target, 1.3 M parameters. What slices of TPUs would do is in
[slices.md](slices.md)."""

_SECTIONS = {
  'products': """## Products

Of two matrices of 2,048 rows and columns: the most that this machine does for
either side. No ratio below can be greater than what is left out of the work, if
the peer is as near to this as we are.""",
  'patch_sweep': """## Patching

Each of 64 prompts of random words is patched at every layer and position, one
layer at a time. The number is the length of the longest prompt, and the
shortest is three quarters of it. A `loop` runs one cell at a time, of which 192
are run; `batched` runs all prompts at a layer and position at a time, of which
24 are. `pytorch` is `transformers` with a hook, and logits of last positions
alone; nnsight is given the model without its head, for the same reason.
`pytorch_planned` is our own plan in PyTorch. Tokens have to be equal where the
margin exceeds 1e-3, and margins to 1e-3.""",
  'capturing': """## Capture to disk

`resid_post` of prompts of 129 tokens: of `all` layers at all positions but the
first, 1 GB; or of the third of six, at one position in 32, of fewer prompts.
`hidden_states` are those of `transformers`, with a hook for the last layer,
saved by safetensors without checksums or statistics, which our stores have;
`sae_lens_runner` is SAELens', which reads one layer. `forward_only` is our own
forward pass of the same batches, of which nothing is kept. Rows have to be
equal to 1e-4 of their greatest value.

What a dump of all layers takes beside its forward pass is processor time that
the products want, most of it the system's, for copies of what is written: a
plain write of the same bytes takes 1.6 core seconds a GB, and TensorStore's
about as many. Sums and checksums take 0.6. Tried: shards written as views of
what was read, checksums in pieces, sums in float64 without copies, positions
cut out in place of gathered, no waiting for the disk (no gain). Batches read
side by side took a dump from 12,450 to 13,790 rows a second, and the forward
pass beside it from 14,300 to 16,460. Core seconds were taken by hand.""",
  'fine_tuning': """## Fine-tuning on answers

192 examples of 40 to 200 tokens, of which 10 to 50 are the answer; `lora` has
rank 16 on all matrices. Ours is the training step of explainers, 8 packed rows
of 256 tokens a step; the Trainer of `transformers`, with PEFT, has 16 examples
a step, padded, or `grouped` by length. Before training the loss of 16 examples,
and the norm of its gradient in all weights, have to be equal to 1e-4.""",
  'decoding': """## Decoding

Greedy answers of 32 tokens to 256 questions of 20 to 100 tokens, 64 at a time,
those of about one length together on either side. Of `all` no answer ends; of
`ending`, whose model says the end token often, half do within ten tokens.
Answers have to be the same in every token.

What a step takes is the unembedding of 32,000 words, the products of blocks and
the reading of caches, which both sides do at the speed of their libraries: on a
machine where PyTorch's products are faster than XLA's the ratio is smaller.
Tried: heads first in caches, caches for prompts and answers apart, parameters
taken from their stack once, the last layer of prompts at the last position
alone, half of a batch going on alone when the other has ended; and, with most
to show, batches side by side (66.7 to 83.6 answers a second, 81.1 to 99.2).""",
  'dictionary': """## Dictionaries

One pass of TopK training, k = 32, with Adam, over rows in memory, 2,048 a step:
from a width of 128 to 2,048 features, and from 512 to 16,384. SAELens can keep
activations of features in sparse tensors. All begin with one dictionary, whose
reconstructions have to be equal to 1e-3 of their greatest value.

Of the 36 ms of our step with 2,048 features, encoding takes 9, choosing the
highest 14 and sums of rows that fire 10, each on both cores. Choosing in 16
parts of a batch, and adding four features of a row in a turn, took it there
from 45 ms with 4 parts and one feature. Tried for a part of it, milliseconds
after and before: sums by products with all features (33 for 14), the highest
among groups with the highest (28 for 25, on one core); and for the step, at 36
or 37: products of more rows in encoding, cut for choosing (37 to 40), loops
over parts, which do not run side by side (45), the bias as one more row of the
encoder (35, and slower with wide dictionaries and small batches), sums for a
part of the rows at a time (no gain). Huge pages (see [faq.md](faq.md)) give 33,
and contests run without. Milliseconds were taken by hand.""",
  'startup': """## Start

From the start of `launch.pretrain_target` to the line of its first step: with
the programs of an earlier run in the persistent compilation cache, over `cold`,
without.

Most of a warm start is importing jax and flax, which neither can do without;
the program of this small model takes little longer to compile. Tried: importing
scipy where it is used (2.9 to 2.3 s of imports), keeping programs of any size,
not those alone that take half a second to compile (3.3 to 3.3 s in all). grain
and Pallas, imported late, would take off little.""",
  'accelerator_patch_sweep': """## Patching 8B on an accelerator

Written by `python -m experiments.benchmarks.accelerator --workdir=DIR`, as what
follows: a random model of the shape of Llama 3.1 8B in bfloat16, of which both
sides have the weights on one device, in one process. All 64 prompts of at most
16 tokens are patched at every layer and position. `pytorch` is `transformers`
with a hook and logits of last positions alone: a `loop` over some cells,
`batched` over prompts, or `layered`, 512 cells of a layer at a time. Tokens
have to be equal where the margin exceeds 0.25, and margins to 0.25. A share of
the peak counts what no program can do without.

The plan of these figures took reading weights to be as cheap as on a CPU: its
batches of 64 cells take no longer than reading the weights of a layer does.
Plans for GPUs have had batches of 512 cells since, of several layers each, of
which no figure is here: by formula they take 1.30 of the operations that no
program can do without, more than the 1.15 that is aimed for, and read weights
an eighth as often. `layered` runs 3,072 of the 28,896 cells.

Where the time goes, by `--shape=8_layers --profile` on the same GPU (8 layers,
programs of a state between that of the figures and today's):

- sweep: 190 of 250 ms of kernels are products, at their full rate; copying a
  layer's weights out of their stack 14. The run took 468 ms: the host plans and
  sends vectors, which was as long for this small sweep.
- LoRA, 8 rows of 512 tokens: 41.3% of the peak. Of 73 ms a step products with
  weights take 37, at their full rate; the gradient of the logits took 6, as a
  product of float32, and is one of bfloat16 since; attention 5; copies of
  weights 4; and every product of a block was kept twice until then.
- capture: a forward pass has 53.6% of the peak, with 7 of 105 ms for copies of
  weights. A dump of all layers wrote 0.34 GB a second, one shard at a time; it
  writes up to eight at once since.
- decoding: copies of weights take 220 of 556 ms: each token takes each layer's
  weights out of their stack.""",
  'accelerator_capturing': """## Capture of 8B on an accelerator

`resid_post` of 129 positions: of `all` 32 layers at all but the first, 128
prompts, 16 at a time; or of the `middle` one, at one in 32, 512 prompts, 128 at
a time. Rows have to be equal to 0.1 of their greatest value.""",
  'accelerator_fine_tuning': """## Fine-tuning 8B on an accelerator

As the contest with 15M weights, of 512 examples: an adapter of rank 16, on our
side 8 packed rows of 512 tokens a step, whose products with weights are kept
for the backward pass, or 16. Losses before training have to be equal to
0.002 of their own size.""",
  'accelerator_decoding': """## Decoding with 8B on an accelerator

As `all` of the contest with 15M weights. In bfloat16 near ties fall either way,
and answers that part stay apart.""",
}


# Of results that do not say it: their rates are not comparable with others'.
_UNTOLD = 'an earlier machine of 2 cores, whose products take longer'


def _rate(rates: list[float]) -> str:
  middle, least, most = (
    f'{rate:,.0f}' if rate >= 100 else f'{rate:.3g}'
    for rate in (statistics.median(rates), min(rates), max(rates))
  )
  return f'{middle} [{least}, {most}]'


def _row(contest: str, peer: str, found: dict[str, Any]) -> str:
  ours, theirs = found['rates'].values()
  bar = 'none' if found['bar'] is None else f'{found["bar"]:g}'
  return (
    f'| {contest} | {peer} | {_rate(ours)} | {_rate(theirs)} | '
    f'{found["ratio"]:.2f} | {bar} | {found["different"]} |'
  )


def _section(kind: str) -> tuple[list[str], set[tuple[str, str]]]:
  """Returns the lines of a section, and the versions it is about."""
  rows, notes = list[str](), list[str]()
  versions, unit = set[tuple[str, str]](), ''
  machines = set[str]()
  for name in sorted(RESULTS.glob(f'{kind}*.json')):
    found = json.loads(name.read_text())
    contest = name.stem.removeprefix(kind).strip('_').replace('_', ' ')
    rows += [_row(contest or '-', peer, one) for peer, one in found.items()]
    for one in found.values():
      versions |= set(one['versions'].items())
      unit = one['unit']
    notes += _notes(contest, found)
    machines |= {one.get('machine', _UNTOLD) for one in found.values()}
  if not rows:
    return [], set()
  measured = f'Measured on {" and on ".join(sorted(machines))}'
  if kind.startswith('accelerator'):
    rounds = min(len(r) for r in one['rates'].values())
    measured += f', {rounds} rounds, with {_told(versions)}'
    versions = set()
  rows += ['', f'{measured}.']
  lines = [
    '',
    _SECTIONS[kind],
    '',
    f'| contest | peer | our {unit}/s | its {unit}/s | ratio | aimed for | '
    'results that differ |',
    '|---|---|---|---|---|---|---|',
    *rows,
  ]
  return [*lines, *([''] if notes else []), *notes], versions


def _notes(contest: str, found: dict[str, Any]) -> list[str]:
  """Returns what is told of the work of a contest."""
  first = next(iter(found.values()))
  told, lines = first['notes'], list[str]()
  start = f'- {contest}: ' if contest else '- '
  if 'operations' in told:
    rate = statistics.median(
      statistics.median(next(iter(one['rates'].values())))
      for one in found.values()
    )
    lines.append(
      f'{start}{told["operations"] / 1e6:,.1f} million operations of one of '
      f'the {first["unit"]}, {told["operations"] * rate / 1e9:,.0f} * 10^9 '
      'a second.'
    )
  if 'planned_over_needed' in told:
    lines.append(
      f'{start}the plan takes {told["planned_over_needed"]:.3f} of the '
      'operations that no program can do without, clean runs included; aimed '
      'for: at most 1.15.'
    )
  if 'whole_over_planned' in told:
    lines.append(
      f'{start}running every cell from its beginning takes '
      f'{told["whole_over_planned"]:.1f} times the operations of the plan.'
    )
  for peer, one in found.items():
    if one.get('shares'):
      ours, theirs = one['shares'].values()
      lines.append(
        f'{start}{ours:.1%} of the peak by us, {theirs:.1%} by {peer}.'
      )
  return lines


def write() -> None:
  """Writes the document."""
  lines, versions = [_HEAD], set[tuple[str, str]]()
  for kind in _SECTIONS:
    more, told = _section(kind)
    lines += more
    versions |= told
  versions_of = f'Versions, if none is told: {_told(versions)}.'
  _DOCUMENT.write_text('\n'.join([*lines, '', versions_of, '']))


def _told(versions: set[tuple[str, str]]) -> str:
  return ', '.join(f'{name} {version}' for name, version in sorted(versions))

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes the table of agreement with `transformers`, docs/parity.md.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.table --stories=../shared/data/stories260k

Tiny random models of every family are made by `transformers`; `--stories` adds
the row of a real one.
"""

from collections.abc import Iterator, Sequence
import pathlib
import tempfile
from typing import Any, NamedTuple

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers

from experiments.reference import hugging_face
from experiments.reference import model as model_lib
from experiments.reference import random_models
from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.validation import agreement
from selfexplain_jax.validation import comparison

_OUTPUT = flags.DEFINE_string('output', 'docs/parity.md', 'File to write.')
_STORIES = flags.DEFINE_string(
  'stories', '', 'Directory of the real model; without it there is no such row.'
)

_HEADS = {'MHA': 4, 'GQA': 2, 'MQA': 1}
_BATCH, _LENGTH = 8, 32

_HEAD = """\
# Agreement with transformers

Written by `python -m experiments.reference.table --stories=HF_DIR`, with
{versions}, on the CPU.

The models are tiny and random, made by `transformers` itself: 2 layers, 4
query heads, and 4, 2 or 1 key heads. They read {batch} rows of {length}
random ids. Differences are absolute, in float32, with the tensor of the
largest one; KL(reference ‖ ours) is in nats, the reference always in float32;
generations are of 64 tokens after 8 prompts of unequal lengths. An export is
written by this project, loaded by `transformers` and compared bit by bit.
`stories260k` is a trained model of 5 layers. The bounds are in
[divergence.md](divergence.md).

| family | heads | embeddings | logits | worst site | KL float32: mean, most | \
top-1 float32 | KL bfloat16: mean, most | top-1 bfloat16 | generations equal | \
export |
|---|---|---|---|---|---|---|---|---|---|---|
"""


class Row(NamedTuple):
  """A row of the table, in its columns' order."""

  family: str
  heads: str
  embeddings: str
  logits: str
  site: str
  kl_float32: str
  top_1_float32: str
  kl_bfloat16: str
  top_1_bfloat16: str
  generations: str
  export: str

  def __str__(self) -> str:
    return f'| {" | ".join(self)} |'


def _measure(folder: pathlib.Path, family: str, heads: str) -> Row:
  """Compares one directory."""
  config = huggingface.read_config(folder)
  random = np.random.default_rng(0)
  tokens = random.integers(0, config.vocabulary, (_BATCH, _LENGTH), np.int32)
  prompts = [row[: _LENGTH - 3 * i].tolist() for i, row in enumerate(tokens)]
  reference = model_lib.Model(folder)
  expected = reference.run(tokens)
  continued, _ = reference.generate(prompts, comparison.NEW_TOKENS)
  mesh = mesh_lib.make_mesh()
  made: dict[str, agreement.Distributions] = {}
  with jax.set_mesh(mesh):
    for dtype in artefact.DTYPES:
      model = huggingface.load(folder, mesh, dtype, dtype)
      found = agreement.run(model, tokens, sites=dtype == 'float32')
      made[dtype] = agreement.distributions(
        found[agreement.LOGITS],
        expected[agreement.LOGITS],
        agreement.BOUNDS[dtype].margin,
      )
      if dtype == 'float32':
        *sites, logits = agreement.differences(found, expected)
        equal = _equal(model, prompts, continued)
        export = 'bit-equal' if _exported(model, folder) else 'DIFFERS'
  worst = max(sites, key=lambda d: d.absolute)
  return Row(
    family,
    heads,
    'tied' if config.tied else 'untied',
    f'{logits.absolute:.1e}',
    f'{worst.absolute:.1e} {worst.tensor}',
    *_figures(made['float32']),
    *_figures(made['bfloat16']),
    f'{equal} of {len(prompts)}',
    export,
  )


def _figures(made: agreement.Distributions) -> tuple[str, str]:
  return f'{made.mean:.1e}, {made.most:.1e}', f'{made.top_1:.3f}'


def _equal(
  model: decoder.Decoder, prompts: list[list[int]], continued: np.ndarray
) -> int:
  """How many generations are those of the reference."""
  tokens, lengths = prompts_lib.pad(prompts)
  ours = generate.generate(
    model,
    jnp.asarray(tokens),
    jnp.asarray(lengths),
    new_tokens=continued.shape[1],
    end_id=-1,
  )
  return int(np.sum(np.all(np.asarray(ours.tokens) == continued, 1)))


def _exported(model: decoder.Decoder, folder: pathlib.Path) -> bool:
  """Whether `transformers` loads our export with the weights it began with."""
  with tempfile.TemporaryDirectory() as exported:
    bos_id, eos_id = huggingface.read_token_ids(folder)
    huggingface.save(model, exported, bos_id, eos_id)
    theirs = hugging_face.load(exported).state_dict()
    before = hugging_face.load(str(folder)).state_dict()
  return theirs.keys() == before.keys() and all(
    torch.equal(theirs[name], value) for name, value in before.items()
  )


def rows(stories: str) -> Iterator[Row]:
  """Yields all rows of the table."""
  for family in random_models.FAMILIES:
    for heads, kv_heads in _HEADS.items():
      for tied in (True, False):
        config: Any = random_models.configuration(
          family, tied=tied, kv_heads=kv_heads
        )
        with tempfile.TemporaryDirectory() as folder:
          random_models.build(config, 0).save_pretrained(folder)
          yield _measure(pathlib.Path(folder), family, heads)
  if stories:
    yield _measure(pathlib.Path(stories), 'stories260k', 'GQA')


def main(argv: Sequence[str]) -> None:
  """Writes the table, and prints its rows as they come."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  lines = []
  for row in rows(_STORIES.value):
    print(row, flush=True)
    lines.append(f'{row}\n')
  versions = ', '.join(
    f'{library.__name__} {library.__version__}'
    for library in (transformers, torch, jax)
  )
  head = _HEAD.format(versions=versions, batch=_BATCH, length=_LENGTH)
  files.write_text(files.path(_OUTPUT.value), head + ''.join(lines))


if __name__ == '__main__':
  app.run(main)

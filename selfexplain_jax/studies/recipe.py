# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Recipes: what a directory is made from, without saying where anything lies.

A stage's config names directories that other stages made. A recipe names their
recipes in place of them, down to configs that depend on nothing. So its digest
is of everything that determines a result but for rounding: on another kind of
machine, or number of cores, the same recipe gives models of slightly other
weights. What is compared must come from one workdir.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
from typing import Any

import ml_collections

from selfexplain_jax import files
from selfexplain_jax import later_fields

_SHOWN = 12  # Characters of a digest in the name of a folder.


@dataclasses.dataclass(frozen=True)
class Source:
  """A directory that a recipe takes from another.

  Attributes:
    recipe: makes the directory.
    part: a folder in it, such as `model`; empty for all of it.
  """

  recipe: 'Recipe'
  part: str = ''


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How a directory is made.

  Attributes:
    name: for people; no part of the digest.
    stage: which stage makes it, such as `train_explainer`.
    config: the stage's config; fields that name inputs are empty.
    inputs: by such a field, with dots where it is nested, what it names.
  """

  name: str
  stage: str
  config: ml_collections.ConfigDict
  inputs: Mapping[str, Source] = dataclasses.field(default_factory=dict)

  @functools.cached_property
  def digest(self) -> str:
    """The SHA-256 of the stage, its config and all that it is made from."""
    inputs = {
      field: [source.recipe.digest, source.part]
      for field, source in self.inputs.items()
    }
    return files.digest_json(
      {
        'stage': self.stage,
        'config': later_fields.left_out(
          self.stage, files.as_json(self.config.to_dict())
        ),
        'inputs': inputs,
      }
    )

  @property
  def folder(self) -> str:
    """The name of the folder that it is made in, different for each digest."""
    return f'{self.name}-{self.digest[:_SHOWN]}'

  def resolved(self, workdir: files.PathLike) -> ml_collections.ConfigDict:
    """Returns the config with its inputs, in folders of `workdir`."""
    config = self.config.copy_and_resolve_references()
    named: dict[str, Any] = {}
    for field, source in self.inputs.items():
      place = files.path(workdir) / source.recipe.folder
      named[field] = str(place / source.part if source.part else place)
    config.update_from_flattened_dict(named)
    return config

  def all(self) -> Iterator['Recipe']:
    """Yields what it is made from, each before what needs it, then itself."""
    for source in self.inputs.values():
      yield from source.recipe.all()
    yield self

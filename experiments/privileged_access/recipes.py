# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How everything in a study of the quickstart's world is made, as recipes.

Nothing depends on where things lie, so that studies in one workdir share
models, stores and explanation sets, and their results have the same names
everywhere.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any

import ml_collections

from experiments import evaluation
from experiments import explainer
from experiments import quickstart
from experiments.world import pretrain
from selfexplain_jax import errors
from selfexplain_jax.studies import recipe as recipe_lib

Recipe = recipe_lib.Recipe
Source = recipe_lib.Source

TASKS = explainer.TASKS
SIZES = ('laptop', 'test')


@functools.cache
def _stages(size: str) -> ml_collections.ConfigDict:
  return quickstart.get_config(size)


# A plan has hundreds of recipes and is made anew after each run, so those that
# runs share are made once for each size: two objects, which may as well stay.
@dataclasses.dataclass(frozen=True)
class Recipes:
  """Recipes for all that a study needs.

  Attributes:
    size: `laptop`, or `test` for one too small to learn anything.
  """

  size: str

  def __post_init__(self):
    if self.size not in SIZES:
      raise errors.InputError(
        f'no size {self.size!r} of a study: expected {" or ".join(SIZES)}'
      )

  def _config(self, stage: str) -> ml_collections.ConfigDict:
    return _stages(self.size)[stage].copy_and_resolve_references()

  @functools.cache  # noqa: B019
  def model(self, which: str) -> Recipe:
    """A pretrained model; `which` as in `experiments.world.pretrain`."""
    config = pretrain.get_config(which)
    if self.size == 'test':
      tiny = self._config('target')
      tiny.seed = config.seed
      for name in ('known_seed', 'corpus_seed'):
        tiny.world[name] = config.world[name]
      if which == 'wide':
        tiny.model.update(dict(width=48, heads=3, kv_heads=3))
      config = tiny
    return Recipe(which, 'pretrain_target', config)

  def shaped(self, which: str, **fields: int) -> Recipe:
    """A pretrained model like another, of another shape.

    Args:
      which: the other, as of `model`.
      **fields: of its shape. With another `width` it has as many heads more or
        fewer, and an MLP wider or narrower in proportion; with other `layers`
        it can still be asked about those of the other.
    """
    like = self.model(which)
    config = like.config.copy_and_resolve_references()
    if width := fields.get('width'):
      if width % config.model.head_width:
        raise errors.InputError(
          f'width {width}: expected a multiple of {config.model.head_width}, '
          'the width of a head'
        )
      fields['heads'] = fields['kv_heads'] = width // config.model.head_width
      fields['mlp_width'] = config.model.mlp_width * width // config.model.width
    if 'layers' in fields and fields['layers'] != config.model.layers:
      config.named_layers = config.model.layers
    config.model.update(fields)
    if config.to_dict() == like.config.to_dict():
      return like
    return Recipe(f'{which}_shaped', 'pretrain_target', config)

  def reshaped(self, which: str, form: str) -> Recipe:
    """A pretrained model in another form.

    Args:
      which: the model.
      form: '', as it is; `rotated`, in rotated coordinates, without gains of
        norms and untied; or `folded`, like that but not rotated.
    """
    if not form:
      return self.model(which)
    turn = {'folded': False, 'rotated': True}[form]
    config = ml_collections.ConfigDict(dict(source='', seed=0, turn=turn))
    inputs = {'source': Source(self.model(which), 'model')}
    return Recipe(f'{which}_{form}', 'rotate', config, inputs)

  @functools.cache  # noqa: B019
  def dictionary(self, target: str) -> Recipe:
    """The dictionaries of a target."""
    model = Source(self.model(target), 'model')
    documents = Recipe(
      f'documents_{target}',
      'dump_activations',
      self._config('documents'),
      {'target': model},
    )
    return Recipe(
      f'dictionary_{target}',
      'train_dictionary',
      self._config('dictionary'),
      {'target': model, 'store': Source(documents)},
    )

  @functools.cache  # noqa: B019
  def explanations(
    self,
    task: str,
    target: str,
    examples: int = 0,
    blocks: tuple[tuple[int, int], ...] = (),
  ) -> Recipe:
    """An explanation set.

    Args:
      task: the question type.
      target: which model it is about.
      examples: how many training records of it are kept, the first; 0 for all.
      blocks: of layers that are patched; the usual ones if empty.
    """
    inputs = {'target': Source(self.model(target), 'model')}
    match task:
      case 'features':
        inputs['dictionary'] = Source(self.dictionary(target))
      case 'patching':
        inputs['store'] = Source(
          Recipe(
            f'store_{target}',
            'dump_activations',
            self._config('store'),
            dict(inputs),
          )
        )
    name, config = f'{task}_{target}', self._config(task)
    if blocks:
      config.blocks = blocks
    whole = Recipe(name, 'make_explanations', config, inputs)
    if not examples:
      return whole
    fewer = ml_collections.ConfigDict(dict(source='', examples=examples))
    source = {'source': Source(whole)}
    return Recipe(f'{name}_{examples}', 'subset', fewer, source)

  def explainer(
    self,
    tasks: Sequence[str],
    target: str,
    initial: Recipe,
    fields: Mapping[str, Any],
    blocks: tuple[tuple[int, int], ...] = (),
  ) -> Recipe:
    """An explainer.

    Args:
      tasks: the question types that it is trained on.
      target: which model is explained.
      initial: the model that it starts from.
      fields: of the config, which differ from `experiments.explainer`.
      blocks: of layers that it is trained to explain; the usual ones if empty.
    """
    config = explainer.get_config()
    if self.size == 'test':
      config = self._config('self_explainer')
    config.update_from_flattened_dict(dict(fields))
    inputs = {
      'initial': Source(initial, 'model'),
      **{
        f'explanations.{task}': Source(
          self.explanations(task, target, blocks=blocks)
        )
        for task in tasks
      },
    }
    if config.projection.start == 'ridge':
      inputs['target'] = Source(self.model(target), 'model')
    return Recipe('explainer', 'train_explainer', config, inputs)

  def evaluation(
    self,
    task: str,
    target: str,
    explained: Recipe,
    trained: Recipe | None,
    arms: Sequence[str],
  ) -> Recipe:
    """An evaluation of one explainer, in the place of `self`, or of none.

    Args:
      task: the question type.
      target: which model is explained.
      explained: the explanation set.
      trained: the explainer; without one there are only arms that need none.
      arms: who answers.
    """
    config = evaluation.get_config()
    if self.size == 'test':
      config = self._config(f'{task}_evaluation')
    config.arms = tuple(arms)
    inputs = {
      'target': Source(self.model(target), 'model'),
      'explanations': Source(explained),
    }
    if task == 'features':
      inputs['dictionary'] = Source(self.dictionary(target))
    if trained is not None:
      inputs['explainers.self'] = Source(trained, 'model')
      inputs['initial'] = trained.inputs['initial']
    return Recipe('evaluation', 'evaluate_fidelity', config, inputs)

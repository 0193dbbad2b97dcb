# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Published data go the whole way to a scored evaluation by one command.

The data are small files of each format about tiny random models, and what they
say of the models is true. So re-running has to confirm all of it.
"""

import functools
import pathlib
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import jax
import ml_collections
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from experiments import paper
from experiments import published_evaluation
from experiments.ablation import published as ablation_config
from experiments.features import published as features_config
from experiments.patching import published as patching_config
from launch import flow
from selfexplain_jax import files
from selfexplain_jax.data import explanations as explanations_lib
from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.dictionary import damaged_test as dictionary_cases
from tests.published import made

# As the authors' config words questions, and names the tokens around vectors.
_YAML = """
continuous_tokens:
  begin_continuous: "<|reserved_special_token_10|>"
  end_continuous: "<|reserved_special_token_11|>"
  continuous_rep: "<|reserved_special_token_12|>"
train:
  tasks:
    act_patch:
      question_types:
        generative_explanation:
          prompts:
            - "With {begin_continuous}{feature}{end_continuous} in {layer} at
              {tokens} of <<<{input}>>>, what comes?\\n"
"""
_ARMS = ('self', 'majority')


def _folder() -> pathlib.Path:
  return pathlib.Path(absltest.get_default_test_tmpdir()) / 'published'


@functools.cache
def _target(family: str) -> made.Model:
  return made.write_target(_folder() / family, family)


def _flow(
  explanations: ml_collections.ConfigDict, family: str
) -> ml_collections.ConfigDict:
  """The paper's flow, tiny."""
  _target(family)
  model = str(_folder() / family)
  config = paper.flow(
    explanations,
    target=model,
    initial=model,
    batch=2,
    row_length=256,
    examples_per_row=2,
    steps=2,
    # The paper adapts, and of ablation tunes all.
    lora_rank=0 if explanations.task == 'ablation' else 2,
    fsdp=1,
  )
  config.dtype = 'float32'
  config.explainer.chat = family == 'qwen3'
  config.explainer.evaluate_every = config.explainer.checkpoint_every = 2
  config.explainer.validation_examples = 2
  config.evaluation.arms = _ARMS
  return config


def _run(config: ml_collections.ConfigDict, workdir: str) -> dict[str, Any]:
  """Returns metrics.json."""
  flow.run(config, workdir)
  return files.read_json(f'{workdir}/evaluation/metrics.json', 'figures')


class PublishedTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self._out = self.create_tempdir().full_path

  def _published(
    self, explanations: ml_collections.ConfigDict, data: pathlib.Path
  ) -> ml_collections.ConfigDict:
    explanations.published.train = f'{data}/train-*.parquet'
    explanations.published.test = f'{data}/test-*.parquet'
    explanations.validation_share = 0.2
    return explanations

  def test_patching(self):
    data = _folder() / 'patching'
    made.write_patching(data, _target('llama'), chat=False)
    # One effect of the file is made a wrong one.
    name = data / 'test-0.parquet'
    table = parquet.read_table(name)
    rows = table.to_pylist()
    unchanged = next(r for r in rows if not r['is_different'])
    said = unchanged['original_continuation'][0]
    unchanged['is_different'] = True
    unchanged['ablated_continuation'] = [' A' if said != ' A' else ' B']
    parquet.write_table(pa.Table.from_pylist(rows, table.schema), name)
    config = _flow(self._published(patching_config.get_config(), data), 'llama')
    figures = _run(config, self._out)
    self.assertEqual(figures['n'], len(rows))
    self.assertEqual(figures['disagreements_with_store'], 1)
    changed = sum(r['is_different'] for r in rows) - 1
    matrix = figures['confusion']['majority']
    self.assertEqual(
      [sum(line) for line in matrix], [len(rows) - changed, changed]
    )
    self.assertEqual(set(figures['rows']), set(_ARMS))

  def test_a_published_explainer(self):
    data = _folder() / 'patching_of_published'
    model, _ = _target('llama')
    made.write_patching(data, (model, _), chat=False)
    adapter = lora.Lora(model, 2, jax.random.key(0), embedding=False)
    checkpoint = _folder() / 'adapter'
    peft.save(adapter, model, checkpoint, str(_folder() / 'llama'))
    yaml = _folder() / 'authors.yaml'
    yaml.write_text(_YAML)
    config = published_evaluation.get_config('patching')
    config.target, config.dtype = str(_folder() / 'llama'), 'float32'
    self._published(config.explanations, data)
    config.explainer.update(
      dict(
        checkpoint=str(checkpoint),
        tokenizer=str(_folder() / 'llama'),
        phrasings=str(yaml),
      )
    )
    config.evaluation.arms = ('self', 'untrained')
    figures = _run(config, self._out)
    self.assertEqual(figures['published'], {'self': str(checkpoint)})
    self.assertEqual(figures['disagreements_with_store'], 0)
    # A new adapter changes nothing: it says what the model itself does.
    said = {}
    for row in parquet.read_table(
      f'{self._out}/evaluation/predictions.parquet'
    ).to_pylist():
      said.setdefault(row['arm'], []).append(row['output'])
    self.assertLen(said['self'], figures['n'])

  def test_ablation(self):
    data = _folder() / 'ablation'
    made.write_ablation(data, _target('qwen3'))
    config = _flow(self._published(ablation_config.get_config(), data), 'qwen3')
    config.evaluation.arms = ('self', 'black_box', 'majority')
    figures = _run(config, self._out)
    self.assertEqual(figures['n'], 10)
    self.assertEqual(figures['disagreements_with_store'], 0)
    predictions = parquet.read_table(
      f'{self._out}/evaluation/predictions.parquet'
    ).to_pylist()
    expected = {row['expected'] for row in predictions}
    self.assertTrue(all('<<<Answer: ' in said for said in expected))
    # Whoever asks the target itself is always right.
    right = figures['rows']['black_box']['exact_match']['value']
    self.assertEqual(right, 1.0)

  def _described(
    self, explanations: ml_collections.ConfigDict
  ) -> dict[str, Any]:
    config = _flow(explanations, 'llama')
    config.evaluation.arms = ('self', 'label', 'majority')
    figures = _run(config, self._out)
    # Nothing executes published labels, and no simulator was named.
    measures = figures['rows']['label']
    self.assertNotIn('simulator', measures)
    self.assertEqual(measures['exact_match']['value'], 1.0)
    self.assertEqual(measures['similarity']['value'], 1.0)
    return figures

  def test_layout_of_features(self):
    data = _folder() / 'features'
    made.write_features(data, _target('llama'))
    explanations = features_config.get_config('layout')
    explanations.published.folder = str(data)
    explanations.published.activations = str(data)
    explanations.validation_share = 0.2
    figures = self._described(explanations)
    self.assertEqual(figures['n'] + figures['silent'], 12)
    self.assertGreater(figures['n'], 0)
    exemplars = parquet.read_table(f'{self._out}/evaluation/exemplars.parquet')
    record, document = exemplars.to_pylist()[0]['record'], None
    explained = explanations_lib.read(f'{self._out}/explanations')
    document = exemplars.to_pylist()[0]['document']
    row = explained.rows[record]
    model, _ = _target('llama')
    ((_, resid),) = activity.residuals(
      model,
      explained.documents[document][None],
      'resid_post',
      (row['layer'],),
      1,
    )
    expected = resid[0, 0] @ explained.vectors[row['vectors'][0]]
    expected[0] = 0
    np.testing.assert_allclose(
      exemplars.to_pylist()[0]['activations'],
      np.maximum(expected, 0),
      rtol=1e-4,
      atol=1e-4,
    )

  def test_neuronpedia(self):
    data = _folder() / 'export'
    made.write_neuronpedia(data)
    explanations = features_config.get_config('vectors')
    explanations.published.explanations = f'{data}/*.jsonl.gz'
    explanations.corpus.files = f'{data}/texts.jsonl'
    explanations.documents = dict(scores=8, length=6)
    explanations.shares = dict(validation=0.2, test=0.2)
    self._described(explanations)

  @parameterized.parameters(*dictionary_cases.WRITERS)
  def test_dictionaries(self, form):
    """Descriptions of a published dictionary's features, without explainers."""
    data = pathlib.Path(self.create_tempdir().full_path)
    written = dictionary_cases.WRITERS[form](data / 'of', width=made.WIDTH)
    made.write_neuronpedia(data, layers=1, vectors=False)
    explanations = features_config.get_config('neuronpedia')
    explanations.published.explanations = f'{data}/*.jsonl.gz'
    explanations.dictionary = str(written)
    explanations.corpus.files = f'{data}/texts.jsonl'
    explanations.documents = dict(scores=8, length=6)
    explanations.shares = dict(validation=0.2, test=0.4)
    config = _flow(explanations, 'llama')
    config.plan = (('explanations',), ('evaluation',))
    config.inputs = (('evaluation.explanations', 'explanations'),)
    config.evaluation.dictionary = str(written)
    config.evaluation.arms = ('label', 'majority')
    figures = _run(config, self._out)
    explained = explanations_lib.read(f'{self._out}/explanations')
    tested = explained.split('test')
    self.assertEqual(figures['n'] + figures['silent'], len(tested))
    self.assertGreater(figures['n'], 0)
    # A feature is as active as its dictionary says.
    opened = dictionaries.load(written, lambda: '', _target('llama')[0].config)
    shown = parquet.read_table(
      f'{self._out}/evaluation/exemplars.parquet'
    ).to_pylist()[0]
    row = explained.rows[shown['record']]
    ((_, resid),) = activity.residuals(
      _target('llama')[0],
      explained.documents[shown['document']][None],
      opened.site,
      (0,),
      1,
    )
    fires = activity.encode(opened.by_layer[0], resid[0])
    expected = fires[0, :, row['feature']]
    self.assertGreater(expected[1:].max(), 0)
    np.testing.assert_allclose(
      shown['activations'][1:], expected[1:], rtol=1e-4, atol=1e-5
    )


if __name__ == '__main__':
  absltest.main()

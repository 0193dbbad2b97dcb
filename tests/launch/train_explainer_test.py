# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of training an adapter on vectors that are computed in its steps."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from experiments import explainer
from launch import train_explainer
from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching
from tests.data import fixtures
from tests.models import tiny
from tests.tasks import patching_makers

STEPS = 2


class ComputedTest(parameterized.TestCase):
  folder: pathlib.Path

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(absltest.get_default_test_tmpdir()) / 'computed'
    others = {
      'target': patching_makers.MODEL,
      'other': tiny.model(
        1, width=16, vocabulary=fixtures.TOKENIZER.vocab_size
      ),
      'wide': tiny.model(1, width=24, vocabulary=fixtures.TOKENIZER.vocab_size),
    }
    for name, model in others.items():
      artefact.save(model, fixtures.TOKENIZER, cls.folder / name)
    target = {
      'weight_hash': huggingface.weight_hash(cls.folder / 'target'),
      'tokenizer_hash': fixtures.TOKENIZER.digest(),
    }
    made = patching_makers.maker().make()
    manifest = {'task': patching.NAME, 'target': target}
    explanations.write(
      cls.folder / 'patching',
      made.records,
      patching.SCHEMA,
      made.vectors,
      manifest,
    )
    older = patching.SCHEMA
    for name in ('counterfactual_ids', 'counterfactual_position'):
      older = older.remove(older.get_field_index(name))
    kept = [{n: row[n] for n in older.names} for row in made.records]
    explanations.write(
      cls.folder / 'older', kept, older, made.vectors, manifest
    )
    direction = {
      'task': features.NAME,
      'split': 'train',
      'group': 'a name',
      'place': 'feature',
      'treatment': '0',
      'vectors': [0],
      'answer': 'a name',
      'layer': 0,
      'source': 'feature 3',
    }
    explanations.write(
      cls.folder / 'features',
      [direction],
      features.SCHEMA,
      made.vectors[:1],
      {'task': features.NAME, 'target': target},
    )

  def config(self, **changes):
    config = explainer.get_config()
    config.explanations.patching = str(self.folder / 'patching')
    config.initial = str(self.folder / 'target')
    config.injection = 'replace_embedding'
    config.vectors, config.lora_rank = 'computed', 2
    config.steps = config.evaluate_every = config.checkpoint_every = STEPS
    config.batch, config.replay.batch = 2, 0
    config.validation_examples = 2
    config.update_from_flattened_dict(
      {
        name: value.format(self.folder) if isinstance(value, str) else value
        for name, value in changes.items()
      }
    )
    return config

  def losses(self, workdir):
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    noted = [json.loads(line) for line in lines]
    return [
      note[name]
      for note in noted
      for name in ('loss', 'validation_loss')
      if name in note
    ]

  def test_learns_what_it_learns_from_stored_vectors(self):
    found = []
    for vectors in ('stored', 'computed'):
      workdir = pathlib.Path(self.create_tempdir().full_path)
      train_explainer.run(self.config(vectors=vectors), str(workdir))
      found.append(self.losses(workdir))
    self.assertNotEmpty(found[0])
    np.testing.assert_allclose(found[0], found[1], 1e-4)

  @parameterized.parameters(
    ({'vectors': 'mine'}, "config.vectors is 'mine'"),
    ({'lora_rank': 0}, 'config.lora_rank is 0'),
    ({'projection.start': 'random'}, 'config.projection.start is random'),
    ({'initial': '{}/other'}, '/other is not the model that the sets explain'),
    ({'initial': '{}/wide'}, 'the vectors are 16 wide: expected 24'),
    (
      {'explanations.patching': '{}/older'},
      '/older: a record has no counterfactual_ids',
    ),
    (
      {'explanations.features': '{}/features'},
      '/features: the vector of feature 0 feature 3 is a direction',
    ),
  )
  def test_refuses(self, changes, said):
    workdir = pathlib.Path(self.create_tempdir().full_path)
    with self.assertRaisesRegex(errors.InputError, said) as raised:
      train_explainer.run(self.config(**changes), str(workdir))
    self.assertNotIn('\n', str(raised.exception))
    self.assertFalse((workdir / 'config.json').exists())

  def test_an_older_set_can_be_learnt_from_as_before(self):
    older = '{}/older'
    config = self.config(vectors='stored', **{'explanations.patching': older})
    train_explainer.run(config, self.create_tempdir().full_path, True)


if __name__ == '__main__':
  absltest.main()

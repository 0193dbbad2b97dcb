# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of a set that a model behind an endpoint labels, up to its scores."""

import pathlib
import zlib

from absl.testing import absltest

from experiments.features import explanations as explanations_config
from launch import evaluate_fidelity
from launch import make_explanations
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import pretraining
from tests.judges import stub
from tests.launch import whole


class EndpointLabelsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.run_, _ = whole.run()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)
    self.cache = self.create_tempdir().full_path
    world = pretraining.load(self.run_ / 'target/model').world
    self.said = [c.description for c in concepts.all_concepts(world)][:40]

  def answer(self, request):
    """Says something in the words of the world, and the same again."""
    prompt = request['messages'][0]['content'].encode()
    return self.said[zlib.crc32(prompt) % len(self.said)]

  def config(self, url, **changes):
    config = whole.stage_config('features')
    config.labels.update(explanations_config.get_config().labels)
    config.labels.update(source='endpoint', url=url, cache=self.cache)
    config.labels.update(model='stub-1', key_variable='STUB_KEY', **changes)
    return config

  def test_from_documents_to_scores(self):
    with stub.serving(self.answer) as server:
      make_explanations.run(self.config(server.url), str(self.workdir / 'set'))
      asked = len(server.requests)
      make_explanations.run(self.config(server.url), str(self.workdir / 'same'))
      self.assertLen(server.requests, asked)
    explained = explanations.read(self.workdir / 'set')
    digests = [
      explanations.read(self.workdir / name).manifest['records_digest']
      for name in ('set', 'same')
    ]
    self.assertEqual(digests[0], digests[1])
    notes = explained.manifest['notes']['labels']
    self.assertEqual((notes['name'], notes['model']), ('endpoint', 'stub-1'))
    self.assertNotIn('127.0.0.1', str(explained.manifest))
    told = [row['answer'] for row in explained.rows if row['answer']]
    self.assertLen(told, asked)
    self.assertContainsSubset(told, self.said)

    # Nobody can say where these hold, so there are no figures of that.
    config = whole.stage_config('features_evaluation')
    config.explanations = str(self.workdir / 'set')
    config.arms, config.initial = ('label', 'majority'), ''
    config.explainers.update({'self': '', 'stranger': ''})
    evaluate_fidelity.run(config, str(self.workdir / 'scores'))
    figures = files.read_json(self.workdir / 'scores/metrics.json', 'figures')
    self.assertNotIn('simulator', figures)
    self.assertEqual(
      figures['rows']['label'].keys(),
      {'exact_match', 'similarity', 'valid_rate'},
    )
    self.assertEqual(figures['rows']['label']['exact_match']['value'], 1)
    page = (self.workdir / 'scores/report.html').read_text()
    self.assertIn('no simulator was given', page)

  def test_another_port_does_not_make_it_another_run(self):
    with stub.serving(self.answer) as server:
      make_explanations.run(self.config(server.url), str(self.workdir))
    config = self.config('http://127.0.0.1:9')
    make_explanations.run(config, str(self.workdir))
    config.labels.model = 'stub-2'
    with self.assertRaisesRegex(errors.InputError, 'labels.model='):
      make_explanations.run(config, str(self.workdir))

  def test_who_cannot_be_had_is_refused(self):
    for changes, message in (
      ({'source': 'thin air'}, "'thin air': expected concepts or endpoint"),
      ({'candidates': 3}, 'expected a simulator to choose'),
      ({'candidates': 3, 'simulator': str(self.run_)}, 'no simulator.json'),
    ):
      config = self.config('http://127.0.0.1:9')
      config.labels.update(changes)
      with self.assertRaisesRegex(errors.InputError, message):
        make_explanations.run(config, str(self.workdir / 'none'))
    self.assertFalse((self.workdir / 'none').exists())


if __name__ == '__main__':
  absltest.main()

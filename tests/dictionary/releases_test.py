# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that published dictionaries of any format are found and told apart."""

import pathlib
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import saelens
from tests.dictionary import fixtures
from tests.dictionary import published
from tests.models import tiny

_FORMATS = (
  ('Llama Scope', published.llama_scope),
  ('Gemma Scope', published.gemma_scope),
  ('SAELens', published.saelens_v6),
)


def _unasked() -> str:
  raise AssertionError('Published dictionaries do not say whose they are.')


class ReleasesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path) / 'release'
    self.root.mkdir()

  @parameterized.parameters(*_FORMATS)
  def test_a_release_is_a_table_of_layers(self, name, write):
    folders = {layer: write(self.root, layer) for layer in (10, 2)}
    (self.root / 'README.md').write_text('# dictionaries')
    (self.root / '.cache').mkdir()
    site, found = releases.by_layer(self.root)
    self.assertEqual(site, 'resid_post')
    self.assertEqual(list(found), [2, 10])
    for layer, stored in found.items():
      self.assertEqual(stored.folder, str(folders[layer]))
      self.assertEqual(stored.format, name)
      self.assertNotEmpty(stored.model)
    # One of them alone is a release, too.
    _, alone = releases.by_layer(folders[10])
    self.assertEqual(list(alone), [10])

  def test_star_chooses(self):
    for layer in (1, 2, 12):
      published.gemma_scope(self.root, layer)
    other = self.root / published.GEMMA.format(2)
    shutil.copytree(other, other.parent / 'average_l0_9')
    with self.assertRaisesRegex(
      errors.InputError, 'both of resid_post of layer 2: expected one, choose'
    ):
      releases.by_layer(self.root)
    _, found = releases.by_layer(
      self.root / 'gemma-scope-2b-pt-res/layer_*2/width_1k/average_l0_71'
    )
    self.assertEqual(list(found), [2, 12])

  def test_two_sites_are_refused(self):
    for site in ('mlp_out', 'resid_post'):
      hook = saelens.hook_name(site, 0)
      saelens.save(
        fixtures.random_sae(6, 20), self.root / hook, {'hook_name': hook}
      )
    with self.assertRaisesRegex(
      errors.InputError, 'of mlp_out and resid_post: expected one site'
    ):
      releases.by_layer(self.root)

  @parameterized.parameters('blocks.0.attn.hook_z', 'layer 3', '')
  def test_unknown_sites_are_refused(self, hook):
    sae = fixtures.random_sae(6, 20)
    saelens.save(sae, self.root / 'one', {'hook_name': hook})
    with self.assertRaisesRegex(
      errors.InputError, f'of hook {hook or "unknown"}: expected one of blocks'
    ):
      releases.by_layer(self.root)

  def test_says_what_is_there_and_what_was_expected(self):
    message = r'found no folder, expected folders with cfg.json \(SAELens\) or'
    with self.assertRaisesRegex(errors.InputError, message):
      releases.by_layer(self.root / 'none')
    with self.assertRaisesRegex(errors.InputError, 'found nothing in it,'):
      releases.by_layer(self.root)
    for name in ('a.pt', 'b', 'c', 'd', 'e'):
      (self.root / name).write_text('')
    for act in (releases.by_layer, releases.open_directory):
      with self.assertRaisesRegex(
        errors.InputError, 'found a.pt, b, c, d and 1 more, expected'
      ):
        act(self.root)
    (self.root / 'cfg.json').write_text('{}')
    (self.root / 'params.npz').write_text('{}')
    with self.assertRaisesRegex(errors.InputError, 'no dictionary of one form'):
      releases.open_directory(self.root)


class DictionariesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.config = tiny.model(layers=2).config

  @parameterized.parameters(*_FORMATS)
  def test_published_ones_are_opened(self, name, write):
    for layer in (0, 1):
      write(self.root, layer, width=self.config.width)
    found = dictionaries.load(self.root, _unasked, self.config)
    self.assertEqual((found.site, found.layers), ('resid_post', (0, 1)))
    self.assertLen(found.models, 1)
    self.assertEqual(found.features, 2 * found.stored[0].features)
    whole = np.asarray(found.by_layer[1].decoder_SxD)
    index = np.array([4, 2])
    np.testing.assert_array_equal(found.directions(1, index), whole[index])
    sae, places = found.choose(1, index)
    np.testing.assert_array_equal(
      np.asarray(sae.decoder_SxD)[places], whole[index]
    )
    again = dictionaries.load(self.root, _unasked, self.config)
    self.assertEqual(found.digest, again.digest)
    shutil.rmtree(found.stored[1].folder)
    fewer = dictionaries.load(self.root, _unasked, self.config)
    self.assertNotEqual(found.digest, fewer.digest)

  def test_those_that_do_not_fit_are_refused(self):
    published.llama_scope(self.root, width=6)
    with self.assertRaisesRegex(
      errors.InputError, 'layer 0 and width 6: expected the 2 layers and width'
    ):
      dictionaries.load(self.root, _unasked, self.config)
    published.llama_scope(self.root / 'b', 2, width=self.config.width)
    with self.assertRaisesRegex(errors.InputError, 'is of layer 2 and width'):
      dictionaries.load(self.root / 'b', _unasked, self.config)

  def test_one_layer_is_held_at_a_time(self):
    for layer in (0, 1):
      published.saelens_v6(self.root, layer, width=self.config.width)
    whole = dictionaries.load(self.root, _unasked, self.config).by_layer
    self.assertIsNot(whole[0], whole[0])
    self.assertEqual((list(whole), len(whole)), ([0, 1], 2))

  def test_features_that_compete_are_chosen_with_all_others(self):
    sae = fixtures.random_sae(self.config.width, 20, 3)
    hook = 'blocks.0.hook_resid_post'
    saelens.save(sae, self.root / hook, {'hook_name': hook})
    found = dictionaries.load(self.root, _unasked, self.config)
    chosen, places = found.choose(0, np.array([4, 2]))
    self.assertEqual((chosen.features, chosen.k), (20, 3))
    np.testing.assert_array_equal(places, [4, 2])


if __name__ == '__main__':
  absltest.main()

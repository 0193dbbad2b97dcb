# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of patching sets of published data, about a model that is there."""

from collections.abc import Callable
import functools
import pathlib
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from experiments.patching import published as config_file
from selfexplain_jax import errors
from selfexplain_jax.tasks import patching_published
from selfexplain_jax.tasks import target as target_lib
from tests.published import made

Rows = list[dict[str, Any]]


@functools.cache
def _data(family: str) -> tuple[pathlib.Path, target_lib.Target]:
  """A target of a family and its data, not to be changed."""
  folder = pathlib.Path(absltest.get_default_test_tmpdir()) / family
  model, tokenizer = made.write_target(folder / 'model', family)
  made.write_patching(folder / 'data', (model, tokenizer), family == 'qwen3')
  return folder, target_lib.Target.of(model, tokenizer, str(folder), 'hash')


def _config(folder: pathlib.Path, **changes: Any) -> ml_collections.ConfigDict:
  config = config_file.get_config()
  config.published.train = f'{folder}/data/train-*.parquet'
  config.published.test = f'{folder}/data/test-*.parquet'
  config.validation_share = 0.2
  config.update(changes)
  return config


def _first_token(row: dict[str, Any], token: str) -> None:
  row['input_tokens'][0] = token


def _position(row: dict[str, Any], **changes: Any) -> None:
  row['patch_position'].update(changes)


def _as_in_files(records):
  """The records in the order of their vectors, which are as in the files."""
  return sorted(records, key=lambda record: record['vectors'])


class PatchingPublishedTest(parameterized.TestCase):
  def _with(
    self, change: Callable[[Rows], Any], family: str = 'llama'
  ) -> patching_published.Maker:
    """Prepares data whose training rows were changed."""
    folder, target = _data(family)
    name = folder / 'data/train-0.parquet'
    table = parquet.read_table(name)
    rows = table.to_pylist()
    change(rows)
    other = pathlib.Path(self.create_tempdir().full_path) / 'train.parquet'
    parquet.write_table(pa.Table.from_pylist(rows, table.schema), other)
    config = _config(folder)
    config.published.train = str(other)
    return patching_published.prepare(target, config)

  @parameterized.parameters('llama', 'qwen3')
  def test_records_say_what_the_file_says(self, family):
    folder, target = _data(family)
    maker = patching_published.prepare(target, _config(folder))
    made_set = maker.make()
    published = [
      row
      for split in ('train', 'test')
      for row in parquet.read_table(
        folder / f'data/{split}-0.parquet'
      ).to_pylist()
    ]
    self.assertLen(made_set.records, len(published))
    self.assertEqual(set(maker.notes['left_out'].values()), {0})
    tokenizer = target.tokenizer
    for n, (record, row) in enumerate(
      zip(_as_in_files(made_set.records), published, strict=True)
    ):
      position = row['patch_position']
      at, ids = record['position'], record['prompt_ids']
      self.assertEqual(tokenizer.text(ids[at]), position['orig_text_token'])
      self.assertEqual(ids[0] == tokenizer.bos_id, family == 'llama')
      self.assertEqual(record['text'].count('<|im_end|>'), family == 'qwen3')
      self.assertEqual(
        record['text'],
        record['before'] + record['token_text'] + record['after'],
      )
      self.assertEqual(record['clean_token'], row['original_continuation'][0])
      self.assertEqual(record['treated_token'], row['ablated_continuation'][0])
      self.assertEqual(record['changed'], row['is_different'])
      self.assertEqual(record['first_layer'], row['layer'][0])
      self.assertEqual(record['place'], row['token_type'])
      self.assertEqual(record['vectors'], [n])
      np.testing.assert_array_equal(
        made_set.vectors[n], np.float32(position['intervention_vector'])
      )
      answer = row['ablated_continuation'][0]
      self.assertIn(f'<<<{answer}>>>.', record['answer'])

  def test_validation_is_cut_from_training_by_prompt(self):
    folder, target = _data('llama')
    records = patching_published.prepare(target, _config(folder)).records
    groups = {
      split: {r['group'] for r in records if r['split'] == split}
      for split in ('train', 'validation', 'test')
    }
    self.assertTrue(all(groups.values()))
    self.assertFalse(groups['train'] & groups['validation'])
    self.assertEqual(records[0]['group'], 'The mother tongue of Anna Keller is')
    published = parquet.read_table(folder / 'data/test-0.parquet').num_rows
    self.assertEqual(sum(r['split'] == 'test' for r in records), published)

  def test_leakage_between_splits_is_noted(self):
    folder, target = _data('llama')
    config = _config(folder)
    clean = patching_published.prepare(target, config).notes['also_in_train']
    self.assertEqual(clean['test']['group'], 0)
    self.assertGreater(clean['test']['counterfactual_group'], 0)
    config.published.test = config.published.train
    leaked = patching_published.prepare(target, config).notes['also_in_train']
    self.assertGreater(leaked['test']['text'], 0.5)
    self.assertEqual(leaked['validation']['text'], 0)

  def test_rows_left_out_are_counted(self):
    def change(rows: Rows) -> None:
      rows[0]['is_different'] = not rows[0]['is_different']
      rows[1]['ablated_continuation'] = ['several words']
      rows[2]['original_continuation'] = ['<|eot_id|>']
      rows[3]['input_tokens'] += ['Ġis'] * 500

    self.assertEqual(
      self._with(change).notes['left_out'],
      {
        'too_long': 1,
        'says_the_end': 1,
        'no_single_token': 1,
        'contradicts_itself': 1,
      },
    )

  def test_tokens_as_the_vocabulary_writes_them(self):
    def change(rows: Rows) -> None:
      for row in rows:
        said = row['patch_position']['orig_text_token']
        row['patch_position']['orig_text_token'] = said.replace(' ', 'Ġ')
        row['input_tokens'].insert(0, '<|begin_of_text|>')

    changed = self._with(change).records
    folder, target = _data('llama')
    plain = patching_published.prepare(target, _config(folder)).records
    self.assertEqual(changed, plain)

  @parameterized.named_parameters(
    (
      'positions without BOS',
      lambda rows: _position(
        rows[5], orig_pos=rows[5]['patch_position']['orig_pos'] - 1
      ),
      'row 5: orig_pos is',
    ),
    (
      'a position behind the end',
      lambda rows: _position(rows[1], orig_pos=999),
      'row 1: orig_pos is 999',
    ),
    (
      'tokens of another model',
      lambda rows: _first_token(rows[3], 'Ġzebra'),
      "row 3: input_tokens: token 'Ġzebra' is not in the vocabulary",
    ),
    (
      'a vector of another width',
      lambda rows: _position(rows[2], intervention_vector=[1.0, 2.0]),
      'row 2: intervention_vector has 2 numbers: expected 16',
    ),
    (
      'a vector that is not finite',
      lambda rows: _position(rows[2], intervention_vector=[np.nan] * 16),
      'row 2: intervention_vector is not finite',
    ),
    (
      'layers beyond the target',
      lambda rows: rows[4].update(layer=[1, 2]),
      'row 4: layer is [1, 2]: expected consecutive ones of the 2 layers',
    ),
    (
      'layers with a hole',
      lambda rows: rows[4].update(layer=[0, 0]),
      'row 4: layer is [0, 0]',
    ),
    (
      'several tokens',
      lambda rows: rows[6].update(original_continuation=['a', 'b']),
      "row 6: original_continuation is ['a', 'b']: expected one token",
    ),
    (
      'a null',
      lambda rows: rows[7].update(is_different=None),
      'row 7: is_different is null',
    ),
  )
  def test_refused(self, change, said):
    with self.assertRaises(errors.InputError) as caught:
      self._with(change)
    self.assertIn(said, str(caught.exception))
    self.assertLen(str(caught.exception).splitlines(), 1)

  def test_wrong_bos_says_where_the_token_is(self):
    with self.assertRaisesRegex(
      errors.InputError,
      r"orig_pos is 28 and orig_text_token ' \w+', but token 28 is ':', and "
      r"' \w+' is at \[\d+\]: expected positions of this model, BOS counted",
    ):
      self._with(
        lambda rows: _position(rows[0], orig_pos=28, orig_text_token=' mother')
      )

  def test_a_pickle_is_sent_to_be_converted(self):
    folder, target = _data('llama')
    (folder / 'train.pkl').write_bytes(b'')
    config = _config(folder)
    config.published.train = f'{folder}/train.pkl'
    with self.assertRaisesRegex(errors.InputError, 'launch.convert_published'):
      patching_published.prepare(target, config)


if __name__ == '__main__':
  absltest.main()

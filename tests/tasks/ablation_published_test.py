# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of ablation sets of published data, about a model that is there."""

from collections.abc import Callable
import functools
import pathlib
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import pyarrow as pa
from pyarrow import parquet

from experiments.ablation import published as config_file
from selfexplain_jax import errors
from selfexplain_jax.interventions import ablate
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import ablation_published
from selfexplain_jax.tasks import target as target_lib
from tests.published import made

Rows = list[dict[str, Any]]


@functools.cache
def _data() -> tuple[pathlib.Path, target_lib.Target]:
  """A target and its data, not to be changed."""
  folder = pathlib.Path(absltest.get_default_test_tmpdir()) / 'ablation'
  model, tokenizer = made.write_target(folder / 'model', 'llama')
  made.write_ablation(folder / 'data', (model, tokenizer))
  return folder, target_lib.Target.of(model, tokenizer, str(folder), 'hash')


def _with(
  folder: pathlib.Path, change: Callable[[Rows], Any]
) -> ablation_published.Maker:
  """Prepares data whose training rows were changed."""
  data, target = _data()
  table = parquet.read_table(data / 'data/train-0.parquet')
  rows = table.to_pylist()
  change(rows)
  parquet.write_table(
    pa.Table.from_pylist(rows, table.schema), folder / 'train.parquet'
  )
  config = config_file.get_config()
  config.published.train = f'{folder}/train.parquet'
  config.published.test = f'{data}/data/test-0.parquet'
  config.validation_share = 0.2
  return ablation_published.prepare(target, config)


class AblationPublishedTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self._folder = pathlib.Path(self.create_tempdir().full_path)

  def test_records_say_what_the_file_says(self):
    folder, target = _data()
    maker = _with(self._folder, lambda rows: None)
    published = parquet.read_table(folder / 'data/train-0.parquet').to_pylist()
    self.assertEqual(set(maker.notes['left_out'].values()), {0})
    self.assertEqual(maker.notes['rendered'], {'otherwise': 0, 'anew': 0})
    tokenizer = target.tokenizer
    for record, row in zip(maker.records, published, strict=False):
      chat = [
        {'role': 'system', 'content': row['system_prompt']},
        {'role': 'user', 'content': row['hint_user_prompt']},
      ]
      ids = tokenizer.encode_chat(chat, 'Answer:')
      self.assertEqual(record['prompt_ids'], ids)
      chat[1]['content'] = row['original_user_prompt']
      self.assertEqual(
        ablate.ablate(
          ids, record['start'], record['end'], record['replacement_ids']
        ),
        tokenizer.encode_chat(chat, 'Answer:'),
      )
      self.assertEqual(record['span_text'], f'\nHint: {row["hint"]}')
      before, after = row['random_hint_prediction'], row['zeroshot_prediction']
      self.assertEqual(record['changed'], before != after)
      self.assertEqual(record['clean_token'], f' {before}')
      self.assertIn(f'<<<Answer: {after}>>>', record['answer'])
      self.assertNotIn('Output changes', str(record))

  def test_the_target_confirms_the_file(self):
    _, target = _data()
    records = _with(self._folder, lambda rows: None).records
    again = ablation_effects.rerun(target, records, None)
    self.assertEqual([r['treated_id'] for r in records], again.token.tolist())
    self.assertGreater(sum(r['changed'] for r in records), 3)

  def test_rows_left_out_are_counted(self):
    def change(rows: Rows) -> None:
      rows[1]['changed_pred_bc_hint'] = not rows[1]['changed_pred_bc_hint']
      rows[2]['zeroshot_prediction'] = 'none of these'
      for kind in ('hint', 'original'):
        whole = rows[3][f'{kind}_prompt_full']
        rows[3][f'{kind}_prompt_full'] = whole.replace('These', ' and' * 500)

    notes = _with(self._folder, change).notes
    self.assertEqual(
      notes['left_out'],
      {
        'too_long': 1,
        'says_the_end': 0,
        'no_single_token': 1,
        'contradicts_itself': 1,
      },
    )

  def test_prompts_of_another_template_are_counted(self):
    def change(rows: Rows) -> None:
      for kind in ('hint', 'original'):
        whole = rows[0][f'{kind}_prompt_full']
        rows[0][f'{kind}_prompt_full'] = whole.replace('These', 'Today, these')

    notes = _with(self._folder, change).notes
    self.assertEqual(notes['rendered'], {'otherwise': 2, 'anew': 0})

  def test_prompts_without_a_turn_to_answer_in_are_rendered(self):
    def change(rows: Rows) -> None:
      for kind in ('hint', 'original'):
        user = rows[0][f'{kind}_user_prompt']
        rows[0][f'{kind}_prompt_full'] = f'{rows[0]["system_prompt"]} {user}'

    changed = _with(self._folder, change)
    self.assertEqual(changed.notes['rendered'], {'otherwise': 0, 'anew': 2})
    whole = _with(self._folder, lambda rows: None)
    self.assertEqual(changed.records, whole.records)

  @parameterized.named_parameters(
    (
      'no text',
      lambda rows: rows[1].update(question=' '),
      'row 1: question is empty',
    ),
    (
      'a null',
      lambda rows: rows[2].update(hint_user_prompt=None),
      'row 2: hint_user_prompt is null',
    ),
    (
      'another prompt',
      lambda rows: rows[3].update(hint_prompt_full='Hello'),
      'row 3: hint_prompt_full does not hold hint_user_prompt',
    ),
    (
      'no hint',
      lambda rows: rows[4].update(
        hint_user_prompt=rows[4]['original_user_prompt']
      ),
      'row 4: hint_user_prompt is original_user_prompt',
    ),
    (
      'BOS twice',
      lambda rows: rows[5].update(
        hint_prompt_full='<|begin_of_text|>' + rows[5]['hint_prompt_full']
      ),
      'row 5: the prompt has BOS inside, or twice',
    ),
  )
  def test_refused(self, change, said):
    with self.assertRaises(errors.InputError) as caught:
      _with(self._folder, change)
    self.assertIn(said, str(caught.exception))

  @parameterized.parameters(
    ([1, 2, 3, 4], [1, 4], (1, 3, [])),
    ([1, 2, 2, 3], [1, 2, 3], (2, 3, [])),
    ([1, 2, 3], [1, 9, 8, 3], (1, 2, [9, 8])),
    ([1, 2], [1, 2, 5], (2, 2, [5])),
    ([5, 1], [1], (0, 1, [])),
  )
  def test_difference(self, long, short, expected):
    found = ablation_published.difference(long, short)
    self.assertEqual(found, expected)
    start, end, instead = found
    self.assertEqual([*long[:start], *instead, *long[end:]], short)


if __name__ == '__main__':
  absltest.main()

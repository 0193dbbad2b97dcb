# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that the committed table of parity is whole and within the bounds."""

import pathlib

from absl.testing import absltest

from selfexplain_jax.validation import agreement

_TABLE = pathlib.Path(__file__).parents[2] / 'docs/parity.md'


def _rows():
  lines = [
    line for line in _TABLE.read_text().splitlines() if line.startswith('| ')
  ]
  names, *rows = [
    [cell.strip() for cell in line.strip('|').split('|')] for line in lines
  ]
  return names, rows


class ParityTableTest(absltest.TestCase):
  def test_has_every_family_with_all_heads_and_embeddings(self):
    _, rows = _rows()
    expected = [
      [family, heads, embeddings]
      for family in ('Llama', 'Llama 3.1', 'Qwen3', 'Gemma 2')
      for heads in ('MHA', 'GQA', 'MQA')
      for embeddings in ('tied', 'untied')
    ]
    expected.append(['stories260k', 'GQA', 'tied'])
    self.assertEqual([row[:3] for row in rows], expected)

  def test_all_are_within_the_bounds(self):
    names, rows = _rows()
    for row in rows:
      found = dict(zip(names, row, strict=True))
      for name in ('logits', 'worst site'):
        self.assertLessEqual(float(found[name].split()[0]), 2e-4, row)
      for dtype, bound in agreement.BOUNDS.items():
        mean, most = found[f'KL {dtype}: mean, most'].split(', ')
        self.assertLessEqual(float(mean), bound.mean, row)
        self.assertLessEqual(float(most), bound.most, row)
      self.assertEqual(found['generations equal'], '8 of 8', row)
      self.assertEqual(found['export'], 'bit-equal', row)


if __name__ == '__main__':
  absltest.main()

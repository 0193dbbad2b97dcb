# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the page on a made-up evaluation."""

import html as html_lib
from html import parser
import json
import re
from urllib import parse

from absl.testing import absltest
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.reports import examples
from selfexplain_jax.reports import html
from tests.reports import fixtures

# Elements that have no end tag.
_VOID = ('meta', 'input', 'br', 'link')


class _Page(parser.HTMLParser):
  """Checks that elements nest, and gathers what is in the page."""

  def __init__(self, text: str):
    super().__init__()
    self.open: list[str] = []
    self.found: list[tuple[str, dict[str, str | None]]] = []
    self.scripts: list[str] = []
    self.feed(text)
    self.close()
    assert not self.open, self.open

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, dict(attrs)))
    if tag not in _VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.found.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, (tag, self.open)
    self.open.pop()

  def handle_data(self, data):
    if self.open and self.open[-1] == 'script':
      self.scripts.append(data)

  def count(self, tag: str) -> int:
    return sum(name == tag for name, _ in self.found)

  @property
  def claims(self):
    return json.loads(self.scripts[0])


def _rows_of_body(text):
  body = text.split('<tbody id="claims-body">')[1].split('</tbody>')[0]
  return body.split('<tr ')[1:]


class ReportTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.table = fixtures.predictions(900)
    cls.figures = fixtures.figures(cls.table)
    cls.text = html.render(cls.figures, {'predictions': cls.table})

  def test_written_file_is_the_page_and_the_same_each_time(self):
    directory = self.create_tempdir()
    html.write(directory.full_path, self.figures, {'predictions': self.table})
    written = directory.full_path + '/report.html'
    with open(written, 'rb') as file:
      self.assertEqual(file.read(), self.text.encode())
    self.assertEqual(
      html.render(self.figures, {'predictions': self.table}), self.text
    )
    self.assertLess(len(self.text), 1_500_000)

  def test_page_is_whole_and_needs_no_network(self):
    page = _Page(self.text)
    self.assertEqual(page.count('svg'), 4)
    ids = [a['id'] for _, a in page.found if 'id' in a]
    self.assertLen(set(ids), len(ids))
    for _, attributes in page.found:
      for name in ('src', 'href', 'action', 'xlink:href'):
        self.assertStartsWith(attributes.get(name) or '#', '#')
    self.assertNotIn('@import', self.text)

  def test_figures_lead_to_their_claims(self):
    page = _Page(self.text)
    links = {
      link
      for _, attributes in page.found
      for name in ('href', 'xlink:href')
      if (link := attributes.get(name) or '').startswith('#claims?')
    }
    cells, others = 0, 0
    for link in links:
      wanted = dict(parse.parse_qsl(link.partition('?')[2]))
      fit = [
        claim
        for claim in page.claims
        if all(
          json.dumps(claim[name]).strip('"') == value
          for name, value in wanted.items()
        )
      ]
      if 'block' in wanted:
        cells += 1
        self.assertNotEmpty(fit, link)  # Cells without records lead nowhere.
      else:
        others += 1
    self.assertGreater(cells, 3)
    # What a verdict leads to is what it counts, of all claims.
    said = [
      row
      for row in self.table.to_pylist()
      if row['arm'] == next(iter(self.figures['confusion']))
    ]
    found = re.findall(
      r'<a href="#claims\?changed=(\w+)&amp;said=(\w+)">(\d+)</a>', self.text
    )
    self.assertNotEmpty(found)
    verdicts = {'changed': 1, 'unchanged': 0}
    for changed, verdict, count in found:
      counted = [
        row
        for row in said
        if row['changed'] == (changed == 'true')
        and row['claimed'] == verdicts.get(verdict, row['claimed'])
        and (verdict in verdicts) == (row['claimed'] in (0, 1))
      ]
      self.assertLen(counted, int(count), (changed, verdict))
    self.assertEqual(others, 4 + len(found))
    self.assertNotIn('target="_blank"', self.text)

  def test_every_table_has_a_caption(self):
    page = _Page(self.text)
    self.assertEqual(page.count('table'), page.count('caption'))
    self.assertEqual(page.count('table'), 5)

  def test_headline_says_what_the_figures_say(self):
    figures = json.loads(json.dumps(self.figures))
    figures['tests']['self_minus_stranger']['exact_match'] = {
      'value': 0.125,
      'ci95': [0.1, 0.15],
      'p': 0.0002,
    }
    figures['tests']['self_minus_shuffled_vector']['exact_match'] = {
      'value': -0.02,
      'ci95': [-0.05, 0.01],
      'p': 0.3,
    }
    text = html.render(figures, {'predictions': self.table})
    self.assertIn('+12.5 <span>', text)
    self.assertIn('95% interval +10.0 to +15.0, p &lt; 0.001', text)
    self.assertIn('privileged access to its own workings', text)
    self.assertIn('−2.0 <span>', text)
    self.assertIn('The interval includes 0. This evaluation does not', text)

  def test_every_tested_gap_is_told_over_all_and_over_balanced_cells(self):
    figures = json.loads(json.dumps(self.figures))
    expected = []
    for step, key in enumerate(('tests', 'balanced_tests')):
      measures = ('exact_match', 'exact_match_changed', 'macro_f1')
      for n, measure in enumerate(measures, 3 * step + 1):
        figures[key]['self_minus_twin'][measure] = {
          'value': n / 100,
          'ci95': [-n / 200, n / 50],
          'p': n / 10,
        }
        expected.append(f'+{n}.0 −{n / 2:.1f} to +{2 * n}.0 p = {n / 10:.3f}')
    text = html.render(figures, {'predictions': self.table})
    row = re.search(r'<th scope="row">self − twin</th>(.*?)</tr>', text, re.S)
    cells = re.findall('<td>(.*?)</td>', row[1])
    self.assertEqual([re.sub('<.*?>', '', c) for c in cells], expected)

  def test_without_balanced_cells_only_all_questions_are_told_of(self):
    figures = {k: v for k, v in self.figures.items() if 'balanced' not in k}
    text = html.render(figures, {'predictions': self.table})
    self.assertEqual(text.count('<th scope="colgroup"'), 1)
    self.assertEqual(_Page(text).count('table'), 4)

  def test_known_and_unknown_facts_are_told_of_if_there_are_any(self):
    self.assertNotIn(
      'was taught', html.render(self.figures, {'predictions': self.table})
    )
    figures = json.loads(json.dumps(self.figures))
    for part, value in (('known_', 0.111), ('unknown_', 0.222)):
      figures[f'{part}rows'] = json.loads(json.dumps(figures['rows']))
      figures[f'{part}rows']['self']['exact_match']['value'] = value
      figures[f'{part}tests'] = figures['tests']
    text = html.render(figures, {'predictions': self.table})
    taught, others = text.index('was taught'), text.index('was not taught')
    self.assertBetween(text.index('11.1'), taught, others)
    self.assertGreater(text.index('22.2'), others)
    self.assertEqual(text.count('<th scope="colgroup"'), 4)
    self.assertIn('unknown facts', text)

  def test_undefined_gaps_are_no_numbers(self):
    figures = json.loads(json.dumps(self.figures))
    undefined = {'value': None, 'ci95': [None, None], 'p': None}
    for test in figures['tests'].values():
      test.update(dict.fromkeys(test, undefined))
    text = html.render(figures, {'predictions': self.table})
    self.assertIn('There are too few people', text)
    self.assertNotIn('None', text)

  def test_what_is_new_about_the_people_depends_on_the_split(self):
    for split, told in (
      ('train', 'which explainers are trained on'),
      ('validation', 'chose which step of an explainer was'),
      ('test', 'no explainer was\ntrained on a question about them'),
    ):
      text = html.render(
        {**self.figures, 'split': split}, {'predictions': self.table}
      )
      self.assertIn(told, text)
      self.assertEqual('replay rows' in text, split != 'train')
      self.assertEqual('which step of' in text, split == 'validation')

  def test_claims_are_a_mixture_and_the_first_are_there_without_script(self):
    claims = _Page(self.text).claims
    self.assertLen(claims, examples.LIMIT)
    seen = {(c['kind'], c['block'], c['right']) for c in claims[:50]}
    # Four position kinds, four blocks, right and wrong, less the empty cell.
    self.assertLen(seen, 2 * (4 * 4 - 1))
    rows = _rows_of_body(self.text)
    self.assertLen(rows, 50)
    for row, claim in zip(rows, claims, strict=False):
      for name in ('claim', 'shown', 'outcome', 'stranger', 'shuffled_vector'):
        self.assertIn(f'>{html_lib.escape(claim[name])}<', row)

  def test_claim_shows_its_own_record_in_every_column(self):
    said = {}
    for row in self.table.to_pylist():
      said.setdefault(row['arm'], []).append(row)
    chosen = examples.choose(said['self'], self.figures['seed'])
    claims = _Page(self.text).claims
    for row, claim in zip(chosen, claims, strict=True):
      self.assertEqual(claim['claim'], examples.claim(row))
      self.assertEqual(claim['token'], row['token_text'])
      for arm in ('stranger', 'shuffled_vector'):
        other = said[arm][row['record']]
        self.assertEndsWith(claim[arm], examples.claim(other))

  def test_maps_agree_with_a_plain_count(self):
    maps = re.findall(r'<svg.*?</svg>', self.text, re.S)[1:]
    rows = self.table.to_pylist()

    def rate(kind, layer, arm, field):
      values = [
        row[field]
        for row in rows
        if (row['place'], row['treatment'], row['arm']) == (kind, layer, arm)
      ]
      return 100 * np.mean(values) if values else None

    expected = [[], [], []]
    for kind in fixtures.KINDS:
      for layer in ('0', '1', '2 to 3', '4 to 5'):
        exact = rate(kind, layer, 'self', 'exact')
        if exact is not None:
          gain = exact - rate(kind, layer, 'shuffled_vector', 'exact')
          expected[0].append(exact)
          expected[1].append(rate(kind, layer, 'self', 'changed'))
          expected[2].append(gain)
    for svg, values, slack in zip(
      maps, expected, (0.5, 0.5, 0.05), strict=True
    ):
      texts = re.findall('<text[^>]*>([^<]*)</text>', svg)
      cells = [text for text in texts if re.fullmatch('[+−]?[0-9.]+%?', text)]
      # Before the cells come the axis labels, of single layers too.
      cells = cells[-len(values) :]
      numbers = [float(cell.strip('%').replace('−', '-')) for cell in cells]
      np.testing.assert_allclose(numbers, values, atol=slack + 1e-6)
      kinds = [kind.replace('_', ' ') for kind in fixtures.KINDS]
      self.assertEqual([text for text in texts if text in kinds], kinds)

  def test_confusion_shares_are_of_rows(self):
    figures = json.loads(json.dumps(self.figures))
    figures['confusion']['self'] = [[30, 9, 1], [0, 0, 0]]
    text = html.render(figures, {'predictions': self.table})
    row = re.search(r'<th scope="row">unchanged</th>(.*?)</tr>', text, re.S)[1]
    self.assertEqual(re.findall(r'[\d.]+%', row), ['75.0%', '22.5%', '2.5%'])
    self.assertEqual(row.index('class="hit"'), row.index('<td') + 4)
    row = re.search(r'<th scope="row">changed</th>(.*?)</tr>', text, re.S)[1]
    self.assertEqual(row.count('–'), 3)

  def test_text_of_models_stays_text(self):
    attack = '</script><script>alert(1)</script><img src=x onerror=alert(1)>'
    table = self.table
    for name in ('text', 'counterfactual_text', 'claimed_content', 'output'):
      index = table.column_names.index(name)
      column = pa.array([attack] * table.num_rows)
      table = table.set_column(index, name, column)
    text = html.render(self.figures, {'predictions': table})
    page = _Page(text)
    self.assertEqual(page.count('script'), 2)
    self.assertEqual(page.count('img'), 0)
    self.assertEndsWith(page.claims[0]['done'], attack)

  def test_layers_are_in_order_in_the_filter(self):
    select = self.text.split('<select name="block">')[1].split('</select>')[0]
    self.assertEqual(
      re.findall('<option>(.*?)</option>', select),
      ['0', '1', '2 to 3', '4 to 5'],
    )

  def test_ablations_have_words_of_their_own(self):
    table = fixtures.ablated(self.table)
    figures = {**self.figures, 'task': 'ablation'}
    text = html.render(figures, {'predictions': table})
    claims = _Page(text).claims
    by_record = {row['record']: row for row in table.to_pylist()}
    for claim in claims:
      found = re.fullmatch(
        '.*“(.*?)” (removed|replaced by “felix”)', claim['done']
      )
      self.assertIsNotNone(found, claim['done'])
      self.assertEqual(found[1], claim['token'])
    self.assertIn('A piece of it, such as a', text)
    maps = re.findall('<svg.*?</svg>', text, re.S)[1:]
    for svg in maps:
      self.assertRegex(svg, '<text[^>]*>what was done</text>')
      self.assertNotRegex(svg, '<text[^>]*>layers</text>')
    self.assertNotIn('layers', ' '.join(c['done'] for c in claims))
    self.assertLen(by_record, 900)

  def test_controls_alone(self):
    table = fixtures.predictions(40, arms=('metadata', 'majority'))
    text = html.render(fixtures.figures(table), {'predictions': table})
    page = _Page(text)
    self.assertIn('No explainer was evaluated', text)
    self.assertEqual(page.count('svg'), 3)
    self.assertLen(page.claims, 40)
    self.assertNotIn('stranger claimed', text)

  def test_self_alone(self):
    table = fixtures.predictions(40, arms=('self', 'majority'))
    text = html.render(fixtures.figures(table), {'predictions': table})
    self.assertNotIn('No explainer was evaluated', text)
    self.assertIn('Nobody whom self is to be compared with', text)

  def test_bad_predictions_are_refused(self):
    with self.assertRaisesRegex(errors.InputError, 'claimed, text, which'):
      html.render(
        self.figures,
        {'predictions': self.table.drop_columns(['text', 'claimed'])},
      )
    with self.assertRaisesRegex(errors.InputError, "rows of arm 'stranger'"):
      html.render(
        self.figures,
        {'predictions': fixtures.predictions(20, arms=('self',))},
      )


if __name__ == '__main__':
  absltest.main()

# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the page on a made-up evaluation of descriptions."""

import re

from absl.testing import absltest
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.reports import html
from selfexplain_jax.reports import text as text_lib
from tests.reports import fixtures


def _cards(text):
  return re.findall('<article.*?</article>', text, re.S)


class FeaturePageTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.made = fixtures.described()
    cls.text = html.render(cls.made['metrics'], cls.made['tables'])
    cls.cards = _cards(cls.text)

  def test_a_card_says_what_its_feature_is_said_to_be(self):
    own = {
      row['source']: row
      for row in self.made['tables']['predictions'].to_pylist()
      if row['arm'] == 'self'
    }
    self.assertLen(self.cards, len(own))
    for card in self.cards:
      source = re.search('<h3>Layer [01], (feature [0-9]+)</h3>', card)[1]
      row = own[source]
      mark = '✓' if row['exact_match'] else '✗'
      self.assertIn(f'<dd>{mark} {row["output"]}</dd>', card)
      self.assertIn(f'<dd>{row["label"]} <small>r = 0.88</small></dd>', card)
      self.assertEqual('data-right="true"' in card, bool(row['exact_match']))

  def test_tokens_are_shaded_by_activation_and_underlined_by_claim(self):
    card = next(c for c in self.cards if 'feature 5<' in c)
    tokens = re.findall('<span class="(token[^"]*)"([^>]*)>([^<]*)<', card)
    self.assertEqual(
      [(kind, word) for kind, _, word in tokens],
      [
        ('token', '&lt;bos&gt;'),
        ('token', 'so'),
        ('token claimed', 'name5'),
        ('token', '&lt;b&gt;'),
        ('token', 'and'),
      ],
    )
    shades = [re.findall('--shade: ([0-9.]+)', style) for _, style, _ in tokens]
    self.assertEqual(shades, [[], [], ['1.0'], ['0.25'], []])

  def _page_of(self, *documents):
    """The first feature's card, with these documents."""
    rows = [{'record': 0, 'document': 3, **d} for d in documents]
    exemplars = pa.Table.from_pylist(rows)
    tables = {**self.made['tables'], 'exemplars': exemplars}
    cards = _cards(html.render(self.made['metrics'], tables))
    return next(c for c in cards if 'feature 0<' in c)

  def test_shading_is_of_the_features_largest_activation(self):
    tokens = ['<bos>', 'a', 'b']
    card = self._page_of(
      {'tokens': tokens, 'activations': [0.0, 8.0, 2.0], 'claimed': []},
      {'tokens': tokens, 'activations': [0.0, 0.0, 4.0], 'claimed': []},
    )
    shades = re.findall('--shade: ([0-9.]+)', card)
    self.assertEqual(shades, ['1.0', '0.25', '0.5'])

  def test_numbers_stand_below_and_in_titles_for_those_who_see_no_colour(self):
    card = self._page_of(
      {
        'tokens': ['<bos>', *'abcde'],
        'activations': [0.0, 0.0, 4.0, 1.5, 0.0, 0.0],
        'claimed': [False, True, True, False, False, True],
      }
    )
    self.assertIn(
      'Peak 4 at “b”, active at 2 of 5 tokens; the description holds at 3, 1 '
      'of them active.',
      card,
    )
    self.assertEqual(
      re.findall('title="(.*?)"', card),
      [
        'activation 0, the description holds',
        'activation 4, the description holds',
        'activation 1.5',
        'activation 0, the description holds',
      ],
    )

  def test_false_alarms_far_from_activity_are_shown(self):
    active, claimed = [0.0] * 60, [False] * 60
    active[5], claimed[50] = 1.0, True
    tokens = [f'w{i}' for i in range(60)]
    card = self._page_of(
      {'tokens': tokens, 'activations': active, 'claimed': claimed}
    )
    self.assertRegex(card, 'class="token claimed"[^>]*>w50<')
    self.assertNotIn('>w30<', card)

  def test_descriptions_that_cannot_be_executed_claim_no_token(self):
    card = self._page_of(
      {'tokens': ['<bos>', 'a'], 'activations': [0.0, 1.0], 'claimed': []}
    )
    self.assertIn('Peak 1 at “a”, active at 1 of 1 tokens.', card)
    self.assertNotIn('holds', card)

  def test_where_no_feature_is_active_there_are_answers_but_no_figures(self):
    metrics = {
      k: v
      for k, v in self.made['metrics'].items()
      if k not in ('rows', 'tests')
    }
    metrics.update(n=0, groups=0, silent=40)
    tables = {**self.made['tables'], 'exemplars': pa.Table.from_pylist([])}
    text = html.render(metrics, tables)
    self.assertLen(_cards(text), 40)
    self.assertNotIn('<svg', text)
    self.assertIn('0 features of split test', text_lib.table(metrics))
    directory = self.create_tempdir().full_path
    html.write_index(directory, {'a/report.html': metrics})

  def test_vectors_without_labels_have_figures_of_their_own(self):
    metrics = dict(self.made['metrics'])
    estimate = {'value': 0.125, 'ci95': [0.0625, 0.25]}
    metrics['activation_n'] = 7
    metrics['activation_rows'] = {'self': {'simulator': estimate}}
    text = html.render(metrics, self.made['tables'])
    table = text.split('<caption>Activations in place of features')[1]
    table = table.split('</table>')[0]
    self.assertIn('(n = 7)', table)
    self.assertIn('12.5% <small>6.2 to 25.0</small>', table)
    self.assertNotIn('exact label', table)

  def test_a_feature_without_exemplars_says_so(self):
    card = next(c for c in self.cards if 'feature 39<' in c)
    self.assertIn('active in none of the 20 documents', card)

  def test_what_is_undefined_is_not_shown(self):
    card = next(c for c in self.cards if 'feature 0<' in c)
    self.assertNotIn('detection', card)
    self.assertNotIn('nan', self.text)

  def test_share_of_what_labels_get(self):
    rows = self.made['metrics']['rows']
    metrics = {
      **self.made['metrics'],
      'rows': {
        **rows,
        'self': {
          **rows['self'],
          'simulator': {'value': 0.45, 'ci95': [0.4, 0.5]},
        },
      },
    }
    text = html.render(metrics, self.made['tables'])
    self.assertIn('predict activations 90.0% as well', text)

  def test_no_share_of_what_is_undefined(self):
    for arm in ('self', 'label'):
      metrics = dict(self.made['metrics'])
      undefined = {'value': None, 'ci95': [None, None]}
      scores = {**metrics['rows'][arm], 'simulator': undefined}
      metrics['rows'] = {**metrics['rows'], arm: scores}
      text = html.render(metrics, self.made['tables'])
      self.assertNotIn('as well as', text)

  def test_who_judged_and_who_simulated_is_named(self):
    self.assertIn('the cosine of their word counts', self.text)
    self.assertIn('Descriptions are executed', self.text)
    metrics = {
      **self.made['metrics'],
      'similarity': {
        'kind': 'endpoint',
        'model': 'judge-7',
        'missing': {'self': 2, 'stranger': 1, 'label': 0},
      },
      'simulator': {'kind': 'trained', 'model': 'c0ffee'},
    }
    text = html.render(metrics, self.made['tables'])
    self.assertIn('language model judge-7 rates', text)
    self.assertIn('3 of all arms without a rating', text)
    self.assertIn('weights c0ffee', text)

  def test_without_a_simulator_nothing_is_said_of_one(self):
    kept = ('exact_match', 'valid_rate')
    metrics = {
      k: v for k, v in self.made['metrics'].items() if k != 'simulator'
    }
    for part in ('rows', 'tests'):
      metrics[part] = {
        arm: {m: v for m, v in scores.items() if m in kept}
        for arm, scores in metrics[part].items()
      }
    estimate = {'value': 0.5, 'ci95': [0.25, 0.75]}
    for scores in metrics['rows'].values():
      scores['similarity'] = estimate
    tables = dict(self.made['tables'])
    tables['predictions'] = tables['predictions'].drop_columns(
      ['simulator', 'simulator_per_sequence', 'detection', 'fuzzing']
    )
    text = html.render(metrics, tables)
    self.assertIn('no simulator was given', text)
    self.assertNotIn('as well as', text)
    self.assertNotIn('Simulator correlation', text)
    self.assertNotIn('<dt>fuzzing', text)
    self.assertIn('similarity 1.00', _cards(text)[0])
    shown = text_lib.table(metrics)
    self.assertNotIn('simulator', shown)
    self.assertIn('similarity', shown)

  def test_a_label_whose_correlation_is_unknown(self):
    tables = dict(self.made['tables'])
    table = tables['predictions']
    at = table.column_names.index('label_correlation')
    unknown = [float('nan')] * table.num_rows
    tables['predictions'] = table.set_column(at, 'label_correlation', [unknown])
    text = html.render(self.made['metrics'], tables)
    self.assertNotIn('r = ', text)
    self.assertNotIn('nan', text)

  def test_controls_alone(self):
    made = fixtures.described(arms=('label', 'majority'))
    text = html.render(made['metrics'], made['tables'])
    self.assertIn('No explainer was evaluated', text)

  def test_self_alone(self):
    made = fixtures.described(arms=('self', 'label'))
    text = html.render(made['metrics'], made['tables'])
    self.assertNotIn('No explainer was evaluated', text)
    self.assertIn('Nobody whom self is to be compared with', text)

  def test_text_of_models_stays_text(self):
    tables = dict(self.made['tables'])
    attack = '<img src=x onerror=alert(1)>'
    for name in ('output', 'label', 'source'):
      table = tables['predictions']
      tables['predictions'] = table.set_column(
        table.column_names.index(name), name, [[attack] * table.num_rows]
      )
    text = html.render(self.made['metrics'], tables)
    self.assertNotIn('<img', text)
    self.assertIn('&lt;img', text)
    card = self._page_of(
      {'tokens': ['<bos>', attack], 'activations': [0.0, 1.0], 'claimed': []}
    )
    self.assertNotIn('<img', card)

  def test_bad_predictions_are_refused(self):
    tables = dict(self.made['tables'])
    tables['predictions'] = tables['predictions'].drop_columns(['label'])
    with self.assertRaisesRegex(errors.InputError, 'columns label, which'):
      html.render(self.made['metrics'], tables)

  def test_table_for_a_terminal(self):
    shown = text_lib.table(self.made['metrics'] | {'rows': _full(self.made)})
    self.assertIn('40 features of split test', shown)
    self.assertIn('exact label', shown)
    self.assertIn('+0.500 [0.250, 0.750] p=0.0010', shown)

  def test_index_leads_to_the_pages(self):
    directory = self.create_tempdir().full_path
    table = fixtures.predictions(60)
    html.write_index(
      directory,
      {
        'a/report.html': self.made['metrics'],
        'b/report.html': fixtures.figures(table),
      },
    )
    with open(f'{directory}/report.html') as file:
      text = file.read()
    self.assertEqual(
      re.findall('href="(.*?)"', text), ['a/report.html', 'b/report.html']
    )
    self.assertIn('+50.0 <span>points', text)


def _full(made):
  estimate = {'value': 0.5, 'ci95': [0.25, 0.75]}
  return {
    arm: {**scores, 'similarity': estimate}
    for arm, scores in made['metrics']['rows'].items()
  }


if __name__ == '__main__':
  absltest.main()

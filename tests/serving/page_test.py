# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the local page in a browser: Chromium, with the [browser] extra."""

import os
import pathlib
import shutil
from typing import Any

from absl.testing import absltest

from tests.serving import served

try:
  from selenium import webdriver
  from selenium.webdriver.common import by
  from selenium.webdriver.support import ui
except ModuleNotFoundError:
  webdriver = None  # type: ignore

_PATIENCE = 60.0  # Seconds; the first answer waits for programs.
_CHROMIUM = shutil.which('chromium') or ''
_DRIVER = shutil.which('chromedriver') or ''


def _options(profile: str) -> Any:
  options = webdriver.ChromeOptions()
  options.binary_location = _CHROMIUM
  for argument in (
    *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'),
    *('--disable-background-networking', '--disable-component-update'),
    *('--disable-sync', '--window-size=1200,1600'),
    f'--user-data-dir={profile}',
  ):
    options.add_argument(argument)
  options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
  return options


@absltest.skipUnless(
  webdriver and _CHROMIUM and _DRIVER,
  'needs the [browser] extra, chromium and chromedriver',
)
class PageTest(absltest.TestCase):
  browser: Any

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    profile = pathlib.Path(absltest.get_default_test_tmpdir()) / 'browser'
    profile.mkdir(parents=True, exist_ok=True)
    port = served.port()
    service = webdriver.ChromeService(_DRIVER)
    cls.browser = webdriver.Chrome(_options(str(profile)), service)
    cls.addClassCleanup(cls.browser.quit)
    cls.address = f'http://127.0.0.1:{port}/'

  def setUp(self):
    super().setUp()
    self.browser.get(self.address)
    self.until(lambda: 'The target is' in self.text('about'))

  def tearDown(self):
    super().tearDown()
    # Of errors of the page; answers to bad input are logged as well.
    said = [
      entry
      for entry in self.browser.get_log('browser')
      if entry['level'] == 'SEVERE'
      and '400 (Bad Request)' not in entry['message']
    ]
    self.assertEmpty(said)
    shots = os.environ.get('SCREENSHOTS')
    if shots:
      name = f'{self.id().rpartition(".")[2]}.png'
      height = self.browser.execute_script(
        'return document.documentElement.scrollHeight'
      )
      self.browser.set_window_size(1200, min(height + 150, 4000))
      self.browser.save_screenshot(str(pathlib.Path(shots) / name))

  def until(self, condition):
    ui.WebDriverWait(self.browser, _PATIENCE, 0.05).until(lambda _: condition())

  def find(self, name: str):
    return self.browser.find_element(by.By.ID, name)

  def all(self, selector: str):
    return self.browser.find_elements(by.By.CSS_SELECTOR, selector)

  def text(self, name: str) -> str:
    return self.find(name).text

  def press(self, form: str):
    self.browser.find_element(
      by.By.CSS_SELECTOR, f'#{form} button:not([type="button"])'
    ).click()

  def write(self, name: str, value: str):
    self.find(name).clear()
    self.find(name).send_keys(value)

  def choose(self, name: str, value: str):
    ui.Select(self.find(name)).select_by_value(value)

  def read(self, value: str = 'anna keller speaks fluent'):
    self.write('text', value)
    self.press('text-form')
    self.until(lambda: self.all('#tokens button') or self.text('text-error'))

  def test_asks_in_all_ways(self):
    self.read()
    self.all('#tokens button')[2].click()
    self.assertIn('“keller”, position 2', self.text('chosen'))
    for count, task in enumerate(('features', 'patching', 'ablation'), 1):
      self.choose('type', task)
      if task == 'patching':
        self.write('source', 'felix farkas speaks fluent')
      self.press('ask-form')
      self.until(lambda count=count: len(self.all('.finding')) == count)
      newest = self.all('.finding')[0].text
      for part in ('asked', 'answer', 'probability', 'check', 'control'):
        self.assertIn(part, newest)
    self.assertEmpty(self.text('ask-error'))
    self.choose('type', 'features')
    self.find('sweep').click()
    self.until(lambda: len(self.all('.finding')) == 5)

  def test_heat_map(self):
    self.read()
    self.write('map-source', 'felix farkas speaks fluent')
    self.press('map-form')
    self.until(lambda: len(self.all('#map td')) == 2 * 5)
    changed = [c.get_attribute('data-changed') for c in self.all('#map td')]
    self.assertEqual(changed[0], 'false')
    self.write('map-source', 'felix farkas')
    self.press('map-form')
    self.until(lambda: 'expected as many' in self.text('map-error'))

  def test_features(self):
    self.read()
    self.choose('active-layer', '1')
    self.press('active-form')
    self.until(lambda: self.all('#active .feature'))
    self.all('#active .feature button')[0].click()
    self.until(lambda: self.all('#active .finding'))

  def test_claims_with_filters(self):
    self.until(lambda: len(self.all('#claims tr')) > 1)
    self.choose('evaluation', 'patching_evaluation')
    self.until(lambda: self.text('claims-status').startswith('24 claims'))
    self.choose('right', 'false')
    self.until(
      lambda: (
        not self.text('claims-status').startswith('24 claims')
        or not self.all('#claims .right')
      )
    )
    self.assertEmpty(self.all('#claims .right'))
    self.write('search', 'no such word')
    self.until(lambda: self.text('claims-status').startswith('0 claims'))

  def test_bad_input_is_answered_with_a_sentence(self):
    self.read('anna kellr')
    self.assertIn("'kellr' is not in the vocabulary", self.text('text-error'))
    self.assertFalse(self.find('ask').is_displayed())
    self.read('1,99999')
    self.until(lambda: 'no token has the id 99999' in self.text('text-error'))

  def test_examples_and_people(self):
    self.find('show-people').click()
    self.until(lambda: len(self.all('#list li')) == 61)
    self.find('show-examples').click()
    self.until(lambda: len(self.all('#list li')) == 9)
    self.all('#list button')[0].click()
    self.until(lambda: self.find('ask').is_displayed())
    self.press('ask-form')
    self.until(lambda: len(self.all('.finding')) == 1)

  def test_text_is_no_markup(self):
    self.read('<img src=x onerror=alert(1)>')
    self.until(lambda: 'is not in the vocabulary' in self.text('text-error'))
    self.assertEmpty(self.all('img'))


if __name__ == '__main__':
  absltest.main()

// The local page. Text only ever goes into text nodes.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const make = (name, text = '', properties = {}) => {
    const element = document.createElement(name);
    element.textContent = text;
    return Object.assign(element, properties);
  };
  let about = null;  // What there is to ask about.
  let text = null;  // What was read: its fields, and its tokens.
  let chosen = null;  // The position asked about.

  const post = async (name, fields = {}) => {
    const answer = await fetch(name, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(fields),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  };

  // Does something that may fail, tells why, and lets nobody ask twice meanwhile.
  const tell = (place, buttons, work) => async (event) => {
    if (event) event.preventDefault();
    $(place).textContent = '';
    buttons.forEach((id) => { $(id).disabled = true; });
    try {
      await work();
    } catch (error) {
      $(place).textContent = error instanceof TypeError
        ? 'The server does not answer.' : error.message;
    } finally {
      buttons.forEach((id) => { $(id).disabled = false; });
    }
  };

  // A text, or ids in its place.
  const fields = (value, name) => {
    const ids = /^\s*\d+(\s*,\s*\d+)+\s*$/.test(value);
    return ids ? { [`${name}_ids`]: value.split(',').map(Number) } : { [name]: value };
  };

  const options = (id, values) =>
    $(id).replaceChildren(...values.map((value) => make('option', value, { value })));

  // A text.
  const choose = (position) => {
    chosen = position;
    $('tokens').querySelectorAll('button').forEach((button, i) => {
      button.setAttribute('aria-pressed', i === position);
    });
    $('chosen').textContent = `“${text.tokens[position].text.trim()}”, position ${position}`;
    $('end').value = position;
    $('source-position').value = position;
    $('ask').hidden = false;
  };

  const read = async () => {
    const own = fields($('text').value, 'prompt');
    const tokens = await post('tokens', own);
    text = { fields: own, tokens };
    $('tokens').replaceChildren(...tokens.map((token, i) => {
      const button = make('button', token.text, { type: 'button' });
      button.append(make('small', i));
      button.addEventListener('click', () => choose(i));
      return button;
    }));
    ['findings', 'map', 'active'].forEach((id) => $(id).replaceChildren());
    $('ask').hidden = true;
    $('map-part').hidden = false;
    $('active-part').hidden = !about.dictionary_layers.length;
  };
  $('text-form').addEventListener('submit', tell('text-error', [], read));

  const list = (items) => {
    $('list').replaceChildren(...items);
    $('list').hidden = false;
  };
  $('show-people').addEventListener('click', tell('text-error', ['show-people'], async () => {
    const people = await post('people');
    list(people.map((person) => make('li', person)));
  }));
  $('show-examples').addEventListener('click', tell('text-error', ['show-examples'], async () => {
    const examples = await post('examples');
    list(examples.map((example) => {
      const item = make('li');
      const words = Object.entries(example).map(([name, value]) => `${name}: ${value}`).join(', ');
      const button = make('button', words, { type: 'button' });
      button.addEventListener('click', tell('text-error', [], async () => {
        $('text').value = example.prompt;
        await read();
        const [start, end] = String(example.position).split('-').map(Number);
        choose(start);
        $('type').value = example.question;
        show();
        if (end !== undefined) $('end').value = end;
        if (example.layer !== undefined) layer(String(example.layer));
        $('source').value = example.source || '';
        if (example.source_position !== undefined) $('source-position').value = example.source_position;
        $('replacement').value = example.replacement || '';
      }));
      item.append(button);
      return item;
    }));
  }));

  // A question.
  const layer = (value) => {
    if (![...$('layer').options].some((option) => option.value === value)) {
      $('layer').append(make('option', value, { value }));
    }
    $('layer').value = value;
  };
  const show = () => {
    const type = $('type').value;
    document.querySelectorAll('[data-of]').forEach((element) => {
      element.hidden = !element.dataset.of.split(' ').includes(type);
    });
    $('layer').parentElement.hidden = type === 'ablation';
  };
  $('type').addEventListener('change', show);

  const entry = (name, value, kind = '') =>
    value ? [make('dt', name), make('dd', value, { className: kind })] : [];
  const holds = (answer) => ({ true: 'the claim holds', false: 'the claim does not hold' })[
    answer.holds] || 'no claim that can be checked';
  const finding = (found) => {
    const card = make('article', '', { className: 'finding' });
    card.dataset.holds = found.holds;
    const parts = make('dl');
    parts.append(
      ...entry('asked', found.question), ...entry('shown', found.shown),
      ...entry('answer', found.answer, 'answer'),
      ...entry('probability', found.probability.toFixed(2)),
      ...entry('check', `${holds(found)}: ${found.check}`));
    if (found.control) {
      parts.append(
        ...entry('control', `shown ${found.control.shown} instead, it says: ${found.control.answer}`),
        ...entry('check', `${holds(found.control)}: ${found.control.check}`));
    } else {
      parts.append(...entry('control', 'none: no vector is shown'));
    }
    card.append(parts);
    return card;
  };
  const ask = async (more) => {
    const type = $('type').value;
    const own = { ...text.fields, question: $('words').value.trim() || type, position: chosen, ...more };
    if (type === 'ablation') {
      own.position = `${chosen}-${$('end').value || chosen}`;
      if ($('replacement').value.trim()) own.replacement = $('replacement').value;
    } else if (!own.sweep && own.layer === undefined) {
      own.layer = $('layer').value;
    }
    if (type === 'patching' && $('source').value.trim()) {
      Object.assign(own, fields($('source').value, 'source'));
      own.source_position = $('source-position').value || String(chosen);
    }
    const asked = text;
    const found = await post('ask', own);
    if (asked !== text) return;
    $('findings').prepend(...found.map(finding));
  };
  $('ask-form').addEventListener('submit', tell('ask-error', ['send', 'sweep'], () => ask({})));
  $('sweep').addEventListener('click', tell('ask-error', ['send', 'sweep'], () => ask({ sweep: true })));

  // A heat map.
  $('map-form').addEventListener('submit', tell('map-error', [], async () => {
    const own = text;
    const found = await post('map', { ...own.fields, ...fields($('map-source').value, 'source') });
    if (own !== text) return;
    const table = make('table');
    const head = table.insertRow();
    head.append(make('th', 'layer'));
    found.tokens.forEach((token, i) => {
      const cell = make('th', token);
      cell.append(make('br'), make('small', `from ${found.source[i]}`));
      head.append(cell);
    });
    found.token.forEach((tokens, i) => {
      const row = table.insertRow();
      row.append(make('th', i));
      tokens.forEach((token, j) => {
        const cell = row.insertCell();
        cell.textContent = token;
        cell.dataset.changed = found.changed[i][j];
        cell.title = `leads by ${found.margin[i][j].toFixed(2)}`;
      });
    });
    const clean = make('p', `Without a patch: ${found.clean_token}, which leads by ${
      found.clean_margin.toFixed(2)}. Marked cells change it.`, { className: 'soft' });
    $('map').replaceChildren(clean, table);
  }));

  // Features.
  $('active-form').addEventListener('submit', tell('active-error', [], async () => {
    const own = text;
    const found = await post('active', { ...own.fields, layer: Number($('active-layer').value) });
    if (own !== text) return;  // Another text was read meanwhile.
    const cards = found.map((feature) => {
      const card = make('div', '', { className: 'feature' });
      const most = Math.max(...feature.activation);
      const line = make('p');
      feature.activation.forEach((value, i) => {
        const mark = make('mark', own.tokens[i].text);
        mark.title = value.toFixed(2);
        if (value > 0) mark.style.borderBottomColor = `rgb(220 130 0 / ${0.2 + 0.8 * value / most})`;
        line.append(mark, ' ');
      });
      const at = feature.activation.indexOf(most);
      const button = make('button', 'Ask what it is', { type: 'button' });
      button.addEventListener('click', tell('active-error', [], async () => {
        const [one] = await post('ask', { ...own.fields, question: 'features', position: at,
          layer: feature.layer, feature: feature.feature });
        button.replaceWith(finding(one));
      }));
      card.append(
        make('strong', `Feature ${feature.feature} of layer ${feature.layer}: ${
          feature.label || 'no label'}${feature.split ? ` (${feature.split})` : ''}`), line, button);
      return card;
    });
    $('active').replaceChildren(...(cards.length ? cards : [make('p', 'None is active.')]));
  }));

  // Claims.
  let page = 0;
  const browse = tell('claims-error', [], async () => {
    const found = await post('claims', { evaluation: $('evaluation').value, arm: $('arm').value,
      right: $('right').value, words: $('search').value, number: page });
    const table = $('claims');
    table.replaceChildren();
    const head = table.insertRow();
    ['', 'asked', 'said', 'what is so'].forEach((name) => head.append(make('th', name)));
    found.claims.forEach((claim) => {
      const row = table.insertRow();
      const outcome = row.insertCell();
      outcome.textContent = `${claim.right ? '✓' : '✗'} ${claim.outcome}`;
      outcome.className = claim.right ? 'right' : 'wrong';
      [claim.asked, claim.claim, claim.shown].forEach((value) => { row.insertCell().textContent = value; });
    });
    $('claims-status').textContent = `${found.count} claims, page ${found.page + 1} of ${found.pages}`;
    $('previous').disabled = found.page === 0;
    $('next').disabled = found.page + 1 === found.pages;
  });
  const again = () => { page = 0; browse(); };
  const turn = (by) => () => { page += by; browse(); };
  $('previous').addEventListener('click', turn(-1));
  $('next').addEventListener('click', turn(1));
  const arms = () => { options('arm', about.evaluations[$('evaluation').value].arms); again(); };
  $('evaluation').addEventListener('change', arms);
  ['arm', 'right', 'search'].forEach((id) => $(id).addEventListener('input', again));
  $('claims-form').addEventListener('submit', (event) => event.preventDefault());

  // The beginning.
  tell('text-error', [], async () => {
    about = await post('about');
    $('about').textContent = `The target is ${about.target}, of ${about.layers} layers. What an answer claims is checked at once by running it again.`;
    options('type', Object.keys(about.questions));
    options('layer', [...Array(about.layers).keys()]);
    options('active-layer', about.dictionary_layers);
    show();
    const names = Object.keys(about.evaluations);
    if (names.length) {
      options('evaluation', names);
      $('claims-part').hidden = false;
      arms();
    }
  })();
})();

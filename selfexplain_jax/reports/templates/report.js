// Filters and pages the table of claims. Text only ever goes into text nodes.
(() => {
  'use strict';
  const PAGE = 25;
  const byId = (id) => document.getElementById(id);
  const claims = JSON.parse(byId('claims-data').textContent);
  // The verdict is a filter, and no words that are shown.
  const texts = claims.map(({ said, ...shown }) => Object.values(shown)
    .filter((value) => typeof value === 'string').join(' ').toLowerCase());
  const form = byId('claims-form');
  const body = byId('claims-body');
  const template = byId('claim-template').content.firstElementChild;
  const [previous, next] = [byId('claims-previous'), byId('claims-next')];
  let page = 0;

  const row = (claim) => {
    const element = template.cloneNode(true);
    element.dataset.right = claim.right;
    for (const part of element.querySelectorAll('[data-field]')) {
      part.textContent = claim[part.dataset.field];
    }
    return element;
  };

  const chosen = () => {
    const wanted = ['right', 'kind', 'block', 'changed', 'said']
      .map((name) => [name, form.elements[name].value])
      .filter(([, value]) => value !== '');
    const words = form.elements.search.value.toLowerCase().split(/\s+/);
    return claims.filter((claim, i) =>
      wanted.every(([name, value]) => String(claim[name]) === value) &&
      words.every((word) => texts[i].includes(word)));
  };

  const show = () => {
    const found = chosen();
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    body.replaceChildren(...shown.map(row));
    previous.disabled = page === 0;
    next.disabled = page === last;
    byId('claims-status').textContent = found.length
      ? `${found.length} of ${claims.length} claims, page ${page + 1} of ${last + 1}`
      : 'No claim fits; choose less.';
  };

  const restart = () => { page = 0; show(); };
  form.addEventListener('input', restart);
  form.addEventListener('submit', (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener('reset', () => setTimeout(restart));
  previous.addEventListener('click', () => { page -= 1; show(); });
  next.addEventListener('click', () => { page += 1; show(); });
  form.hidden = false;
  byId('claims-pages').hidden = false;
  byId('claims-static').hidden = true;
  show();
  followLinks('claims', form, restart);
})();

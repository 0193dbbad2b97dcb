// Filters the cards of features.
(() => {
  'use strict';
  const form = document.getElementById('cards-form');
  const cards = [...document.querySelectorAll('.feature')];
  const texts = cards.map((card) => card.textContent.toLowerCase());

  const show = () => {
    const { right, layer, search } = form.elements;
    const words = search.value.toLowerCase().split(/\s+/);
    let count = 0;
    cards.forEach((card, i) => {
      const fits =
        (right.value === '' || card.dataset.right === right.value) &&
        (layer.value === '' || card.dataset.layer === layer.value) &&
        words.every((word) => texts[i].includes(word));
      card.hidden = !fits;
      count += fits;
    });
    document.getElementById('cards-status').textContent =
      `${count} of ${cards.length} features`;
  };

  form.addEventListener('input', show);
  form.addEventListener('submit', (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener('reset', () => setTimeout(show));
  form.hidden = false;
  show();
  followLinks('features', form, show);
})();

// Links such as #claims?right=true choose what is shown in the section claims.
const followLinks = (section, form, show) => {
  'use strict';
  const follow = () => {
    const [place, query] = location.hash.slice(1).split('?');
    if (place !== section || query === undefined) return;
    for (const element of form.elements) {
      if (element.name) element.value = '';
    }
    for (const [name, value] of new URLSearchParams(query)) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    show();
    document.getElementById(section).scrollIntoView();
  };
  addEventListener('hashchange', follow);
  // A link that was followed before changes nothing else.
  document.addEventListener('click', (event) => {
    if (event.target.closest('a')) setTimeout(follow);
  });
  follow();
};

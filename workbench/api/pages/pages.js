// Small comforts; every page works without them.
function comfort(page) {
  for (const at of page.querySelectorAll('time[datetime]')) {
    const known = new Date(at.dateTime);
    if (!Number.isNaN(known.valueOf())) {
      at.title = at.textContent;
      at.textContent = known.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    }
  }
  for (const button of page.querySelectorAll('[data-ask]')) {
    button.addEventListener('click', event => {
      if (!window.confirm(button.dataset.ask)) {
        event.preventDefault();
      }
    });
  }
  for (const form of page.querySelectorAll('form')) {
    form.addEventListener('submit', event => {
      if (form.dataset.sent) {
        event.preventDefault();
      }
      form.dataset.sent = 'yes';
    });
  }
}
comfort(document);
for (const field of document.querySelectorAll('[data-select]')) {
  field.addEventListener('focus', () => field.select());
}
for (const button of document.querySelectorAll('[data-copy]')) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener('click', async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand('copy');
    }
    button.textContent = 'Copied';
  });
}
window.addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form')) {
    delete form.dataset.sent;
  }
});
// What others write appears by itself, unless somebody is writing in its place.
for (const place of document.querySelectorAll('[data-live]')) {
  let waiting = false;
  const typing = () => [...place.querySelectorAll('details[open] > form > textarea')].length > 0;
  const renew = async () => {
    if (typing()) {
      waiting = true;
      return;
    }
    waiting = false;
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    const found = new DOMParser()
      .parseFromString(await answer.text(), 'text/html')
      .getElementById(place.id);
    if (answer.ok && found && !typing()) {
      place.replaceChildren(...found.childNodes);
      comfort(place);
    }
  };
  place.addEventListener('toggle', () => waiting && void renew(), true);
  new EventSource(place.dataset.live).addEventListener('message', event => {
    if (JSON.parse(event.data).action.startsWith('comments.')) {
      void renew();
    }
  });
}

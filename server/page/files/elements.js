// Makes the elements of the page. Whatever the server says becomes text, never HTML.
import { now, patiently } from './api.js';
import { ago, exact, explain, here, printable } from './words.js';

// element makes one with attributes and children. A string among the children becomes text, false
// and null are left out; an attribute "onclick" is a function.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) {
      made.addEventListener(key.slice(2), value);
    } else if (value !== false) {
      made.setAttribute(key, value === true ? '' : value);
    }
  }
  made.append(...children.filter((child) => child !== false && child !== null));
  return made;
}

export const link = (to, ...children) => element('a', { href: to }, ...children);

// foreign is a text in whatever direction: it does not turn what is around it.
export const foreign = (text) => element('bdi', {}, printable(text));

const marks = { SUCCESS: '✓', RUNNING: '▶', FAILED: '✕' };

export const badge = (status) =>
  element('span', { class: `badge ${status}` }, element('span', { 'aria-hidden': 'true' }, marks[status] ?? '?'), ` ${status}`);

// moment is a time of the API in the reader's zone, and how long ago that was.
export const moment = (time) =>
  element(
    'span',
    { class: 'moment' },
    element('time', { datetime: time, title: exact(time) }, here(time)),
    ' ',
    element('span', { class: 'ago', 'data-since': time }, ago((now() - Date.parse(time)) / 1000)),
  );

// tick brings what the page says of the present up to date.
export function tick() {
  for (const span of document.querySelectorAll('[data-since]')) {
    const text = ago((now() - Date.parse(span.dataset.since)) / 1000);
    if (span.textContent !== text) {
      span.textContent = text;
    }
  }
}

// table makes one of these columns. On a phone, where a row is a block, the roles have it stay a
// table for those who do not see it.
export function table(caption, columns) {
  const body = element('tbody', { role: 'rowgroup' });
  const all = element(
    'table',
    { role: 'table' },
    element('caption', { class: 'unseen' }, caption),
    element(
      'thead',
      { role: 'rowgroup' },
      element('tr', { role: 'row' }, ...columns.map((column) => element('th', { role: 'columnheader', scope: 'col' }, column))),
    ),
    body,
  );
  const add = (cells) =>
    body.append(
      element(
        'tr',
        { role: 'row' },
        ...cells.map((cell, i) => element('td', { role: 'cell', 'data-column': columns[i] }, cell)),
      ),
    );
  return { all, body, add };
}

// sender returns a function that sends the requests of a button, one at a time, and returns the response. While a
// request is under way, the button is disabled. If the server does not respond, complain gets a message, and the button
// offers to try again; the next request then cancels the request before, which returns undefined.
export function sender(button, complain) {
  const label = button.textContent;
  const show = (text, disabled) => {
    button.textContent = text;
    button.disabled = disabled;
  };
  let attempt = new AbortController();
  return async (send) => {
    attempt.abort();
    attempt = new AbortController();
    const { signal } = attempt;
    complain('');
    show('Please wait…', true);
    try {
      const response = await patiently(send(signal), (silence) => {
        complain(explain(silence).join('. '));
        show('Try again', false);
      });
      complain('');
      return response;
    } catch (error) {
      if (!signal.aborted) {
        throw error;
      }
      return undefined;
    } finally {
      if (!signal.aborted) {
        show(label, false);
      }
    }
  };
}

// form asks for one line of text, and gives it to use, whose error it shows. Attributes are those
// of the input.
export function form(label, button, attributes, use) {
  const error = element('p', { class: 'error', id: 'form-error', role: 'alert' });
  const input = element('input', {
    id: 'form-input',
    required: true,
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    'aria-describedby': 'form-error',
    ...attributes,
  });
  const submitter = element('button', { type: 'submit' }, button);
  const send = sender(submitter, (text) => {
    error.textContent = text;
  });
  const submit = async (event) => {
    event.preventDefault();
    input.removeAttribute('aria-invalid');
    const text = await send((signal) => use(input.value.trim(), signal));
    if (text) {
      error.textContent = text;
      input.setAttribute('aria-invalid', 'true');
      input.focus();
      input.select();
    }
  };
  return element(
    'form',
    { onsubmit: submit },
    element('label', { for: 'form-input' }, label),
    element('div', { class: 'field' }, input, submitter),
    error,
  );
}

// Asks the API of the server that the page comes from.

import { printable } from './words.js';

// By the page's own address, which the server cannot know behind a proxy that adds a prefix.
const api = new URL('v1/', document.baseURI);

const storedAs = 'jobruns-token';
let token = null;
try {
  token = sessionStorage.getItem(storedAs);
} catch {
  // The person has forbidden pages to store anything: the token lasts until the page is left.
}

export const hasToken = () => token !== null;

// setToken stores the token for this tab of the browser, or removes it if it is null.
export function setToken(value) {
  token = value;
  try {
    if (value === null) {
      sessionStorage.removeItem(storedAs);
    } else {
      sessionStorage.setItem(storedAs, value);
    }
  } catch {
    // As above.
  }
}

// Refusal is a response that is not 200, or none at all, which has the status 0.
export class Refusal extends Error {
  constructor(status, error, retryAfter) {
    super(printable(error.message ?? ''));
    this.status = status;
    this.id = error.id;
    this.details = error.details ?? {};
    this.retryAfter = retryAfter; // in seconds
  }

  get needsTeam() {
    return this.status === 400 && this.details.parameter === 'teamId' && this.details.rule === 'required';
  }

  // passes tells whether the same request may succeed later.
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// silence is the Refusal of a server that does not respond in time.
const silence = Object.assign(new Refusal(0, {}, 5), { silent: true });

// patience is how long the page waits for a response before it offers to try again, in milliseconds.
const patience = 10_000;

// patiently returns what the promise resolves to. If that takes longer than the patience and the expected time, in
// milliseconds, it calls tell with a Refusal, and continues to wait.
export async function patiently(promise, tell, expected = 0) {
  const timer = setTimeout(() => tell(silence), patience + expected);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

// clock is how far the server's clock is ahead of the browser's, in milliseconds.
let clock = 0;

export const now = () => Date.now() + clock;

// ask returns what the API responds to a GET of the path, whose segments it encodes. With wait, in
// seconds, the response may come as late as that. Throws a Refusal.
export async function ask(segments, { query = {}, wait, signal, as = token } = {}) {
  const url = new URL(segments.map(encodeURIComponent).join('/'), api);
  for (const [name, value] of Object.entries(query)) {
    if (value) {
      url.searchParams.set(name, value);
    }
  }
  const headers = { Authorization: `Bearer ${as}` };
  if (wait) {
    headers.Prefer = `wait=${wait}`;
  }
  let response;
  let body;
  try {
    response = await fetch(url, { headers, signal, cache: 'no-store' });
    body = await response.json();
  } catch (error) {
    signal?.throwIfAborted();
    if (!response || response.ok) {
      throw new Refusal(0, { message: String(error) }, 5);
    }
  }
  const date = Date.parse(response.headers.get('Date'));
  // It is in whole seconds: a smaller difference is none.
  clock = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  if (!response.ok) {
    throw new Refusal(response.status, body?.error ?? {}, Number(response.headers.get('Retry-After')) || 5);
  }
  return body;
}

// Says times and numbers in words, and texts of others in characters that can be seen.

const named = { '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v' };

function escaped(character) {
  const code = character.codePointAt(0);
  const [letter, digits] = code < 0x80 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8];
  return named[character] ?? `\\${letter}${code.toString(16).padStart(digits, '0')}`;
}

// printable escapes the characters that cannot be seen, or that turn the text around them, as the command northflank
// does: all except letters, marks, numbers, punctuation, symbols and spaces. The characters in leave stay.
export const printable = (text, leave = '') =>
  text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => (leave.includes(character) ? character : escaped(character)));

// count says how many there are: count(2, 'run') is "2 runs".
export const count = (n, noun) => `${n.toLocaleString()} ${noun}${n === 1 ? '' : 's'}`;

const units = [
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

// duration says how long so many seconds are, in the largest unit and the one below it.
export function duration(seconds) {
  let rest = Math.max(0, Math.floor(seconds));
  const first = Math.max(0, units.findIndex(([, size]) => rest >= size));
  if (rest === 0) {
    return 'less than a second';
  }
  const parts = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const n = Math.floor(rest / size);
    rest %= size;
    if (n > 0) {
      parts.push(count(n, unit));
    }
  }
  return parts.join(' ');
}

// ago says how long ago something was, in one unit.
export function ago(seconds) {
  const found = units.find(([, size]) => seconds >= size);
  return found && seconds >= 5 ? `${count(Math.floor(seconds / found[1]), found[0])} ago` : 'just now';
}

const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

// here is a time of the API in the reader's zone, and exact is the same in UTC.
export const here = (time) => local.format(new Date(time));
export const exact = (time) => time.replace('T', ' ').replace('Z', ' UTC');

// runDuration says how long a run took, or has taken so far if it has not concluded.
export function runDuration(run, now) {
  const end = run.concludedAt ? Date.parse(run.concludedAt) : now;
  return duration((end - Date.parse(run.startedAt)) / 1000) + (run.concluded ? '' : ' so far');
}

// attempts says how often a run was tried.
export const attempts = (run) => `${run.completions.toLocaleString()} ended, ${run.backoffLimit === 1 ? '1 retry' : `${run.backoffLimit.toLocaleString()} retries`} allowed`;

// explain says what is wrong and what to do about it.
export function explain(refusal) {
  const after = `Try again in ${duration(refusal.retryAfter)}.`;
  switch (refusal.status) {
    case 0:
      return [
        refusal.silent ? 'The server does not respond' : 'The server cannot be reached',
        'Check the network, or ask those who run the server. Then try again.',
      ];
    case 400:
      return ['The server does not understand this address', `It says: ${refusal.message}.`];
    case 401:
      return ['The token is not valid', 'It may be mistyped, expired or revoked. Paste another one.'];
    case 403:
      return ['This token may not see this', `The server says: ${refusal.message}. Ask for a token that may, or go back.`];
    case 404:
      return ['There is nothing here', 'It may have been removed, or the address may be wrong. A project or a job without runs is not there either.'];
    case 429:
      return ['Too many requests', `The server says: ${refusal.message || 'too many requests'}. ${after}`];
    case 503:
      return ['The server cannot reach its store right now', after];
    default:
      return [`The server failed (${refusal.status})`, `Try again. ${refusal.id ? `If it stays like that, tell those who run the server: their log says more about request ${refusal.id}.` : ''}`];
  }
}

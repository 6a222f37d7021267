// Why a run failed, and the end of its log.
import { ask, patiently } from './api.js';
import { element, foreign, moment, table } from './elements.js';
import { segments } from './route.js';
import { duration, explain, printable } from './words.js';

// unknown are the statuses of a server that does not say it, or not to this token.
const unknown = [403, 404];

// get returns what the API says of the run beside its state, or null if the server does not say.
async function get(path, signal, query) {
  try {
    return (await ask(path, { query, signal })).data;
  } catch (error) {
    if (!unknown.includes(error.status)) {
      throw error;
    }
    return null;
  }
}

// reasonOf says in a few words why a run, or an attempt of it, ended.
export const reasonOf = (end) => end.message || end.reason || '';

// failure shows in into why the run failed: its attempts and its log. It returns a row for
// the reason and one for the host, by their names, as far as they are known. refresh shows the run again.
export async function failure(route, signal, into, refresh) {
  const job = segments({ ...route, runs: null });
  const complain = (refusal) =>
    into.replaceChildren(
      element(
        'div',
        {},
        element('p', { class: 'error' }, `Not all is shown of why the run failed. ${explain(refusal).join('. ')}`),
        refusal.passes && element('button', { type: 'button', onclick: refresh }, 'Try again'),
      ),
    );
  const [outcome, logs] = await patiently(
    Promise.allSettled([
      get([...segments(route), 'outcome'], signal),
      get([...job, 'logs'], signal, { runId: route.runs }),
    ]),
    complain,
  );
  signal.throwIfAborted();
  into.replaceChildren();
  for (const { reason } of [outcome, logs].filter(({ status }) => status === 'rejected')) {
    if (reason.status === undefined) {
      throw reason;
    }
    complain(reason);
    break; // the other one says the same
  }
  const why = outcome.value;
  const attempts = why?.attempts ?? [];
  if (attempts.length > 1 || (attempts.length === 1 && reasonOf(attempts[0]) !== reasonOf(why))) {
    into.append(element('h2', {}, 'Attempts'), attemptTable(attempts));
  }
  if (logs.value?.length > 0) {
    into.append(...log(logs.value));
  }
  return {
    ...(why?.reason && { Reason: foreign(reasonOf(why)) }),
    ...(why?.host && { Host: foreign(why.host) }),
  };
}

function attemptTable(attempts) {
  const made = table('Attempts that ended, the first one first', ['Attempt', 'Reason', 'Started', 'Duration']);
  for (const attempt of attempts) {
    made.add([
      `Attempt ${attempt.number}`,
      foreign(reasonOf(attempt)),
      moment(attempt.startedAt),
      duration((Date.parse(attempt.concludedAt) - Date.parse(attempt.startedAt)) / 1000),
    ]);
  }
  return made.all;
}

// log shows the lines that the run printed, each after its time, scrolled to the last line.
function log(lines) {
  const shown = lines.map((line) => {
    const text = printable(line.log.replace(/\r$/, ''), '\t');
    return `${new Date(line.ts).toLocaleTimeString()}  ${text}\n`;
  });
  // It can be scrolled with the keyboard.
  const text = element('pre', { tabindex: '0', role: 'region', 'aria-labelledby': 'log' }, shown.join(''));
  requestAnimationFrame(() => {
    text.scrollTop = text.scrollHeight;
  });
  return [
    element('h2', { id: 'log' }, 'Log'),
    text,
  ];
}

// One run, which updates itself until it has concluded.
import { ask, now, Refusal } from './api.js';
import { badge, element, foreign, moment } from './elements.js';
import { segments } from './route.js';
import { attempts, duration, explain, runDuration } from './words.js';

// wait is how many seconds a request waits for the run: proxies often give up after 60.
const wait = 50;

// leastPause is the least time between two requests, in milliseconds, for a server that does not
// wait.
const leastPause = 2000;

export async function run(route, { signal, say, title, fail }) {
  let current = (await ask(segments(route), { signal })).data;
  title(current.runName);
  const details = element('dl', {});
  const state = element('p', { class: 'state', role: 'status' });
  const describe = () => {
    const rows = {
      Status: badge(current.status),
      Started: moment(current.startedAt),
      Concluded: current.concludedAt ? moment(current.concludedAt) : 'not yet',
      Duration: element('span', { class: 'duration' }, runDuration(current, now())),
      Attempts: attempts(current),
      ID: element('code', {}, foreign(current.id)),
    };
    details.replaceChildren(
      ...Object.entries(rows).map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    );
    state.textContent = current.concluded ? '' : 'This page updates itself while the run is running.';
  };
  describe();
  if (!current.concluded) {
    const ticking = setInterval(() => {
      details.querySelector('.duration').textContent = runDuration(current, now());
    }, 1000);
    signal.addEventListener('abort', () => clearInterval(ticking));
    watch(route, signal, (problem) => {
      state.textContent = `${problem} The page tries again by itself.`;
    }, (next) => {
      const concluded = next.concluded && !current.concluded;
      current = next;
      describe();
      if (concluded) {
        clearInterval(ticking);
        say(`The run has concluded: ${next.status}, after ${runDuration(next, now())}.`);
      }
    }).catch(fail);
  }
  return [details, state];
}

// watch asks for the run, one request at a time, until it has concluded or the signal is aborted.
// It does not ask while the tab is hidden. Throws the Refusal that no patience would change.
async function watch(route, signal, trouble, update) {
  for (let concluded = false; !concluded; ) {
    await visible(signal);
    const hidden = untilHidden(signal);
    let pause = Date.now() + leastPause;
    try {
      const { data } = await ask(segments(route), { wait, signal: hidden });
      update(data);
      concluded = data.concluded;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Refusal) {
        if (!error.passes) {
          throw error;
        }
        trouble(`${explain(error)[0]}. It is asked again in ${duration(error.retryAfter)}.`);
        pause = Date.now() + error.retryAfter * 1000;
      }
    }
    if (!concluded) {
      await sleep(pause - Date.now(), signal);
    }
  }
}

// visible waits until the tab is.
async function visible(signal) {
  while (document.hidden) {
    await once(document, 'visibilitychange', signal);
  }
}

// untilHidden returns a signal that is aborted with the other one, or when the tab is hidden.
function untilHidden(signal) {
  const hidden = new AbortController();
  once(document, 'visibilitychange', signal).then(() => hidden.abort(), () => hidden.abort());
  return hidden.signal;
}

// once waits for an event. It throws if the signal is aborted.
const once = (target, event, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    target.addEventListener(event, resolve, { once: true, signal });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });

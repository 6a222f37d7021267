// One run, which updates itself until it has concluded.
import { ask, now, patiently } from './api.js';
import { badge, element, foreign, moment } from './elements.js';
import { failure } from './failure.js';
import { segments } from './route.js';
import { attempts, duration, explain, runDuration } from './words.js';

// wait is how many seconds a request waits for the run: proxies often give up after 60.
const wait = 50;

// leastPause is the least time between two requests, in milliseconds, for a server that does not
// wait.
const leastPause = 2000;

export async function run(route, { signal, say, title, fail, refresh }) {
  let current = (await ask(segments(route), { signal })).data;
  title(current.runName);
  const details = element('dl', {});
  const state = element('p', { class: 'state', role: 'status' });
  const more = element('div', {});
  let why = {};
  const describe = () => {
    const rows = {
      Status: badge(current.status),
      ...why,
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
  const showFailure = async (news) => {
    if (current.status === 'FAILED') {
      why = await failure(route, signal, more, refresh);
      describe();
      if (news && why.Reason) {
        say(`${news} Reason: ${why.Reason.textContent}.`);
      }
    }
  };
  describe();
  if (current.concluded) {
    showFailure().catch(fail);
  } else {
    const ticking = setInterval(() => {
      details.querySelector('.duration').textContent = runDuration(current, now());
    }, 1000);
    signal.addEventListener('abort', () => clearInterval(ticking));
    const trouble = (text) => {
      state.textContent = text;
    };
    const update = (next) => {
      current = next;
      describe();
      if (current.concluded) {
        clearInterval(ticking);
        const news = `The run has concluded: ${current.status}, after ${runDuration(current, now())}.`;
        say(news);
        showFailure(news).catch(fail);
      }
    };
    watch(route, signal, trouble, update).catch(fail);
  }
  return [details, state, more];
}

// watch asks for the run, one request at a time, until it has concluded or the signal is aborted.
// It does not ask while the tab is hidden. Throws a Refusal if trying again is of no use.
async function watch(route, signal, trouble, update) {
  for (let concluded = false; !concluded; ) {
    await visible();
    signal.throwIfAborted();
    const attempt = new AbortController();
    const leave = () => attempt.abort();
    document.addEventListener('visibilitychange', leave, { signal: attempt.signal });
    signal.addEventListener('abort', leave, { signal: attempt.signal });
    let next = Date.now() + leastPause;
    try {
      const late = (silence) => {
        trouble(`${explain(silence)[0]}. This page asks again.`);
        leave();
      };
      const { data } = await patiently(ask(segments(route), { wait, signal: attempt.signal }), late, wait * 1000);
      update(data);
      concluded = data.concluded;
    } catch (error) {
      signal.throwIfAborted();
      if (!attempt.signal.aborted) {
        if (!error.passes) {
          throw error;
        }
        trouble(`${explain(error)[0]}. This page asks again in ${duration(error.retryAfter)}.`);
        next = Date.now() + error.retryAfter * 1000;
      }
    }
    attempt.abort();
    if (!concluded) {
      await sleep(next - Date.now());
    }
  }
}

// visible waits until the tab is.
async function visible() {
  while (document.hidden) {
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The lists: projects, jobs, and the history of a job. Each returns what the page then shows.
import { ask, now } from './api.js';
import { badge, element, foreign, link, moment, sender, table } from './elements.js';
import { reasonOf } from './failure.js';
import { address, segments } from './route.js';
import { attempts, count, explain, here, runDuration } from './words.js';

const statuses = { '': 'All', RUNNING: 'Running', FAILED: 'Failed', SUCCESS: 'Success' };

// filter offers the list of one status only.
const filter = (route, label) =>
  element(
    'nav',
    { class: 'filter', 'aria-label': label },
    ...Object.entries(statuses).map(([status, word]) =>
      element('a', { href: address({ ...route, status }), 'aria-current': status === route.status && 'true' }, word),
    ),
  );

// loaded says how old a list is, which does not update itself.
const loaded = (refresh) =>
  element(
    'p',
    { class: 'loaded' },
    `As of ${here(new Date(now()).toISOString())} `,
    element('button', { type: 'button', onclick: refresh }, 'Refresh'),
  );

// pages shows a list from its first page on, with a button for the next one. show adds a result to
// what into has, and none is what to say where there is no result.
function pages({ first, next, key, noun, into, show, say, none }) {
  let shown = 0;
  const error = element('p', { class: 'error', role: 'alert' });
  const empty = element('p', { class: 'empty' });
  const button = element('button', { type: 'button', class: 'more' }, 'More');
  const add = (page) => {
    page.data[key].forEach(show);
    shown += page.data[key].length;
    const { cursor } = page.pagination;
    empty.textContent = shown > 0 ? '' : cursor ? `No ${noun} found yet, but there is more to search.` : none;
    empty.hidden = shown > 0;
    into.all.hidden = shown === 0;
    button.hidden = !cursor;
    button.onclick = () => more(cursor);
  };
  const complain = (text) => {
    error.textContent = text;
  };
  const send = sender(button, complain);
  const more = async (cursor) => {
    const before = shown;
    try {
      const page = await send((signal) => next(cursor, signal));
      if (!page) {
        return;
      }
      add(page);
      say(`${count(shown, noun)} shown${button.hidden ? ', that is all' : ''}.`);
    } catch (refusal) {
      if (refusal.name === 'AbortError') {
        return; // the page shows something else
      }
      complain(explain(refusal).join('. '));
    }
    if (!button.hidden) {
      button.focus();
    } else {
      into.body.children[before]?.querySelector('a').focus();
    }
  };
  add(first);
  return [into.all, empty, button, error];
}

export async function projects(route, { until, say, refresh }) {
  const get = (cursor, own) =>
    ask([...segments(route), 'projects'], { query: { per_page: 100, cursor }, signal: until(own) });
  const first = await get();
  const list = element('ul', { class: 'projects' });
  const show = ({ id, name }) =>
    list.append(element('li', {}, link(address({ ...route, projects: id, status: '' }), foreign(name))));
  return [
    ...pages({
      first,
      next: get,
      key: 'projects',
      noun: 'project',
      into: { all: list, body: list },
      show,
      say,
      none: 'No run is recorded that this token may see. "jobrun --project PROJECT --job JOB -- COMMAND" records one.',
    }),
    loaded(refresh),
  ];
}

// named is the badge of a run that links to it. Its name is for those who do not see the row.
const named = (route, run) =>
  link(address({ ...route, runs: run.id, status: '' }), badge(run.status), element('span', { class: 'unseen' }, ' ', foreign(run.runName)));

export async function jobs(route, { until, say, refresh }) {
  const get = (cursor, own) =>
    ask([...segments(route), 'jobs'], {
      query: { per_page: 50, cursor, status: route.status, latestRun: true },
      signal: until(own),
    });
  const [first, failed] = await Promise.all([get(), route.status === 'FAILED' ? failures(route, until, say) : []]);
  const into = table('Jobs, each with its latest run', ['Job', 'Latest run', 'Started', 'Duration', 'Attempts']);
  const show = (job) => {
    const to = { ...route, jobs: job.id, status: '' };
    const run = job.latestRun;
    into.add([
      link(address(to), foreign(job.name)),
      ...(run ? [named(to, run), moment(run.startedAt), runDuration(run, now()), attempts(run)] : ['none', '', '', '']),
    ]);
  };
  const none = route.status ? `No job's latest run is ${route.status}.` : 'This project has no jobs that have run.';
  return [
    filter(route, 'Jobs by the status of their latest run'),
    ...pages({ first, next: get, key: 'jobs', noun: 'job', into, show, say, none }),
    ...failed,
    loaded(refresh),
  ];
}

// failures lists the failed runs of all jobs of the project, each with its reason and its host.
async function failures(route, until, say) {
  const get = (cursor, own) =>
    ask([...segments(route), 'runs'], { query: { per_page: 50, cursor, status: 'FAILED' }, signal: until(own) });
  const first = await get();
  const into = table('Failed runs, the one that started last first', ['Job', 'Run', 'Reason', 'Host', 'Started']);
  const show = (run) => {
    const to = { ...route, jobs: run.jobId, status: '' };
    into.add([
      link(address(to), foreign(run.jobId)),
      named(to, run),
      foreign(reasonOf(run)),
      run.host ? foreign(run.host) : 'not known',
      moment(run.startedAt),
    ]);
  };
  return [
    element('h2', {}, 'Failed runs of all jobs'),
    ...pages({ first, next: get, key: 'runs', noun: 'failed run', into, show, say, none: 'No run has failed.' }),
  ];
}

// barLength is how many runs the bar has.
const barLength = 50;

// bar shows how the latest runs went, the oldest on the left, and says the same in words.
function bar(route, runs) {
  const words = { SUCCESS: 'succeeded', FAILED: 'failed', RUNNING: 'running' };
  const summary = Object.entries(words)
    .map(([status, word]) => [runs.filter((run) => run.status === status).length, status, word])
    .filter(([n]) => n > 0);
  return element(
    'section',
    { class: 'latest', 'aria-label': 'The latest runs' },
    element(
      'p',
      {},
      runs.length === 1 ? 'The only run: ' : `The latest ${runs.length} runs: `,
      ...summary.map(([n, status, word]) =>
        element('span', { class: 'count' }, element('i', { class: status, 'aria-hidden': 'true' }), `${n} ${word}`),
      ),
    ),
    // The table has the same links, for those who use the keyboard or a screen reader.
    element(
      'div',
      { class: 'chart', 'aria-hidden': 'true' },
      element(
        'div',
        { class: 'bar' },
        ...runs.toReversed().map((run) =>
          element('a', {
            href: address({ ...route, runs: run.id, status: '' }),
            class: run.status,
            title: `${run.status}, ${here(run.startedAt)}, ${runDuration(run, now())}`,
            tabindex: '-1',
          }),
        ),
      ),
      runs.length > 5 && element('p', { class: 'ends' }, element('span', {}, 'older'), element('span', {}, 'newer')),
    ),
  );
}

export async function runs(route, { until, say, refresh }) {
  const get = (status) => (cursor, own) =>
    ask([...segments(route), 'runs'], { query: { per_page: barLength, cursor, status }, signal: until(own) });
  const [latest, first] = await Promise.all([get('')(), route.status && get(route.status)()]);
  const into = table('Runs, the one that started last first', ['Run', 'Status', 'Started', 'Duration', 'Attempts']);
  const show = (run) =>
    into.add([
      link(address({ ...route, runs: run.id, status: '' }), foreign(run.runName)),
      badge(run.status),
      moment(run.startedAt),
      runDuration(run, now()),
      attempts(run),
    ]);
  return [
    bar(route, latest.data.runs),
    filter(route, 'Runs by status'),
    ...pages({
      first: first || latest,
      next: get(route.status),
      key: 'runs',
      noun: 'run',
      into,
      show,
      say,
      none: `No run of this job is ${route.status}.`,
    }),
    loaded(refresh),
  ];
}

// Shows what the address names, and asks for a token first.
import { ask, hasToken, patiently, Refusal, setToken } from './api.js';
import { element, foreign, form, link, tick } from './elements.js';
import { jobs, projects, runs } from './lists.js';
import { address, parse } from './route.js';
import { run } from './run.js';
import { explain, printable } from './words.js';

const main = document.querySelector('main');
const path = document.querySelector('#path');
const news = document.querySelector('#news');
const forget = document.querySelector('#forget');

const say = (text) => {
  news.textContent = text;
};

// shown is aborted when the page shows something else.
let shown = new AbortController();
let first = true;

// until returns a signal that is aborted when the page shows something else, or when the other signal is, if there is one.
const until = (other) => (other ? AbortSignal.any([shown.signal, other]) : shown.signal);

// lists are those that the page has shown, by the states of their entries in the history. The page then shows the list of
// entry, or no list if that is null.
const lists = new Map();
const mostLists = 20;
let entry = null;
history.scrollRestoration = 'manual'; // the browser scrolls before the list is there

// keep remembers the list that the page shows.
function keep() {
  if (entry !== null) {
    lists.delete(entry);
    lists.set(entry, { nodes: [...main.childNodes], title: document.title, scroll: scrollY, focus: document.activeElement });
    if (lists.size > mostLists) {
      lists.delete(lists.keys().next().value);
    }
  }
}

// restore shows the list again that the entry in the history had, and reports whether it had one.
function restore() {
  const list = lists.get(history.state);
  if (!list) {
    return false;
  }
  begin(parse(location.hash));
  main.replaceChildren(...list.nodes);
  main.removeAttribute('aria-busy');
  document.title = list.title;
  entry = history.state;
  (main.contains(list.focus) ? list.focus : main.querySelector('h1')).focus({ preventScroll: true });
  scrollTo(0, list.scroll);
  return true;
}

// begin ends what the page has shown, to show the route.
function begin(route) {
  shown.abort();
  shown = new AbortController();
  forget.hidden = !hasToken();
  say('');
  showPath(route);
}

// change stores another token, or none if it is null, which may not see the same lists.
function change(token) {
  setToken(token);
  lists.clear();
  entry = null;
}

// show replaces what the page shows by what the address names.
async function show() {
  const route = parse(location.hash);
  begin(route);
  const { signal } = shown;
  if (!hasToken()) {
    fill('Find a run', askForToken());
    return;
  }
  if (!route) {
    fill('There is no such page', [element('p', {}, 'The address is none of this page.'), link('#/', 'See the projects')]);
    return;
  }
  const fail = (error) => {
    if (signal.aborted) {
      return;
    }
    if (!(error instanceof Refusal)) {
      throw error;
    }
    showRefusal(route, error);
  };
  const [view, heading] = viewOf(route);
  let title = heading;
  if (!main.hasChildNodes()) {
    main.append(element('p', {}, 'Loading…'));
  }
  main.setAttribute('aria-busy', 'true');
  try {
    const content = await patiently(
      view(route, { signal, until, say, fail, refresh, title: (text) => { title = text; } }),
      fail,
    );
    if (!signal.aborted) {
      fill(title, content);
      if (view !== run) {
        history.replaceState(history.state ?? Math.random(), '');
        entry = history.state;
      }
    }
  } catch (error) {
    fail(error);
  }
}

// refresh shows the same again, unless that is under way.
async function refresh() {
  if (!main.hasAttribute('aria-busy')) {
    await show();
    say('Refreshed.');
  }
}

// viewOf returns what shows the route, and its heading.
function viewOf(route) {
  if (route.runs) {
    return [run, route.runs];
  }
  if (route.jobs) {
    return [runs, route.jobs];
  }
  if (route.projects) {
    return [jobs, route.projects];
  }
  return [projects, projectsOf(route.teams)];
}

const projectsOf = (team) => (team ? `Projects of ${team}` : 'Projects');

// fill shows a heading and what follows it. The focus goes to the heading, so that a screen reader
// reads what is new, unless it was on something that is there again.
function fill(heading, content) {
  const again = document.activeElement?.closest('.filter, .loaded')?.className;
  const h1 = element('h1', { tabindex: '-1' }, foreign(heading));
  main.replaceChildren(h1, ...content);
  main.removeAttribute('aria-busy');
  entry = null;
  document.title = `${printable(heading)} - jobruns`;
  const focus = main.querySelector('input') ?? (again && main.querySelector(`.${again} :is(button, [aria-current])`));
  if (focus) {
    focus.focus();
  } else if (!first) {
    scrollTo(0, 0);
    h1.focus();
  }
  first = false;
}

// showPath links to what the route is in: the projects, the project, the job.
function showPath(route) {
  const steps = [];
  if (hasToken() && route?.projects) {
    const { teams, projects: project, jobs: job, runs: id } = route;
    steps.push([projectsOf(teams), { teams }]);
    if (job) {
      steps.push([project, { teams, projects: project }]);
    }
    if (id) {
      steps.push([job, { teams, projects: project, jobs: job }]);
    }
  }
  path.hidden = steps.length === 0;
  path.replaceChildren(
    element('ol', {}, ...steps.map(([name, to]) => element('li', {}, link(address(to), foreign(name))))),
  );
}

// askForToken returns a form that stores the token if the server takes it.
function askForToken(problem) {
  const use = async (text, signal) => {
    // Such a header could not be sent.
    if (!/^[\x21-\x7e]+$/.test(text)) {
      return 'This is no token: it has characters that no token has.';
    }
    try {
      await ask(['login'], { as: text, signal });
    } catch (refusal) {
      signal.throwIfAborted();
      return explain(refusal).join('. ');
    }
    change(text);
    show();
    return '';
  };
  return [
    element('p', {}, problem ?? 'See how the runs of your jobs are doing. It takes a token of this server, which "jobrund token create" makes.'),
    form('Token', 'Continue', { type: 'password' }, use),
    element('p', { class: 'hint' }, 'This tab of the browser remembers it until you close it. It is sent to this server only.'),
  ];
}

// showRefusal says what is wrong and what to do.
function showRefusal(route, refusal) {
  const id = { pattern: '[A-Za-z0-9]([A-Za-z0-9._\\-]*[A-Za-z0-9])?', maxlength: 253, title: 'Letters, digits, ".", "_" and "-"' };
  const goTo = (to) => (text) => {
    location.hash = address(to(text));
  };
  if (refusal.status === 401) {
    change(null);
    forget.hidden = true;
    showPath(route);
    fill('Find a run', askForToken(explain(refusal).join('. ')));
    return;
  }
  if (refusal.needsTeam) {
    fill('Which team?', [
      element('p', {}, `The server says: ${refusal.message}`),
      form('Team', 'Continue', id, goTo((text) => ({ ...route, teams: text }))),
    ]);
    return;
  }
  const [heading, advice] = explain(refusal);
  const content = [element('p', { role: 'alert' }, advice)];
  if (refusal.status === 403 && !route.projects) {
    content.push(form('A project that you know', 'Go to it', id, goTo((text) => ({ ...route, projects: text }))));
  } else if (refusal.passes) {
    content.push(element('button', { type: 'button', onclick: refresh }, 'Try again'));
  }
  if (route.projects || route.teams) {
    content.push(element('p', {}, link('#/', 'See the projects')));
  }
  fill(heading, content);
}

forget.addEventListener('click', () => {
  change(null);
  show();
});
addEventListener('hashchange', () => {
  keep();
  if (!restore()) {
    show();
  }
});
setInterval(tick, 1000);
show();

// The addresses of the page: what follows "#" is a path as the API has it, without "/v1".

const pattern =
  /^#?\/?(?:teams\/(?<teams>[^/]+)\/?)?(?:projects\/?(?:(?<projects>[^/]+)(?:\/jobs\/?(?:(?<jobs>[^/]+)(?:\/runs\/?(?<runs>[^/]+)?)?)?)?)?)?\/?$/;

const kinds = ['teams', 'projects', 'jobs', 'runs'];

// parse returns what an address names, an id for each kind, or null if it is none of the page's.
export function parse(hash) {
  const [path, query] = hash.split('?', 2);
  const found = pattern.exec(path);
  if (!found) {
    return null;
  }
  const route = { status: new URLSearchParams(query).get('status') ?? '' };
  try {
    for (const kind of kinds) {
      if (found.groups[kind]) {
        route[kind] = decodeURIComponent(found.groups[kind]);
      }
    }
  } catch {
    return null; // a % that encodes nothing
  }
  return route;
}

// segments are those of the path in the API to what the route names.
export const segments = (route) => kinds.filter((kind) => route[kind]).flatMap((kind) => [kind, route[kind]]);

// address is that of the route in the page.
export function address(route) {
  const path = `#/${segments(route).map(encodeURIComponent).join('/')}`;
  return route.status ? `${path}?${new URLSearchParams({ status: route.status })}` : path;
}

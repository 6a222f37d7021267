// Calls a method of the official client, such as a list, one page or all of them, and prints what came of it as JSON.
// Standard input: {"host", "token", "method", "all", "parameters", "options"}, where method is a path such as "get.job.runs".
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The client is installed in the current directory, not beside this file.
const require = createRequire(join(process.cwd(), 'index.js'));
const { ApiClient, ApiClientInMemoryContextProvider } = require('@northflank/js-client');

const { host, token, method, all, parameters, options } = JSON.parse(readFileSync(0, 'utf8'));
const contextProvider = new ApiClientInMemoryContextProvider();
contextProvider.addContext({ name: 'test', host, token });
const list = method.split('.').reduce((at, name) => at[name], new ApiClient(contextProvider));

const { data, error, pagination } = await (all ? list.all : list)({ parameters, options });
console.log(JSON.stringify({
  data,
  error,
  hasNextPage: pagination?.hasNextPage ?? false,
  cursor: pagination?.cursor ?? '',
}));

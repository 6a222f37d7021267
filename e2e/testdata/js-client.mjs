// Calls apiClient.get.job.run with the official client, and prints what came of it as JSON.
// Standard input: {"host", "token", "parameters"}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The client is installed in the current directory, not beside this file.
const require = createRequire(join(process.cwd(), 'index.js'));
const { ApiClient, ApiClientInMemoryContextProvider } = require('@northflank/js-client');

const { host, token, parameters } = JSON.parse(readFileSync(0, 'utf8'));
const contextProvider = new ApiClientInMemoryContextProvider();
contextProvider.addContext({ name: 'test', host, token });
const apiClient = new ApiClient(contextProvider);

const { data, error, rawResponse, request } = await apiClient.get.job.run({ parameters });
console.log(JSON.stringify({
  data,
  error,
  status: rawResponse.status,
  contentType: rawResponse.headers.get('content-type'),
  url: request.url,
  method: request.method,
}));

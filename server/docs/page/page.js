// Shows the document of the server that the page comes from, and sends what a person tries to that server.
'use strict';

// By the page's own address, which the server cannot know behind a proxy that takes care of TLS or adds a prefix.
const server = new URL('..', location.href).href.replace(/\/$/, '');

const askThisServer = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (doc) => update({ ...doc, servers: [{ url: server }] }),
      },
    },
  },
});

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: new URL('swagger-json', location.href).href,
  plugins: [askThisServer],
  deepLinking: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  showExtensions: true,
  // Swagger UI would ask its makers' server.
  validatorUrl: null,
});

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

// Swagger UI puts a link into the button that opens an operation, which a screen reader cannot reach. The button changes
// the address, too.
const noLinksInButtons = ({ React }) => ({
  wrapComponents: { DeepLink: () => ({ text }) => React.createElement('span', null, text) },
});

// names are those of controls that have none in Swagger UI, by their selectors.
const names = {
  '#servers': () => 'Server',
  '.close-modal': () => 'Close',
  '.copy-to-clipboard button': () => 'Copy',
  '.body-param textarea': () => 'Request body',
  'tr[data-param-name] :is(input, select, textarea)': (control) => control.closest('tr').dataset.paramName,
};

// complete adds what those need who use the keyboard or a screen reader.
function complete(page) {
  for (const [selector, name] of Object.entries(names)) {
    for (const control of page.querySelectorAll(`:is(${selector}):not([aria-label])`)) {
      control.setAttribute('aria-label', name(control));
    }
  }
  for (const button of page.querySelectorAll('.auth-btn-wrapper [aria-label]')) {
    button.removeAttribute('aria-label'); // it differs from the text that the button shows
  }
  for (const scrolled of page.querySelectorAll('pre:not([tabindex])')) {
    scrolled.tabIndex = 0;
  }
}

const page = document.querySelector('#swagger-ui');
new MutationObserver(() => complete(page)).observe(page, { childList: true, subtree: true });

SwaggerUIBundle({
  domNode: page,
  url: new URL('swagger-json', location.href).href,
  plugins: [askThisServer, noLinksInButtons],
  deepLinking: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  showExtensions: true,
  syntaxHighlight: { theme: 'obsidian' }, // the colours of the default theme are too pale
  // Swagger UI would ask its makers' server.
  validatorUrl: null,
});

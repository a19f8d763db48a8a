// Hosts a real oidc-provider for the tests: node server.mjs <folder with node_modules> <port>
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, port] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(folder, 'x.js')));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  scopes: ['tickets:read', 'tickets:write', 'reports:read', 'admin'],
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  // Stands for a server with a will of its own: what somebody writes there is the secret from then on.
  extraClientMetadata: {
    properties: ['x_secret'],
    validator(_, name, value, client) {
      if (name !== 'x_secret' || !value) return;
      client.client_secret = value;
      client.x_secret = undefined;
    },
  },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'ES384', 'EdDSA', 'RS256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true, initialAccessToken: 'initial' },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
  },
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

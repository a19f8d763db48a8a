// Hosts a real oidc-provider for the tests:
// node server.mjs <folder with node_modules> <port> [<file that gets every secret it is asked with or gives>]
// OIDC_ISSUER: its address where it stands behind another one. OIDC_KEEPS_TOKENS: a registration token
// stays what it is when it was used.
import { appendFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, port, told] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(folder, 'x.js')));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const { OIDC_ISSUER, OIDC_KEEPS_TOKENS } = process.env;
const issuer = OIDC_ISSUER ?? `http://127.0.0.1:${port}`;

// OIDC_REISSUES: what makes it give a client another secret. `omitted`: an update without the one that is
// there. `method`: a way to sign in that comes back.
const reissues = (ctx, client) => {
  if (ctx?.method !== 'PUT' || client.token_endpoint_auth_method === 'none') return false;
  if (!ctx.oidc.client.clientSecret) return false;
  switch (process.env.OIDC_REISSUES) {
    case 'omitted': return !('client_secret' in ctx.oidc.body);
    case 'method': return ctx.oidc.client.clientAuthMethod === 'none';
    default: return false;
  }
};

const provider = new Provider(issuer, {
  scopes: ['tickets:read', 'tickets:write', 'reports:read', 'admin'],
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  // Stands for a server with a will of its own: what somebody writes there is the secret from then on.
  extraClientMetadata: {
    properties: ['x_secret', 'x_token_ttl'],
    validator(ctx, name, value, client) {
      if (name !== 'x_secret') return;
      if (reissues(ctx, client)) client.client_secret = randomBytes(32).toString('base64url');
      if (!value) return;
      client.client_secret = value;
      client.x_secret = undefined;
    },
  },
  ttl: { ClientCredentials: (_, token, client) => client.x_token_ttl ?? 600 },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'ES384', 'EdDSA', 'RS256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true, initialAccessToken: 'initial' },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: !OIDC_KEEPS_TOKENS },
  },
});
if (told) {
  const SECRET = ['access_token', 'registration_access_token', 'client_secret', 'client_assertion'];
  const keep = (members) => {
    const found = SECRET.map((name) => members?.[name]).filter((one) => typeof one === 'string');
    if (found.length) appendFileSync(told, `${found.join('\n')}\n`);
  };
  provider.use(async (ctx, next) => {
    await next();
    keep(ctx.oidc?.body);
    keep(ctx.body);
  });
}
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

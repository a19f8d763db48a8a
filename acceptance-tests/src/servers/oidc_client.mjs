// An application of the tests, which shares no code with ours: reads { issuer, document, scope } from
// standard input, signs in with what the document holds, and prints the server's status and answer.
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const { issuer, document, scope } = JSON.parse(readFileSync(0, 'utf8'));
const form = new URLSearchParams({ grant_type: 'client_credentials', scope });
const headers = {};
if (document.private_key) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: document.client_id,
    sub: document.client_id,
    aud: issuer,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(claims)}`;
  const key = createPrivateKey(document.private_key);
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  form.set('client_id', document.client_id);
  form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  form.set('client_assertion', `${signed}.${signature.toString('base64url')}`);
} else {
  const pair = [document.client_id, document.client_secret].map(encodeURIComponent).join(':');
  headers.Authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
}
const answer = await fetch(`${issuer}/token`, { method: 'POST', headers, body: form });
console.log(JSON.stringify({ status: answer.status, json: await answer.json() }));

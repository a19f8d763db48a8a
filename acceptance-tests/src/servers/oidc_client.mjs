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
  const key = createPrivateKey(document.private_key);
  const kind = key.asymmetricKeyDetails.namedCurve ?? key.asymmetricKeyType;
  const [alg, hash] = {
    prime256v1: ['ES256', 'sha256'],
    secp384r1: ['ES384', 'sha384'],
    ed25519: ['EdDSA', null],
  }[kind];
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
  const signature = sign(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  form.set('client_id', document.client_id);
  form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  form.set('client_assertion', `${signed}.${signature.toString('base64url')}`);
} else if (document.method === 'client_secret_post') {
  form.set('client_id', document.client_id);
  form.set('client_secret', document.client_secret);
} else {
  const pair = [document.client_id, document.client_secret].map(encodeURIComponent).join(':');
  headers.Authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
}
const answer = await fetch(`${issuer}/token`, { method: 'POST', headers, body: form });
console.log(JSON.stringify({ status: answer.status, json: await answer.json() }));

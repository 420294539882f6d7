// Limits of types, retired types, and tokens of a type that the service does not know.

import assert from 'node:assert/strict';

import { pageTest } from './harness/page_test.mjs';

const path = (request) => new URL(request.url()).pathname;
const day = 86_400;

/** Answers a request as the service does, after `change` of the JSON. */
async function changed(request, change) {
  const answer = await fetch(request.url(), { headers: request.headers() });
  const body = await answer.json();
  change(body);
  return { status: answer.status, contentType: 'application/json', headers: { 'Cache-Control': 'no-store' }, body: JSON.stringify(body) };
}

pageTest('a token of an unknown type is unusable', {
  before: (service) => service.issue('developer', 'Ada’s laptop'),
}, async ({ user, visit }) => {
  await visit.intercept((request) => path(request) === '/tokens' && changed(request, ({ tokens }) => {
    Object.assign(tokens.find(({ type }) => type === 'developer'), { usable: false, unusable_reason: 'unknown_type' });
  }));
  await user.click('button', 'Refresh');
  await user.rows((rows) => rows.some(({ State }) => /Unusable\s*unknown type/.test(State)));
  const rows = await user.rows();
  assert.deepEqual(rows.filter(({ State }) => State !== 'Active').map((row) => row['Issued To']), ['Ada’s laptop']);
  // It cannot be rotated, and it can be revoked.
  assert.equal(await user.has('button', /^Rotate.*Ada/), false);
  assert.equal(await user.has('button', /^Revoke.*Ada/), true);
  await user.click('button', /^Details.*Ada/);
  await user.waitForText(/no type “developer”/);
});

pageTest('the lifetimes on offer are those of the type', { signedIn: false }, async ({ user, visit, signIn }) => {
  await visit.intercept((request) => path(request) === '/token-types' && changed(request, ({ types }) => {
    const developer = types.find(({ name }) => name === 'developer');
    Object.assign(developer, { default_lifetime: 7 * day, max_lifetime: 30 * day });
    types.push({ ...developer, name: 'partner', retired: true });
  }));
  await signIn();
  await user.find('table');
  await user.click('button', /Create New/);
  const offered = async (role, label) => {
    const group = await user.find(role, label);
    return (await user.all('radio', /(?:)/, group)).map((radio) => radio.name);
  };
  const isChosen = async (name) => (await user.find('radio', name)).property('checked');
  assert.equal((await offered('radiogroup', 'Type')).some((name) => /^Partner/.test(name)), false, 'a retired type is not offered');
  await user.click('radio', /^Connector/);
  await user.click('radio', '1 year');
  await user.click('radio', /^Developer/);
  assert.deepEqual(await offered('group', 'Set Expiration Time'), ['7 days', '30 days', 'Custom date']);
  // The year is not on offer, so the default of the type is chosen.
  assert.equal(await isChosen('7 days'), true);
  await user.click('radio', '30 days');
  await user.click('radio', /^Connector/);
  assert.equal(await isChosen('30 days'), true);
});

// Errors are sentences with a way on.

import assert from 'node:assert/strict';

import { copyAndClose, shown } from './acts.mjs';
import { scene } from './scene.mjs';

const unavailable = {
  status: 503,
  contentType: 'application/problem+json',
  headers: { 'Retry-After': '1', 'Cache-Control': 'no-store' },
  body: JSON.stringify({ type: 'urn:service-tokens:problem:store-unavailable', title: 'Service Unavailable', status: 503, detail: 'the token store did not answer' }),
};
const path = (request) => new URL(request.url()).pathname;

scene('the store is unavailable: a sentence, and trying again works', {}, async ({ person, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request) === '/tokens' ? unavailable : null));
  await person.choose('Order', 'Oldest first');
  await person.alert(/unavailable/);
  await person.click('button', /Try again|Retry/);
  await person.alert(/unavailable/);
  await heal();
  await person.click('button', /Try again|Retry/);
  await person.gone('button', /Try again|Retry/);
  await person.rows((rows) => rows.length === 2);
  assert.equal(await person.sees('alert', /unavailable/), false);
});

scene('the store is unavailable when signing in', { signedIn: false }, async ({ person, visit, signIn }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request).startsWith('/token') ? unavailable : null));
  await signIn();
  await person.alert(/unavailable/);
  await heal();
  await signIn();
  await person.rows((rows) => rows.length === 2);
});

scene('the store is unavailable when revoking: nothing is revoked, OK again revokes', {}, async ({ service, person, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (request.method() === 'POST' ? unavailable : null));
  await person.click('button', 'Revoke the first example');
  await person.click('button', 'OK');
  await person.alert(/unavailable/);
  assert.equal((await service.list()).length, 2);
  await heal();
  await person.click('button', 'OK');
  await person.gone('alertdialog');
  assert.equal((await service.list()).length, 1);
});

scene('the server cannot be reached: a sentence, and trying again works', {}, async ({ person, visit }) => {
  visit.expect(/ERR_CONNECTION_RESET/);
  const heal = await visit.intercept(() => 'lost');
  await person.choose('Order', 'Oldest first');
  await person.alert(/could not be reached/);
  await heal();
  await person.click('button', /Try again|Retry/);
  await person.rows((rows) => rows.length === 2);
});

// The request never arrives, or arrives and the answer is lost: the person cannot tell which.
for (const arrives of [false, true]) {
  scene(`the connection breaks on creating (the request ${arrives ? 'arrived' : 'was lost'}): no second token`, {}, async ({ service, person, visit }) => {
    visit.expect(/ERR_CONNECTION_RESET/, /status of 409/);
    let tries = 0;
    const keys = new Set();
    await visit.intercept(async (request) => {
      if (request.method() !== 'POST' || path(request) !== '/tokens') return null;
      keys.add(request.headers()['idempotency-key']);
      tries += 1;
      if (tries > 1) return null;
      if (arrives) {
        const { host, connection, ...headers } = request.headers();
        const answer = await fetch(request.url(), { method: 'POST', headers, body: request.postData() });
        assert.equal(answer.status, 201);
      }
      return 'lost';
    });
    await person.click('button', /Create New/);
    await person.fill('textbox', 'Issued To', 'Only one');
    await person.click('button', 'Create');
    await person.alert(/did not arrive.*cannot make a second one/s);
    await person.click('button', 'Create');
    if (arrives) {
      // The token is there and nobody has its secret: rotating gives one.
      await person.alert(/was created.*lost.*Choose Rotate/s);
      await person.click('button', 'Rotate');
      await person.find('dialog', /^Rotate .*Only one/);
      await person.click('button', 'Rotate');
    }
    const { token } = await shown(person, arrives ? 'Token rotated' : 'Token created');
    await copyAndClose(person);
    assert.equal(tries, 2);
    assert.equal(keys.size, 1, 'both tries had the same key');
    assert.equal((await service.list('issued_to=Only%20one&state=all')).length, 1);
    assert.equal(await service.upload(token), 201);
  });
}

// As a proxy answers for a server that took too long: the request has arrived, its answer is dropped.
const inItsPlace = (status) => async (request) => {
  if (request.method() !== 'POST') return null;
  const { host, connection, ...headers } = request.headers();
  const answer = await fetch(request.url(), { method: 'POST', headers, body: request.postData() });
  assert.ok(answer.ok || answer.status === 409, `${answer.status}`);
  return { status, contentType: 'text/html', body: '<h1>Sorry</h1>' };
};

scene('a proxy answers in the server’s place on creating: no second token', { timeout: 90_000 }, async ({ service, person, visit }) => {
  visit.expect(/status of (408|409|50[0234])/);
  for (const status of [500, 502, 503, 504, 408]) {
    const name = `Only one, ${status}`;
    const heal = await visit.intercept(inItsPlace(status));
    await person.click('button', /Create New/);
    await person.fill('textbox', 'Issued To', name);
    await person.click('button', 'Create');
    await person.alert(/not known whether the token was created.*cannot make a second one/s);
    await heal();
    await person.click('button', 'Create');
    await person.alert(/was created.*lost.*Choose Rotate/s);
    await person.click('button', 'Cancel');
    await person.gone('dialog');
    assert.equal((await service.list(`issued_to=${encodeURIComponent(name)}&state=all`)).length, 1, name);
    await person.rows((rows) => rows.some((row) => row['Issued To'] === name));
  }
});

scene('a proxy answers in the server’s place on rotating and revoking: trying again is right', {}, async ({ service, person, visit }) => {
  visit.expect(/status of (409|502)/);
  const { id, token: first } = await service.issue('connector', 'Nightly backup');
  await person.click('button', 'Refresh');
  let heal = await visit.intercept(inItsPlace(502));
  await person.click('button', 'Rotate Nightly backup');
  await person.click('button', 'Rotate');
  await person.alert(/not known whether the token was rotated/);
  await heal();
  await person.click('button', 'Rotate');
  const { token } = await shown(person, 'Token rotated');
  await copyAndClose(person);
  assert.deepEqual([await service.upload(first), await service.upload(token)], [401, 201]);

  heal = await visit.intercept(inItsPlace(502));
  await person.click('button', 'Revoke Nightly backup');
  await person.click('button', 'OK');
  await person.alert(/not known whether the token was revoked/);
  await heal();
  await person.click('button', 'OK');
  await person.gone('alertdialog');
  await person.says(/Revoked Nightly backup/);
  assert.equal((await service.api('GET', `tokens/${id}`)).state, 'revoked');
});

scene('no rows of other filters stay beside filters that could not be read', {}, async ({ person, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request) === '/tokens' ? unavailable : null));
  // The same ones read anew: they still are what the filters say.
  await person.click('button', 'Refresh');
  await person.alert(/unavailable/);
  assert.equal((await person.rows()).length, 2);
  await person.choose('State', 'Revoked');
  await person.gone('table');
  await person.alert(/unavailable/);
  assert.deepEqual(await person.all('button', /^(Revoke|Rotate|Details) /), []);
  assert.doesNotMatch(await person.text(), /Nothing matches|No other/);
  await heal();
  await person.click('button', /Try again/);
  await person.says(/Nothing matches/);
  await person.choose('State', 'Active');
  await person.rows((rows) => rows.length === 2);
});

scene('issuing is paused: the sentence says why', {}, async ({ person, visit }) => {
  visit.expect(/status of 503/);
  await visit.intercept((request) => request.method() === 'POST' && path(request) === '/tokens' && {
    ...unavailable,
    body: JSON.stringify({ type: 'urn:service-tokens:problem:issuing-paused', title: 'Issuing is paused', status: 503, reason: 'an incident is being looked into' }),
  });
  await person.click('button', /Create New/);
  await person.fill('textbox', 'Issued To', 'Nobody');
  await person.click('button', 'Create');
  await person.alert(/Issuing is paused: an incident is being looked into/);
});

scene('an impatient person who chooses Create twice gets one token', {}, async ({ service, person, page, visit }) => {
  await visit.intercept(async (request) => {
    // Long enough for the second click.
    if (request.method() === 'POST') await new Promise((resolve) => setTimeout(resolve, 300));
    return null;
  });
  await person.click('button', /Create New/);
  await person.fill('textbox', 'Issued To', 'Only one');
  const button = await person.find('button', 'Create');
  await button.click();
  await button.click();
  await page.keyboard.press('Enter');
  await shown(person, 'Token created');
  await copyAndClose(person);
  assert.equal((await service.list('issued_to=Only%20one&state=all')).length, 1);
});

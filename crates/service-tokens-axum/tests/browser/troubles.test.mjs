// Errors are sentences with a remedy.

import assert from 'node:assert/strict';

import { copyAndClose, shown } from './harness/steps.mjs';
import { pageTest } from './harness/page_test.mjs';

const unavailable = {
  status: 503,
  contentType: 'application/problem+json',
  headers: { 'Retry-After': '1', 'Cache-Control': 'no-store' },
  body: JSON.stringify({ type: 'urn:service-tokens:problem:store-unavailable', title: 'Service Unavailable', status: 503, detail: 'the token store did not answer' }),
};
const path = (request) => new URL(request.url()).pathname;

pageTest('a failing store is explained until it works', {}, async ({ user, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request) === '/tokens' ? unavailable : null));
  await user.choose('Order', 'Oldest first');
  await user.alert(/unavailable/);
  await user.click('button', /Try again|Retry/);
  await user.alert(/unavailable/);
  await heal();
  await user.click('button', /Try again|Retry/);
  await user.waitUntilGone('button', /Try again|Retry/);
  await user.rows((rows) => rows.length === 2);
  assert.equal(await user.has('alert', /unavailable/), false);
});

pageTest('signing in during a store failure explains it', { signedIn: false }, async ({ user, visit, signIn }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request).startsWith('/token') ? unavailable : null));
  await signIn();
  await user.alert(/unavailable/);
  await heal();
  await signIn();
  await user.rows((rows) => rows.length === 2);
});

pageTest('a failed revocation can be repeated', {}, async ({ service, user, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (request.method() === 'POST' ? unavailable : null));
  await user.click('button', 'Revoke the first example');
  await user.click('button', 'OK');
  await user.alert(/unavailable/);
  assert.equal((await service.list()).length, 2);
  await heal();
  await user.click('button', 'OK');
  await user.waitUntilGone('alertdialog');
  assert.equal((await service.list()).length, 1);
});

pageTest('an unreachable server is explained', {}, async ({ user, visit }) => {
  visit.expect(/ERR_CONNECTION_RESET/);
  const heal = await visit.intercept(() => 'lost');
  await user.choose('Order', 'Oldest first');
  await user.alert(/could not be reached/);
  await heal();
  await user.click('button', /Try again|Retry/);
  await user.rows((rows) => rows.length === 2);
});

// Either the request or its answer is lost, and the user cannot know which.
for (const arrives of [false, true]) {
  pageTest(`a lost ${arrives ? 'answer' : 'request'} creates no second token`, {}, async ({ service, user, visit }) => {
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
    await user.click('button', /Create New/);
    await user.fill('textbox', 'Issued To', 'Only one');
    await user.click('button', 'Create');
    await user.alert(/did not arrive.*cannot create a second token/s);
    await user.click('button', 'Create');
    if (arrives) {
      // The token exists, but its secret was lost: rotating creates one.
      await user.alert(/was created.*lost.*Choose Rotate/s);
      await user.click('button', 'Rotate');
      await user.find('dialog', /^Rotate .*Only one/);
      await user.click('button', 'Rotate');
    }
    const { token } = await shown(user, arrives ? 'Token rotated' : 'Token created');
    await copyAndClose(user);
    assert.equal(tries, 2);
    assert.equal(keys.size, 1, 'both tries had the same key');
    assert.equal((await service.list('issued_to=Only%20one&state=all')).length, 1);
    assert.equal(await service.upload(token), 201);
  });
}

// As a proxy answers after a timeout: the request has arrived, and its answer is dropped.
const inItsPlace = (status) => async (request) => {
  if (request.method() !== 'POST') return null;
  const { host, connection, ...headers } = request.headers();
  const answer = await fetch(request.url(), { method: 'POST', headers, body: request.postData() });
  assert.ok(answer.ok || answer.status === 409, `${answer.status}`);
  return { status, contentType: 'text/html', body: '<h1>Sorry</h1>' };
};

pageTest('a proxy error on Create makes no second token', { timeout: 90_000 }, async ({ service, user, visit }) => {
  visit.expect(/status of (408|409|50[0234])/);
  for (const status of [500, 502, 503, 504, 408]) {
    const name = `Only one, ${status}`;
    const heal = await visit.intercept(inItsPlace(status));
    await user.click('button', /Create New/);
    await user.fill('textbox', 'Issued To', name);
    await user.click('button', 'Create');
    await user.alert(/unknown whether the token was created.*cannot create a second token/s);
    await heal();
    await user.click('button', 'Create');
    await user.alert(/was created.*lost.*Choose Rotate/s);
    await user.click('button', 'Cancel');
    await user.waitUntilGone('dialog');
    assert.equal((await service.list(`issued_to=${encodeURIComponent(name)}&state=all`)).length, 1, name);
    await user.rows((rows) => rows.some((row) => row['Issued To'] === name));
  }
});

pageTest('a proxy error on rotate or revoke is retried', {}, async ({ service, user, visit }) => {
  visit.expect(/status of (409|502)/);
  const { id, token: first } = await service.issue('connector', 'Nightly backup');
  await user.click('button', 'Refresh');
  let heal = await visit.intercept(inItsPlace(502));
  await user.click('button', 'Rotate Nightly backup');
  await user.click('button', 'Rotate');
  await user.alert(/unknown whether the token was rotated/);
  await heal();
  await user.click('button', 'Rotate');
  const { token } = await shown(user, 'Token rotated');
  await copyAndClose(user);
  assert.deepEqual([await service.upload(first), await service.upload(token)], [401, 201]);

  heal = await visit.intercept(inItsPlace(502));
  await user.click('button', 'Revoke Nightly backup');
  await user.click('button', 'OK');
  await user.alert(/unknown whether the token was revoked/);
  await heal();
  await user.click('button', 'OK');
  await user.waitUntilGone('alertdialog');
  await user.waitForText(/Revoked Nightly backup/);
  assert.equal((await service.api('GET', `tokens/${id}`)).state, 'revoked');
});

pageTest('a failed filter removes the old rows', {}, async ({ user, visit }) => {
  visit.expect(/status of 503/);
  const heal = await visit.intercept((request) => (path(request) === '/tokens' ? unavailable : null));
  // Reading the same filters again does not remove the rows.
  await user.click('button', 'Refresh');
  await user.alert(/unavailable/);
  assert.equal((await user.rows()).length, 2);
  await user.choose('State', 'Revoked');
  await user.waitUntilGone('table');
  await user.alert(/unavailable/);
  assert.deepEqual(await user.all('button', /^(Revoke|Rotate|Details) /), []);
  assert.doesNotMatch(await user.text(), /Nothing matches|No other/);
  await heal();
  await user.click('button', /Try again/);
  await user.waitForText(/Nothing matches/);
  await user.choose('State', 'Active');
  await user.rows((rows) => rows.length === 2);
});

pageTest('paused issuing shows the reason', {}, async ({ user, visit }) => {
  visit.expect(/status of 503/);
  await visit.intercept((request) => request.method() === 'POST' && path(request) === '/tokens' && {
    ...unavailable,
    body: JSON.stringify({ type: 'urn:service-tokens:problem:issuing-paused', title: 'Issuing is paused', status: 503, reason: 'an incident is being looked into' }),
  });
  await user.click('button', /Create New/);
  await user.fill('textbox', 'Issued To', 'Nightly export');
  await user.click('button', 'Create');
  await user.alert(/Issuing is paused: an incident is being looked into/);
});

pageTest('choosing Create twice makes one token', {}, async ({ service, user, page, visit }) => {
  await visit.intercept(async (request) => {
    // Long enough for the second click.
    if (request.method() === 'POST') await new Promise((resolve) => setTimeout(resolve, 300));
    return null;
  });
  await user.click('button', /Create New/);
  await user.fill('textbox', 'Issued To', 'Only one');
  const button = await user.find('button', 'Create');
  await button.click();
  await button.click();
  await page.keyboard.press('Enter');
  await shown(user, 'Token created');
  await copyAndClose(user);
  assert.equal((await service.list('issued_to=Only%20one&state=all')).length, 1);
});

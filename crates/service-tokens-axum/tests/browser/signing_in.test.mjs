// Signing in with a manager token, and the places that must not contain it afterwards.

import assert from 'node:assert/strict';

import { secretOf } from './harness/steps.mjs';
import { countInHeap } from './harness/heap.mjs';
import { pageTest } from './harness/page_test.mjs';
import { assertNothingStored, findTraces } from './harness/traces.mjs';

const refused = /status of 40[13]/;

pageTest('signing in with a bad token explains why', { signedIn: false }, async ({ service, visit, user, signIn }) => {
  visit.expect(refused);
  await user.find('heading', 'Service Tokens');
  assert.equal(await (await user.find('textbox', 'Manager token')).attribute('type'), 'password');

  await signIn('not-a-token');
  await user.alert(/not an active token/);

  await signIn('');
  await user.alert(/Paste/);

  const second = await service.issue('manager', 'second manager');
  await service.revoke(second.id);
  await signIn(second.token);
  await user.alert(/not an active token/);

  const connector = await service.issue('connector', 'Nightly backup');
  await signIn(connector.token);
  await user.alert(/lacks the scope service-tokens:read/);
  assert.deepEqual(await user.all('table'), []);

  await signIn();
  await user.find('table');
});

pageTest('signing in accepts a pasted header line', { signedIn: false }, async ({ service, user, signIn }) => {
  await signIn(`Authorization: Bearer ${service.manager}`);
  await user.rows((rows) => rows.length > 0);
});

pageTest('a reload asks for the token again', {}, async ({ service, page, user, signIn, visit }) => {
  // The heap contains the token while signed in, so the search below can find it.
  const during = await countInHeap(visit.client, { manager: secretOf(service.manager) });
  assert.ok(during.manager > 0, 'the manager token is in memory while signed in');
  assert.deepEqual(await findTraces(page, service.manager), []);

  await page.reload();
  await user.find('textbox', 'Manager token');
  await user.waitUntilGone('table');
  await assertNothingStored(page);

  // Going back in the history does not sign in either.
  await signIn();
  await user.find('table');
  // The browser requests an icon, which this page does not have.
  visit.expect(/status of 404/);
  await page.goto(`${service.address}/healthz`);
  await page.goBack();
  await user.find('textbox', 'Manager token');
  await user.waitUntilGone('table');
});

pageTest('signing out removes the token', {}, async ({ service, page, user, visit }) => {
  // Some requests first, so that the token has been in their headers.
  await user.choose('Order', 'Oldest first');
  await user.choose('State', 'All');
  await user.rows();
  await user.click('button', 'Sign out');
  await user.find('textbox', 'Manager token');
  await user.waitUntilGone('table');
  assert.equal(await user.read('textbox', 'Manager token'), '');
  await assertNothingStored(page);
  assert.deepEqual(await findTraces(page, service.manager), []);
  await user.releaseObjects();
  assert.deepEqual(await countInHeap(visit.client, { manager: secretOf(service.manager) }), { manager: 0 });
});

pageTest('a revoked manager token leads to signing in', {}, async ({ service, user, visit, signIn }) => {
  visit.expect(refused);
  const other = await service.issue('manager', 'the colleague');
  await service.api('POST', 'tokens/self/revoke');
  await user.choose('Order', 'Oldest first');
  await user.alert(/manager token was revoked/);
  await user.waitUntilGone('table');
  await signIn(other.token);
  await user.find('table');
});

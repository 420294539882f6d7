// Signing in with a manager token, and what is left of it afterwards.

import assert from 'node:assert/strict';

import { secretOf } from './acts.mjs';
import { inHeap } from './heap.mjs';
import { scene } from './scene.mjs';
import { nothingStored, traces } from './traces.mjs';

const refused = /status of 40[13]/;

scene('a wrong token, a revoked one and one without the scope are refused with a sentence', { signedIn: false }, async ({ service, visit, person, signIn }) => {
  visit.expect(refused);
  await person.find('heading', 'Service Tokens');
  assert.equal(await (await person.find('textbox', 'Manager token')).attribute('type'), 'password');

  await signIn('not-a-token');
  await person.alert(/not an active token/);

  await signIn('');
  await person.alert(/Paste/);

  const second = await service.issue('manager', 'second manager');
  await service.revoke(second.id);
  await signIn(second.token);
  await person.alert(/not an active token/);

  const connector = await service.issue('connector', 'Nightly backup');
  await signIn(connector.token);
  await person.alert(/lacks the scope service-tokens:read/);
  assert.deepEqual(await person.all('table'), []);

  await signIn();
  await person.find('table');
});

scene('the whole header line may be pasted too', { signedIn: false }, async ({ service, person, signIn }) => {
  await signIn(`Authorization: Bearer ${service.manager}`);
  await person.rows((rows) => rows.length > 0);
});

scene('a reload asks again, and nothing stores the token', {}, async ({ service, page, person, signIn, visit }) => {
  // The page holds it while signed in, or the search below would prove nothing.
  const during = await inHeap(visit.client, { manager: secretOf(service.manager) });
  assert.ok(during.manager > 0, 'the manager token is in memory while signed in');
  assert.deepEqual(await traces(page, service.manager), []);

  await page.reload();
  await person.find('textbox', 'Manager token');
  await person.gone('table');
  await nothingStored(page);

  // Going back in the history is no way in either.
  await signIn();
  await person.find('table');
  // A text has no icon, for which the browser asks.
  visit.expect(/status of 404/);
  await page.goto(`${service.address}/healthz`);
  await page.goBack();
  await person.find('textbox', 'Manager token');
  await person.gone('table');
});

scene('signing out forgets the token', {}, async ({ service, page, person, visit }) => {
  // Some work first, so that the token has been through requests.
  await person.choose('Order', 'Oldest first');
  await person.choose('State', 'All');
  await person.rows();
  await person.click('button', 'Sign out');
  await person.find('textbox', 'Manager token');
  await person.gone('table');
  assert.equal(await person.read('textbox', 'Manager token'), '');
  await nothingStored(page);
  assert.deepEqual(await traces(page, service.manager), []);
  await person.letGo();
  assert.deepEqual(await inHeap(visit.client, { manager: secretOf(service.manager) }), { manager: 0 });
});

scene('the manager token revoked meanwhile leads back to signing in', {}, async ({ service, person, visit, signIn }) => {
  visit.expect(refused);
  const other = await service.issue('manager', 'the colleague');
  await service.api('POST', 'tokens/self/revoke');
  await person.choose('Order', 'Oldest first');
  await person.alert(/manager token was revoked/);
  await person.gone('table');
  await signIn(other.token);
  await person.find('table');
});

// The token is shown once: closing asks first, and removes the token everywhere.

import assert from 'node:assert/strict';

import { copyAndClose, create, secretOf, shown } from './harness/steps.mjs';
import { countInHeap } from './harness/heap.mjs';
import { pageTest } from './harness/page_test.mjs';
import { assertNothingStored, findTraces } from './harness/traces.mjs';

pageTest('closing an uncopied token asks first', {}, async ({ user }) => {
  const { token } = await create(user, 'Connector', 'Nightly backup');
  const asked = async () => {
    await user.find('heading', 'You have not copied the token.');
    assert.equal(await user.has('textbox', 'Token'), false);
    assert.deepEqual(await user.focused(), { role: 'button', name: 'Back' });
    await user.click('button', 'Back');
    await user.waitUntilGone('heading', 'You have not copied the token.');
    assert.equal(await user.read('textbox', 'Token'), token, 'it is still shown');
  };
  await user.click('button', 'Close');
  await asked();
  await user.press('Escape');
  await asked();
  // Browsers limit how often a page may refuse to close; after that it must still ask.
  for (let i = 0; i < 6; i += 1) await user.press('Escape');
  assert.equal(await user.has('dialog'), true, 'Escape again and again closes nothing');
  if (await user.has('button', 'Back')) await user.click('button', 'Back');

  await user.click('button', 'Close');
  await user.click('button', 'Close without copying');
  await user.waitUntilGone('dialog');
  await user.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
});

pageTest('closing a copied token does not ask', {}, async ({ user }) => {
  await create(user, 'Connector', 'By button');
  await copyAndClose(user);
  await create(user, 'Connector', 'By Escape');
  await user.click('button', 'Copy header line');
  await user.waitForText(/copied/i);
  await user.press('Escape');
  await user.waitUntilGone('dialog');
  // Selected and copied with the keyboard.
  await create(user, 'Connector', 'By hand');
  const field = await user.find('textbox', 'Token');
  await field.click();
  await user.page.keyboard.down('Control');
  await user.page.keyboard.press('a', { commands: ['SelectAll'] });
  await user.page.keyboard.press('c', { commands: ['Copy'] });
  await user.page.keyboard.up('Control');
  await user.press('Escape');
  await user.waitUntilGone('dialog');
});

pageTest('reloading an uncopied token asks first', {}, async ({ page, user }) => {
  const asked = [];
  page.on('dialog', (dialog) => asked.push(dialog.type()));
  await create(user, 'Connector', 'Nightly backup');
  await page.reload();
  assert.deepEqual(asked, ['beforeunload']);
});

const refused = { status: 401, contentType: 'application/problem+json', body: '{}' };

pageTest('a late answer leaves the shown token in place', { before: (service) => service.issue('connector', 'Nightly backup') }, async ({ service, user, visit }) => {
  const release = await visit.hold('GET', '/token-types');
  await user.click('button', /Create New/);
  await user.find('dialog', 'Create New');
  await user.click('button', 'Cancel');
  await user.click('button', 'Rotate Nightly backup');
  await user.click('button', 'Rotate');
  const { token } = await shown(user, 'Token rotated');
  const answered = visit.page.waitForResponse((answer) => answer.url().endsWith('/token-types'));
  release();
  await answered;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual((await user.all('dialog')).map((dialog) => dialog.name), ['Token rotated']);
  assert.equal(await user.read('textbox', 'Token'), token);
  await copyAndClose(user);
  assert.equal(await service.upload(token), 201);
});

pageTest('an ended session leaves the shown token', {}, async ({ user, page, visit }) => {
  visit.expect(/status of 401/);
  const release = await visit.hold('GET', '/tokens');
  await user.click('button', 'Refresh');
  const { token } = await create(user, 'Connector', 'Nightly backup');
  release(refused);
  assert.ok(await user.until(() => page.evaluate(() => document.getElementById('manager-token') !== null)), 'signed out');
  assert.equal(await user.read('textbox', 'Token'), token);
  await user.click('button', 'Close');
  await user.click('button', 'Back');
  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  assert.equal(await visit.paste(), token);
  await user.click('button', 'Close');
  await user.alert(/manager token was revoked/);
  assert.deepEqual(await user.focused(), { role: 'textbox', name: 'Manager token' });
  const [field] = await user.all('textbox', 'Manager token');
  assert.match(field.described, /manager token was revoked/, 'who cannot see it hears it');
  assert.deepEqual(await findTraces(page, secretOf(token)), []);
});

pageTest('a dialog closed by the browser opens again', {}, async ({ user, page }) => {
  const { token } = await create(user, 'Connector', 'Nightly backup');
  // As the second Back gesture on a telephone, which a page cannot refuse.
  await page.evaluate(() => document.querySelector('dialog').close());
  await user.find('heading', 'You have not copied the token.');
  await user.click('button', 'Back');
  assert.equal(await user.read('textbox', 'Token'), token);
});

pageTest('the back/forward cache contains no token', {}, async ({ user, page }) => {
  const { token } = await create(user, 'Connector', 'Nightly backup');
  await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  await user.find('textbox', 'Manager token');
  assert.deepEqual(await findTraces(page, secretOf(token)), []);
});

for (const [way, leave] of [
  ['copied', copyAndClose],
  ['not copied', async (user) => {
    await user.click('button', 'Close');
    await user.click('button', 'Close without copying');
    await user.waitUntilGone('dialog');
  }],
]) {
  pageTest(`closing (${way}) removes the token everywhere`, {}, async ({ page, user, visit, service }) => {
    const { token } = await create(user, 'Connector', 'Nightly backup');
    await user.releaseObjects();
    // The searches find the token while it is shown, and while a script refers to it.
    const places = await findTraces(page, token);
    assert.ok(places.some((place) => /value of/.test(place)), `found in ${places}`);
    const handle = await page.evaluateHandle(() => ({ kept: [...document.querySelectorAll('textarea')].map((field) => field.value) }));
    const during = await countInHeap(visit.client, { secret: secretOf(token) });
    assert.ok(during.secret > 0, 'the search of the heap finds it while it is held');
    await handle.dispose();

    await leave(user);
    await user.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
    await user.releaseObjects();
    assert.deepEqual(await findTraces(page, token), []);
    assert.deepEqual(await findTraces(page, secretOf(token)), []);
    await assertNothingStored(page);
    assert.deepEqual(await countInHeap(visit.client, { secret: secretOf(token) }), { secret: 0 });
    assert.equal(await service.upload(token), 201, 'it was a real one');
  });
}

pageTest('closing removes a rotated secret everywhere', {}, async ({ page, user, visit, service }) => {
  await service.issue('connector', 'Nightly backup');
  await user.click('button', 'Refresh');
  await user.click('button', 'Rotate Nightly backup');
  await user.click('button', 'Rotate');
  const { token } = await shown(user, 'Token rotated');
  await copyAndClose(user);
  await user.rows();
  await user.releaseObjects();
  assert.deepEqual(await findTraces(page, secretOf(token)), []);
  assert.deepEqual(await countInHeap(visit.client, { secret: secretOf(token) }), { secret: 0 });
});

// The token is shown once: leaving asks first, and afterwards it is nowhere.

import assert from 'node:assert/strict';

import { copyAndClose, create, secretOf, shown } from './acts.mjs';
import { inHeap } from './heap.mjs';
import { scene } from './scene.mjs';
import { nothingStored, traces } from './traces.mjs';

scene('closing without having copied asks first, Escape too, and Back returns', {}, async ({ person }) => {
  const { token } = await create(person, 'Connector', 'Nightly backup');
  const asked = async () => {
    await person.find('heading', 'You have not copied the token.');
    assert.equal(await person.sees('textbox', 'Token'), false);
    assert.deepEqual(await person.focused(), { role: 'button', name: 'Back' });
    await person.click('button', 'Back');
    await person.gone('heading', 'You have not copied the token.');
    assert.equal(await person.read('textbox', 'Token'), token, 'it is still shown');
  };
  await person.click('button', 'Close');
  await asked();
  await person.press('Escape');
  await asked();
  // Browsers let a page refuse only so many; a person who keeps pressing must still be asked.
  for (let i = 0; i < 6; i += 1) await person.press('Escape');
  assert.equal(await person.sees('dialog'), true, 'Escape again and again closes nothing');
  if (await person.sees('button', 'Back')) await person.click('button', 'Back');

  await person.click('button', 'Close');
  await person.click('button', 'Close without copying');
  await person.gone('dialog');
  await person.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
});

scene('once copied, closing does not ask', {}, async ({ person }) => {
  await create(person, 'Connector', 'By button');
  await copyAndClose(person);
  await create(person, 'Connector', 'By Escape');
  await person.click('button', 'Copy header line');
  await person.says(/copied/i);
  await person.press('Escape');
  await person.gone('dialog');
  // By hand, as where no button works.
  await create(person, 'Connector', 'By hand');
  const field = await person.find('textbox', 'Token');
  await field.click();
  await person.page.keyboard.down('Control');
  await person.page.keyboard.press('a', { commands: ['SelectAll'] });
  await person.page.keyboard.press('c', { commands: ['Copy'] });
  await person.page.keyboard.up('Control');
  await person.press('Escape');
  await person.gone('dialog');
});

scene('reloading before it is copied asks too', {}, async ({ page, person }) => {
  const asked = [];
  page.on('dialog', (dialog) => asked.push(dialog.type()));
  await create(person, 'Connector', 'Nightly backup');
  await page.reload();
  assert.deepEqual(asked, ['beforeunload']);
});

const refused = { status: 401, contentType: 'application/problem+json', body: '{}' };

scene('no late answer takes a token away that is shown', { before: (service) => service.issue('connector', 'Nightly backup') }, async ({ service, person, visit }) => {
  const release = await visit.hold('GET', '/token-types');
  await person.click('button', /Create New/);
  await person.find('dialog', 'Create New');
  await person.click('button', 'Cancel');
  await person.click('button', 'Rotate Nightly backup');
  await person.click('button', 'Rotate');
  const { token } = await shown(person, 'Token rotated');
  const answered = visit.page.waitForResponse((answer) => answer.url().endsWith('/token-types'));
  release();
  await answered;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual((await person.all('dialog')).map((dialog) => dialog.name), ['Token rotated']);
  assert.equal(await person.read('textbox', 'Token'), token);
  await copyAndClose(person);
  assert.equal(await service.upload(token), 201);
});

scene('the session ends behind a token that is shown, and says so afterwards', {}, async ({ person, page, visit }) => {
  visit.expect(/status of 401/);
  const release = await visit.hold('GET', '/tokens');
  await person.click('button', 'Refresh');
  const { token } = await create(person, 'Connector', 'Nightly backup');
  release(refused);
  assert.ok(await person.until(() => page.evaluate(() => document.getElementById('manager-token') !== null)), 'signed out');
  assert.equal(await person.read('textbox', 'Token'), token);
  await person.click('button', 'Close');
  await person.click('button', 'Back');
  await person.click('button', 'Copy');
  await person.says(/copied/i);
  assert.equal(await visit.paste(), token);
  await person.click('button', 'Close');
  await person.alert(/manager token was revoked/);
  assert.deepEqual(await person.focused(), { role: 'textbox', name: 'Manager token' });
  const [field] = await person.all('textbox', 'Manager token');
  assert.match(field.described, /manager token was revoked/, 'who cannot see it hears it');
  assert.deepEqual(await traces(page, secretOf(token)), []);
});

scene('what the browser closes by itself is shown again, and asks', {}, async ({ person, page }) => {
  const { token } = await create(person, 'Connector', 'Nightly backup');
  // As a second way back on a telephone, which no page may refuse.
  await page.evaluate(() => document.querySelector('dialog').close());
  await person.find('heading', 'You have not copied the token.');
  await person.click('button', 'Back');
  assert.equal(await person.read('textbox', 'Token'), token);
});

scene('a page that the browser keeps for going back keeps no token', {}, async ({ person, page }) => {
  const { token } = await create(person, 'Connector', 'Nightly backup');
  await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  await person.find('textbox', 'Manager token');
  assert.deepEqual(await traces(page, secretOf(token)), []);
});

for (const [way, leave] of [
  ['copied', copyAndClose],
  ['not copied', async (person) => {
    await person.click('button', 'Close');
    await person.click('button', 'Close without copying');
    await person.gone('dialog');
  }],
]) {
  scene(`after closing (${way}) the token is nowhere`, {}, async ({ page, person, visit, service }) => {
    const { token } = await create(person, 'Connector', 'Nightly backup');
    await person.letGo();
    // The searches find it where it is shown, and while a script holds it.
    const places = await traces(page, token);
    assert.ok(places.some((place) => /value of/.test(place)), `found in ${places}`);
    const handle = await page.evaluateHandle(() => ({ kept: [...document.querySelectorAll('textarea')].map((field) => field.value) }));
    const during = await inHeap(visit.client, { secret: secretOf(token) });
    assert.ok(during.secret > 0, 'the search of the heap finds it while it is held');
    await handle.dispose();

    await leave(person);
    await person.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
    await person.letGo();
    assert.deepEqual(await traces(page, token), []);
    assert.deepEqual(await traces(page, secretOf(token)), []);
    await nothingStored(page);
    assert.deepEqual(await inHeap(visit.client, { secret: secretOf(token) }), { secret: 0 });
    assert.equal(await service.upload(token), 201, 'it was a real one');
  });
}

scene('a rotated secret is nowhere afterwards either', {}, async ({ page, person, visit, service }) => {
  await service.issue('connector', 'Nightly backup');
  await person.click('button', 'Refresh');
  await person.click('button', 'Rotate Nightly backup');
  await person.click('button', 'Rotate');
  const { token } = await shown(person, 'Token rotated');
  await copyAndClose(person);
  await person.rows();
  await person.letGo();
  assert.deepEqual(await traces(page, secretOf(token)), []);
  assert.deepEqual(await inHeap(visit.client, { secret: secretOf(token) }), { secret: 0 });
});

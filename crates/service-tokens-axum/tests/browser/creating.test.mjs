// Create New: from the button to a program that uses the token.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { copyAndClose, create } from './harness/steps.mjs';
import { plainHost } from './harness/browser.mjs';
import { pageTest } from './harness/page_test.mjs';

pageTest('a created Connector uploads a file', {}, async ({ service, user, visit }) => {
  const { token, line } = await create(user, 'Connector', 'Nightly backup', '30 days');
  assert.equal(line, `Authorization: Bearer ${token}`);
  await user.waitForText(/not stored/);
  await user.waitForText(/copy it immediately/);

  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  assert.equal(await visit.paste(), token);
  await user.click('button', 'Copy header line');
  await user.until(async () => (await visit.paste()) === line);
  const pasted = await visit.paste();
  assert.equal(pasted, line);

  // The header line works on a command line.
  const curl = async (...args) => {
    const { stdout } = await promisify(execFile)('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', pasted, ...args]);
    return Number(stdout);
  };
  assert.equal(await curl('-T', '/etc/hostname', `${service.address}/files/hello.txt`), 201);
  assert.equal(await curl(`${service.address}/files`), 403, 'a Connector may not read');
  assert.equal(await service.read(token), 403);

  await user.click('button', 'Close');
  await user.waitUntilGone('dialog');
  const [row] = await user.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
  assert.equal(row.Type, 'Connector');
  assert.equal(row.State, 'Active');
  const [made] = await service.list('issued_to=Nightly%20backup');
  const days = (Date.parse(made.expires_at) - Date.parse(made.created_at)) / 86_400_000;
  assert.ok(Math.abs(days - 30) < 0.01, `${days} days`);
});

pageTest('a Developer has every scope and a warning', {}, async ({ service, user }) => {
  await user.click('button', /Create New/);
  const group = await user.find('radiogroup', 'Type');
  const types = (await user.all('radio', /(?:)/, group)).map((radio) => radio.name);
  assert.match(types[0], /^Connector – may upload files/);
  assert.match(types[1], /^Developer – for all available APIs\. Handle it with caution/);
  await user.click('button', 'Cancel');
  await user.waitUntilGone('dialog');

  const { token } = await create(user, 'Developer', 'Ada’s laptop');
  await copyAndClose(user);
  assert.equal(await service.upload(token), 201);
  assert.equal(await service.read(token), 200);
});

pageTest('Copy works without a secure context', { signedIn: false }, async ({ service, user, visit, page, signIn }) => {
  // Without a secure context, the browser reports that it ignores this header.
  visit.expect(/Cross-Origin-Opener-Policy header has been ignored/);
  const { port } = new URL(service.address);
  await visit.open(`http://${plainHost}:${port}/service-tokens`);
  visit.requests.length = 0;
  assert.equal(await page.evaluate(() => window.isSecureContext || Boolean(navigator.clipboard)), false);
  await signIn();
  const { token, line } = await create(user, 'Connector', 'Scanner');
  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  assert.equal(await visit.paste(), token);
  await user.click('button', 'Copy header line');
  await user.until(async () => (await visit.paste()) === line);
  assert.equal(await visit.paste(), line);
  await user.click('button', 'Close');
  await user.waitUntilGone('dialog');
  assert.equal(await service.upload(token), 201);
});

pageTest('Copy works without the clipboard permission', { signedIn: false }, async ({ service, user, visit, page, signIn }) => {
  await page.evaluateOnNewDocument(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('not allowed', 'NotAllowedError'));
  });
  await visit.open(service.page);
  await signIn();
  const { token } = await create(user, 'Connector', 'Scanner');
  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  assert.equal(await visit.paste(), token);
});

pageTest('Expiration explains an invalid date', {}, async ({ service, user, page }) => {
  await user.click('button', /Create New/);
  const group = await user.find('group', 'Set Expiration Time');
  const presets = (await user.all('radio', /(?:)/, group)).map((radio) => radio.name);
  for (const preset of ['7 days', '30 days', '90 days', '1 year', 'Custom date']) assert.ok(presets.includes(preset), presets.join());

  // An empty form.
  await user.click('button', 'Create');
  await user.alert(/issued to/i);
  assert.deepEqual(await user.focused(), { role: 'textbox', name: 'Issued To' });

  await user.fill('textbox', 'Issued To', 'Till then');
  await user.click('radio', 'Custom date');
  await user.click('button', 'Create');
  await user.alert(/date/i);
  const set = async (days) => {
    const day = typeof days === 'string' ? days : await page.evaluate((days) => {
      const date = new Date();
      date.setDate(date.getDate() + days);
      return new Intl.DateTimeFormat('sv-SE').format(date);
    }, days);
    const field = await user.find('Date', 'Expiration date');
    await field.call(function (day) {
      this.value = day;
      this.dispatchEvent(new Event('input', { bubbles: true }));
      this.dispatchEvent(new Event('change', { bubbles: true }));
    }, day);
    return day;
  };
  const wrong = async (day, sentence) => {
    await set(day);
    await user.click('button', 'Create');
    await user.alert(sentence);
  };
  // A year with more digits than the API accepts.
  await wrong('12026-01-01', /too late/);
  await wrong(-3, /past/i);
  assert.equal((await service.list('issued_to=Till%20then')).length, 0);

  const day = await set(5);
  await user.click('button', 'Create');
  await user.find('heading', 'Token created');
  const [made] = await service.list('issued_to=Till%20then');
  // The end of that day in the time zone of the browser.
  const end = await page.evaluate((day) => {
    const date = new Date(`${day}T00:00:00`);
    date.setDate(date.getDate() + 1);
    return date.getTime();
  }, day);
  assert.equal(Date.parse(made.expires_at), end);
});

pageTest('the date field opens within a small screen', { window: { width: 360, height: 640 } }, async ({ user }) => {
  await user.click('button', /Create New/);
  await user.find('dialog', 'Create New');
  await user.click('radio', 'Custom date');
  const below = await (await user.find('Date', 'Expiration date')).call(function () {
    return this.getBoundingClientRect().bottom - this.closest('dialog').getBoundingClientRect().bottom;
  });
  assert.ok(below < 0, `${below} px below the edge`);
});

pageTest('an open dialog updates its list of types', {}, async ({ service, user, visit }) => {
  const release = await visit.hold('GET', '/token-types');
  await user.click('button', /Create New/);
  await user.click('radio', /^Developer/);
  await user.fill('textbox', 'Issued To', 'Ada’s laptop');
  await user.click('radio', '30 days');
  const body = await service.api('GET', 'token-types');
  body.types = body.types.filter(({ name }) => name !== 'connector');
  body.issuing_paused = 'an incident is being looked into';
  release({ status: 200, contentType: 'application/json', body: JSON.stringify(body) });
  await user.waitUntilGone('radio', /^Connector/);
  await user.alert(/Issuing is paused: an incident is being looked into\./);
  // The fields retain their values.
  for (const choice of [/^Developer/, '30 days']) {
    assert.equal(await (await user.find('radio', choice)).property('checked'), true, `${choice}`);
  }
  assert.equal(await user.read('textbox', 'Issued To'), 'Ada’s laptop');
  assert.deepEqual(await user.focused(), { role: 'radio', name: '30 days' });
  await user.click('button', 'Cancel');
  // The server issues again, and the dialog shows that.
  await user.click('button', /Create New/);
  await user.find('radio', /^Connector/);
  assert.equal(await user.has('alert', /paused/), false);
  await user.waitUntilGone('alert');
});

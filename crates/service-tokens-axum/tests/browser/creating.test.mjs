// + Create New, from the button to a program that uses the token.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { copyAndClose, create } from './acts.mjs';
import { plainHost } from './browser.mjs';
import { scene } from './scene.mjs';

scene('a Connector is created, copied and pasted into an upload', {}, async ({ service, person, visit }) => {
  const { token, line } = await create(person, 'Connector', 'Nightly backup', '30 days');
  assert.equal(line, `Authorization: Bearer ${token}`);
  await person.says(/not stored/);
  await person.says(/copy it immediately/);

  await person.click('button', 'Copy');
  await person.says(/copied/i);
  assert.equal(await visit.paste(), token);
  await person.click('button', 'Copy header line');
  await person.until(async () => (await visit.paste()) === line);
  const pasted = await visit.paste();
  assert.equal(pasted, line);

  // As somebody does with the line on a command line.
  const curl = async (...args) => {
    const { stdout } = await promisify(execFile)('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', pasted, ...args]);
    return Number(stdout);
  };
  assert.equal(await curl('-T', '/etc/hostname', `${service.address}/files/hello.txt`), 201);
  assert.equal(await curl(`${service.address}/files`), 403, 'a Connector may not read');
  assert.equal(await service.read(token), 403);

  await person.click('button', 'Close');
  await person.gone('dialog');
  const [row] = await person.rows((rows) => rows[0]?.['Issued To'] === 'Nightly backup');
  assert.equal(row.Type, 'Connector');
  assert.equal(row.State, 'Active');
  const [made] = await service.list('issued_to=Nightly%20backup');
  const days = (Date.parse(made.expires_at) - Date.parse(made.created_at)) / 86_400_000;
  assert.ok(Math.abs(days - 30) < 0.01, `${days} days`);
});

scene('a Developer warns, and may do everything', {}, async ({ service, person }) => {
  await person.click('button', /Create New/);
  const group = await person.find('radiogroup', 'Type');
  const types = (await person.all('radio', /(?:)/, group)).map((radio) => radio.name);
  assert.match(types[0], /^Connector – may upload files/);
  assert.match(types[1], /^Developer – for all available APIs\. Handle it with caution/);
  await person.click('button', 'Cancel');
  await person.gone('dialog');

  const { token } = await create(person, 'Developer', 'Ada’s laptop');
  await copyAndClose(person);
  assert.equal(await service.upload(token), 201);
  assert.equal(await service.read(token), 200);
});

scene('copying works where the page is no secure context', { signedIn: false }, async ({ service, person, visit, page, signIn }) => {
  // Where nothing is secure, the browser says so of this header.
  visit.expect(/Cross-Origin-Opener-Policy header has been ignored/);
  const { port } = new URL(service.address);
  await visit.open(`http://${plainHost}:${port}/service-tokens`);
  visit.requests.length = 0;
  assert.equal(await page.evaluate(() => window.isSecureContext || Boolean(navigator.clipboard)), false);
  await signIn();
  const { token, line } = await create(person, 'Connector', 'Scanner');
  await person.click('button', 'Copy');
  await person.says(/copied/i);
  assert.equal(await visit.paste(), token);
  await person.click('button', 'Copy header line');
  await person.until(async () => (await visit.paste()) === line);
  assert.equal(await visit.paste(), line);
  await person.click('button', 'Close');
  await person.gone('dialog');
  assert.equal(await service.upload(token), 201);
});

scene('copying works where the browser refuses the clipboard', { signedIn: false }, async ({ service, person, visit, page, signIn }) => {
  await page.evaluateOnNewDocument(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('not allowed', 'NotAllowedError'));
  });
  await visit.open(service.page);
  await signIn();
  const { token } = await create(person, 'Connector', 'Scanner');
  await person.click('button', 'Copy');
  await person.says(/copied/i);
  assert.equal(await visit.paste(), token);
});

scene('expiration: presets, a date of one’s own, and what is wrong is said', {}, async ({ service, person, page }) => {
  await person.click('button', /Create New/);
  const group = await person.find('group', 'Set Expiration Time');
  const presets = (await person.all('radio', /(?:)/, group)).map((radio) => radio.name);
  for (const preset of ['7 days', '30 days', '90 days', '1 year', 'Custom date']) assert.ok(presets.includes(preset), presets.join());

  // Nothing filled in.
  await person.click('button', 'Create');
  await person.alert(/issued to/i);
  assert.deepEqual(await person.focused(), { role: 'textbox', name: 'Issued To' });

  await person.fill('textbox', 'Issued To', 'Till then');
  await person.click('radio', 'Custom date');
  await person.click('button', 'Create');
  await person.alert(/date/i);
  const set = async (days) => {
    const day = typeof days === 'string' ? days : await page.evaluate((days) => {
      const date = new Date();
      date.setDate(date.getDate() + days);
      return new Intl.DateTimeFormat('sv-SE').format(date);
    }, days);
    const field = await person.find('Date', 'Expiration date');
    await field.call(function (day) {
      this.value = day;
      this.dispatchEvent(new Event('input', { bubbles: true }));
      this.dispatchEvent(new Event('change', { bubbles: true }));
    }, day);
    return day;
  };
  const wrong = async (day, sentence) => {
    await set(day);
    await person.click('button', 'Create');
    await person.alert(sentence);
  };
  // More digits than a year has on the wire.
  await wrong('12026-01-01', /too late/);
  await wrong(-3, /past/i);
  assert.equal((await service.list('issued_to=Till%20then')).length, 0);

  const day = await set(5);
  await person.click('button', 'Create');
  await person.find('heading', 'Token created');
  const [made] = await service.list('issued_to=Till%20then');
  // The end of that day where the browser is.
  const end = await page.evaluate((day) => {
    const date = new Date(`${day}T00:00:00`);
    date.setDate(date.getDate() + 1);
    return date.getTime();
  }, day);
  assert.equal(Date.parse(made.expires_at), end);
});

scene('the field for a date is in view where it opens, on a telephone too', { window: { width: 360, height: 640 } }, async ({ person }) => {
  await person.click('button', /Create New/);
  await person.find('dialog', 'Create New');
  await person.click('radio', 'Custom date');
  const below = await (await person.find('Date', 'Expiration date')).call(function () {
    return this.getBoundingClientRect().bottom - this.closest('dialog').getBoundingClientRect().bottom;
  });
  assert.ok(below < 0, `${below} px below the edge`);
});

scene('what may be chosen is brought up to date in the open dialog', {}, async ({ service, person, visit }) => {
  const release = await visit.hold('GET', '/token-types');
  await person.click('button', /Create New/);
  await person.click('radio', /^Developer/);
  await person.fill('textbox', 'Issued To', 'Ada’s laptop');
  await person.click('radio', '30 days');
  const body = await service.api('GET', 'token-types');
  body.types = body.types.filter(({ name }) => name !== 'connector');
  body.issuing_paused = 'an incident is being looked into';
  release({ status: 200, contentType: 'application/json', body: JSON.stringify(body) });
  await person.gone('radio', /^Connector/);
  await person.alert(/Issuing is paused: an incident is being looked into\./);
  // What was chosen and filled in stays.
  for (const choice of [/^Developer/, '30 days']) {
    assert.equal(await (await person.find('radio', choice)).property('checked'), true, `${choice}`);
  }
  assert.equal(await person.read('textbox', 'Issued To'), 'Ada’s laptop');
  assert.deepEqual(await person.focused(), { role: 'radio', name: '30 days' });
  await person.click('button', 'Cancel');
  // The server issues, and the next look says so.
  await person.click('button', /Create New/);
  await person.find('radio', /^Connector/);
  assert.equal(await person.sees('alert', /paused/), false);
  await person.gone('alert');
});

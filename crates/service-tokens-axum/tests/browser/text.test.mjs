// What others wrote is text and nothing else; times are the viewer's.

import assert from 'node:assert/strict';

import { copyAndClose, create } from './acts.mjs';
import { scene } from './scene.mjs';

const hostile = [
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  'javascript:alert(1)',
  '{{constructor.constructor("alert(1)")()}}',
  'שלום אבג \u202Erev\u202C backup',
  'Ж'.repeat(500),
  `${'no-space-'.repeat(50)}`,
];

scene('a hostile Issued To is shown as text, wherever it is shown', { timeout: 120_000 }, async ({ service, person, page }) => {
  const shown = [];
  for (const name of hostile) {
    try {
      await service.issue('connector', name);
      shown.push(name);
    } catch (error) {
      // Characters that no label may have.
      assert.match(error.message, /: 400 /, name);
    }
  }
  assert.ok(shown.length >= 6 && shown.includes(hostile[0]), shown.join('\n'));
  // And one as a person types it.
  await create(person, 'Connector', `${hostile[0]} typed`);
  assert.match(await (await person.find('dialog')).read(), /<img src=x onerror=alert\(1\)> typed/);
  await copyAndClose(person);

  const rows = await person.rows((rows) => rows.length === shown.length + 3);
  const cells = rows.map((row) => row['Issued To']);
  for (const name of shown) assert.ok(cells.includes(name), `${name} in ${cells.join('\n')}`);

  for (const name of shown) {
    for (const [act, dialog] of [['Details', 'dialog'], ['Rotate', 'dialog'], ['Revoke', 'alertdialog']]) {
      await person.click('button', `${act} ${name}`);
      assert.ok((await (await person.find(dialog)).read()).includes(name), `${act} ${name}`);
      await person.press('Escape');
      await person.gone(dialog);
    }
  }
  const made = await page.evaluate(() => document.querySelectorAll('img, svg[onload], main script, table script').length);
  assert.equal(made, 0, 'no element came of it');
  // Nothing is wider than the window.
  const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
});

scene('the policy of the page stops scripts that get in all the same', {}, async ({ page, visit }) => {
  // The net below the other: were there ever markup, its script would not run.
  visit.expect(/Content Security Policy/);
  let stopped = 0;
  page.on('console', (message) => (stopped += /Content Security Policy/.test(message.text()) ? 1 : 0));
  await page.evaluate(() => {
    const inert = document.createElement('div');
    inert.innerHTML = '<img src="x:" onerror="window.ran = true">';
    document.body.append(inert);
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.ok(stopped >= 1, 'it was reported');
  visit.requests.length = 0;
});

const instant = '2031-03-01T23:30:15Z';

scene('times are in the viewer’s zone, with the exact instant on demand', {
  signedIn: false,
  before: (service) => service.issue('connector', 'Nightly backup', { expires_at: instant }),
}, async ({ person, page, visit, service, signIn }) => {
  const seen = {};
  for (const [zone, right] of [
    ['Asia/Tokyo', { cell: /Mar 2, 2031|2 Mar 2031|2031-03-02/, hour: /0?8:30/ }],
    ['America/New_York', { cell: /Mar 1, 2031|1 Mar 2031|2031-03-01/, hour: /0?6:30|18:30/ }],
  ]) {
    await page.emulateTimezone(zone);
    await visit.open(service.page);
    await signIn();
    const rows = await person.rows((rows) => rows.length === 3);
    const cell = rows.find((row) => row['Issued To'] === 'Nightly backup').Expiration;
    assert.match(cell, right.cell);
    const table = await person.find('table');
    const exact = [];
    for (const time of await person.all('time', /(?:)/, table)) exact.push(await time.attribute('datetime'));
    assert.ok(exact.some((text) => Date.parse(text) === Date.parse(instant)), `the exact instant is in ${exact}`);

    await person.click('button', 'Details Nightly backup');
    const details = await (await person.find('dialog')).read();
    assert.match(details, right.hour);
    assert.match(details, /2031-03-01T23:30:15(\.0+)?Z/);
    await person.press('Escape');
    seen[zone] = cell;
  }
  assert.notEqual(seen['Asia/Tokyo'], seen['America/New_York']);
});

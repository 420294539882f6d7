// Texts of other people appear as text only; times appear in the viewer's time zone.

import assert from 'node:assert/strict';

import { copyAndClose, create } from './harness/steps.mjs';
import { pageTest } from './harness/page_test.mjs';

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

pageTest('a hostile Issued To appears as plain text', { timeout: 120_000 }, async ({ service, user, page }) => {
  const shown = [];
  for (const name of hostile) {
    try {
      await service.issue('connector', name);
      shown.push(name);
    } catch (error) {
      // Characters that a label must not contain.
      assert.match(error.message, /: 400 /, name);
    }
  }
  assert.ok(shown.length >= 6 && shown.includes(hostile[0]), shown.join('\n'));
  // And one typed on the page.
  await create(user, 'Connector', `${hostile[0]} typed`);
  assert.match(await (await user.find('dialog')).read(), /<img src=x onerror=alert\(1\)> typed/);
  await copyAndClose(user);

  const rows = await user.rows((rows) => rows.length === shown.length + 3);
  const cells = rows.map((row) => row['Issued To']);
  for (const name of shown) assert.ok(cells.includes(name), `${name} in ${cells.join('\n')}`);

  for (const name of shown) {
    for (const [act, dialog] of [['Details', 'dialog'], ['Rotate', 'dialog'], ['Revoke', 'alertdialog']]) {
      await user.click('button', `${act} ${name}`);
      assert.ok((await (await user.find(dialog)).read()).includes(name), `${act} ${name}`);
      await user.press('Escape');
      await user.waitUntilGone(dialog);
    }
  }
  const made = await page.evaluate(() => document.querySelectorAll('img, svg[onload], main script, table script').length);
  assert.equal(made, 0, 'no element came of it');
  // No element is wider than the window.
  const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
});

pageTest('right-to-left names leave sentences in order', {}, async ({ service, user, page }) => {
  // The letters of the status in the order of their positions, from left to right.
  const drawn = () => page.evaluate(() => {
    const letters = [];
    const texts = document.createTreeWalker(document.querySelector('.foot [role=status]'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data } = texts.currentNode;
      for (let i = 0; i < data.length; i += 1) {
        const range = document.createRange();
        range.setStart(texts.currentNode, i);
        range.setEnd(texts.currentNode, i + 1);
        if (/[\p{L}\p{N}]/u.test(data[i])) letters.push([range.getBoundingClientRect().left, data[i]]);
      }
    }
    return letters.sort(([a], [b]) => a - b).map(([, letter]) => letter).join('');
  });
  for (const [name, seen] of [['גיבוי', [...'גיבוי'].reverse().join('')], ['abc\u202Edef', 'abcfed']]) {
    await service.issue('connector', name);
    await user.click('button', 'Refresh');
    const label = (await user.find('button', `Revoke ${name}`)).name;
    assert.equal(label, `Revoke ${name}`);
    const own = await page.evaluate(() => document.querySelector('[data-action=revoke]').getAttribute('aria-label'));
    assert.equal(own, `Revoke \u2068${name}\u2069`);
    await user.click('button', `Copy the ID of ${name}`);
    await user.waitForText(/The ID of .* was copied\./);
    assert.equal(await drawn(), `TheIDof${seen}wascopied`);
    await user.click('button', `Rotate ${name}`);
    await user.click('button', 'Rotate');
    await copyAndClose(user);
    await user.waitForText(/Rotated .*3 tokens/);
    assert.equal(await drawn(), `Rotated${seen}3tokens`);
    await user.click('button', `Revoke ${name}`);
    await user.click('button', 'OK');
    await user.waitForText(/Revoked .*2 tokens/);
    assert.equal(await drawn(), `Revoked${seen}2tokens`);
    await create(user, 'Connector', name);
    await copyAndClose(user);
    await user.waitForText(/Created .*3 tokens/);
    assert.equal(await drawn(), `Created${seen}3tokens`);
    await service.revoke((await service.list())[0].id);
  }
});

pageTest('the page’s policy stops injected scripts', {}, async ({ page, visit }) => {
  visit.expect(/Content Security Policy|TrustedHTML|TrustedScript/i);
  const thrown = await page.evaluate(() => {
    const attempts = {
      markup: () => (document.body.innerHTML += '<b>bold</b>'),
      inserted: () => document.body.insertAdjacentHTML('beforeend', '<img src="x:" onerror="window.ran = true">'),
    };
    return Object.entries(attempts).filter(([, attempt]) => {
      try {
        attempt();
        return false;
      } catch {
        return true;
      }
    }).map(([name]) => name);
  });
  assert.deepEqual(thrown, ['markup', 'inserted']);
  await page.evaluate(async () => {
    const script = document.createElement('script');
    script.append('window.ran = true');
    const foreign = document.createElement('iframe');
    foreign.src = '/healthz';
    document.body.append(script, foreign);
    window.answer = await fetch('http://127.0.0.1:9/').catch(() => 'stopped');
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
  assert.deepEqual(await page.evaluate(() => [window.ran ?? null, window.answer]), [null, 'stopped']);
  visit.requests.length = 0;
});

// Half an hour before midnight in UTC: tomorrow in Tokyo, today in New York.
const instant = new Date(Date.now() + 100 * 86_400_000);
instant.setUTCHours(23, 30, 15, 0);

pageTest('times appear in the viewer’s time zone', {
  signedIn: false,
  before: (service) => service.issue('connector', 'Nightly backup', { expires_at: instant.toISOString() }),
}, async ({ user, page, visit, service, signIn }) => {
  const days = new Set();
  for (const zone of ['Asia/Tokyo', 'America/New_York']) {
    const part = (options) => new Intl.DateTimeFormat('en-US', { timeZone: zone, ...options }).format(instant);
    await page.emulateTimezone(zone);
    await visit.open(service.page);
    await signIn();
    const rows = await user.rows((rows) => rows.length === 3);
    const cell = rows.find((row) => row['Issued To'] === 'Nightly backup').Expiration;
    assert.match(cell, new RegExp(`\\b${part({ day: 'numeric' })}\\b`), zone);
    const hour = new RegExp(`\\b${part({ hour: 'numeric', minute: '2-digit' }).replace(' ', '\\s')}`);
    assert.match(cell, hour, zone);
    days.add(part({ day: 'numeric' }));

    const exact = [];
    for (const time of await user.all('time')) exact.push([Date.parse(await time.attribute('datetime')), await time.attribute('title')]);
    const [, title] = exact.find(([at]) => at === instant.getTime()) ?? [];
    assert.match(title ?? '', /30:15/, `the exact instant is in ${exact}`);

    await user.click('button', 'Details Nightly backup');
    const details = await (await user.find('dialog')).read();
    assert.match(details, new RegExp(hour.source.replace(':30', ':30:15')), zone);
    assert.ok(details.includes(instant.toISOString().replace('.000', '')) || details.includes(instant.toISOString()), details);
    await user.press('Escape');
    await user.waitUntilGone('dialog');
  }
  assert.equal(days.size, 2);
});

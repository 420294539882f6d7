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

scene('names of any direction leave the sentences around them in order', {}, async ({ service, person, page }) => {
  // The letters of the status as they are drawn, from left to right.
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
    await person.click('button', 'Refresh');
    const label = (await person.find('button', `Revoke ${name}`)).name;
    assert.equal(label, `Revoke ${name}`);
    const own = await page.evaluate(() => document.querySelector('[data-action=revoke]').getAttribute('aria-label'));
    assert.equal(own, `Revoke \u2068${name}\u2069`);
    await person.click('button', `Copy the ID of ${name}`);
    await person.says(/The ID of .* was copied\./);
    assert.equal(await drawn(), `TheIDof${seen}wascopied`);
    await person.click('button', `Rotate ${name}`);
    await person.click('button', 'Rotate');
    await copyAndClose(person);
    await person.says(/Rotated .*3 tokens/);
    assert.equal(await drawn(), `Rotated${seen}3tokens`);
    await person.click('button', `Revoke ${name}`);
    await person.click('button', 'OK');
    await person.says(/Revoked .*2 tokens/);
    assert.equal(await drawn(), `Revoked${seen}2tokens`);
    await create(person, 'Connector', name);
    await copyAndClose(person);
    await person.says(/Created .*3 tokens/);
    assert.equal(await drawn(), `Created${seen}3tokens`);
    await service.revoke((await service.list())[0].id);
  }
});

scene('were markup or a script to get in, the policy of the page stops it', {}, async ({ page, visit }) => {
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

scene('times are in the viewer’s zone, with the exact instant on demand', {
  signedIn: false,
  before: (service) => service.issue('connector', 'Nightly backup', { expires_at: instant.toISOString() }),
}, async ({ person, page, visit, service, signIn }) => {
  const days = new Set();
  for (const zone of ['Asia/Tokyo', 'America/New_York']) {
    const part = (options) => new Intl.DateTimeFormat('en-US', { timeZone: zone, ...options }).format(instant);
    await page.emulateTimezone(zone);
    await visit.open(service.page);
    await signIn();
    const rows = await person.rows((rows) => rows.length === 3);
    const cell = rows.find((row) => row['Issued To'] === 'Nightly backup').Expiration;
    assert.match(cell, new RegExp(`\\b${part({ day: 'numeric' })}\\b`), zone);
    const hour = new RegExp(`\\b${part({ hour: 'numeric', minute: '2-digit' }).replace(' ', '\\s')}`);
    assert.match(cell, hour, zone);
    days.add(part({ day: 'numeric' }));

    const exact = [];
    for (const time of await person.all('time')) exact.push([Date.parse(await time.attribute('datetime')), await time.attribute('title')]);
    const [, title] = exact.find(([at]) => at === instant.getTime()) ?? [];
    assert.match(title ?? '', /30:15/, `the exact instant is in ${exact}`);

    await person.click('button', 'Details Nightly backup');
    const details = await (await person.find('dialog')).read();
    assert.match(details, new RegExp(hour.source.replace(':30', ':30:15')), zone);
    assert.ok(details.includes(instant.toISOString().replace('.000', '')) || details.includes(instant.toISOString()), details);
    await person.press('Escape');
    await person.gone('dialog');
  }
  assert.equal(days.size, 2);
});

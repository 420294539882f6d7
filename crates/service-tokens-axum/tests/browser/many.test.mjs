// 100,000 tokens.

import assert from 'node:assert/strict';

import { scene } from './scene.mjs';

const count = 100_000;
const aim = 400;

// From the click to the frame in which the rows are drawn, measured in the page.
function stopwatch() {
  return new Promise((resolve) => {
    let start = 0;
    document.addEventListener('click', () => (start = performance.now()), { capture: true, once: true });
    const watch = new MutationObserver(() => {
      if (document.querySelectorAll('tbody tr').length < 50) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
    });
    watch.observe(document, { childList: true, subtree: true });
  });
}

scene('the first page within 400 ms, pages and search over everything', { seed: [count], signedIn: false, timeout: 180_000 }, async ({ t, person, page, service }) => {
  const times = [];
  for (let i = 0; i < 5; i += 1) {
    await person.fill('textbox', 'Manager token', service.manager);
    const button = await person.find('button', 'Sign in');
    const drawn = page.evaluate(stopwatch);
    await button.click();
    times.push(await drawn);
    await person.rows((rows) => rows.length === 50);
    await person.click('button', 'Sign out');
  }
  const median = times.toSorted((a, b) => a - b)[2];
  t.diagnostic(`${count} tokens: the first page after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms; median ${median.toFixed(0)} ms`);
  assert.ok(median <= aim, `median ${median} ms`);

  await person.fill('textbox', 'Manager token', service.manager);
  await person.click('button', 'Sign in');
  const name = (n) => `Program ${String(n).padStart(6, '0')}`;
  const names = (rows) => rows.map((row) => row['Issued To']);
  // The manager's own token is the newest.
  const firstPage = names(await person.rows((rows) => rows.length === 50 && rows[1]['Issued To'].startsWith('Program')));
  await person.click('button', 'Next page');
  const second = names(await person.rows((rows) => rows.length === 50 && rows[0]['Issued To'] !== firstPage[0]));
  assert.equal(new Set([...firstPage, ...second]).size, 100, 'each token once');
  await person.click('button', 'Previous page');
  await person.rows((rows) => names(rows).join() === firstPage.join());

  // The far end is the near one of the other order.
  await person.choose('Order', 'Oldest first');
  await person.rows((rows) => rows.length === 50 && /^Program 0000/.test(rows[0]['Issued To']));
  await person.click('button', 'Next page');
  await person.says(/Page 2, 50 tokens/);
  await person.click('button', 'Next page');
  await person.says(/Page 3, 50 tokens/);

  // One among all of them, wherever it stands; and a part of a name that many share.
  for (const wanted of [name(1), name(54_321), name(count)]) {
    await person.fill('searchbox', 'Search by Issued To', wanted);
    await person.rows((rows) => names(rows).join() === wanted);
  }
  await person.fill('searchbox', 'Search by Issued To', '0099');
  await person.rows((rows) => rows.length === 50 && names(rows).every((name) => name.includes('0099')));
  await person.fill('searchbox', 'Search by Issued To', 'operator');
  await person.rows((rows) => rows.length === 1);
});

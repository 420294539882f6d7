// Search, filters, order and pages; tokens that expire soon; an empty list.

import assert from 'node:assert/strict';

import { pageTest } from './harness/page_test.mjs';

const names = (rows) => rows.map((row) => row['Issued To']);
const day = 86_400;

pageTest('the list filters, searches and sorts', {
  before: async (service) => {
    await service.issue('connector', 'Nightly backup');
    await service.issue('developer', 'Ada’s laptop');
    const { id } = await service.issue('connector', 'Old backup');
    await service.revoke(id);
    await service.issue('connector', 'Over in a moment', { expires_in: 1 });
    await service.issue('connector', 'Next week', { not_before: new Date(Date.now() + 7 * day * 1000).toISOString() });
  },
}, async ({ service, user, visit }) => {
  const heads = (await user.all('columnheader')).map((head) => head.name);
  assert.deepEqual(heads, ['ID', 'Issued To', 'Type', 'Created At', 'Expiration', 'State', 'Last Used', 'Actions']);
  assert.match((await user.find('table')).name, /tokens/i, 'the table has a name');

  // By default the list has the active tokens, newest first.
  await user.until(async () => (await service.list('state=expired')).length === 1);
  await user.click('button', 'Refresh');
  const active = ['Next week', 'Ada’s laptop', 'Nightly backup', 'the first example', 'the operator'];
  await user.rows((rows) => names(rows).join() === active.join());
  const rows = await user.rows();
  assert.deepEqual(rows.map((row) => row.State), ['Pending', 'Active', 'Active', 'Active', 'Active']);
  const listed = await service.list();
  assert.deepEqual(rows.map((row) => row.ID), listed.map((token) => token.id));

  await user.choose('Order', 'Oldest first');
  await user.rows((rows) => names(rows).join() === active.toReversed().join());
  await user.choose('Order', 'Newest first');

  await user.choose('Type', 'Developer');
  await user.rows((rows) => names(rows).join() === 'Ada’s laptop');
  await user.choose('Type', 'Connector');
  await user.rows((rows) => names(rows).join() === 'Next week,Nightly backup,the first example');

  await user.choose('State', 'Revoked');
  await user.rows((rows) => names(rows).join() === 'Old backup');
  await user.choose('State', 'Expired');
  await user.rows((rows) => names(rows).join() === 'Over in a moment');
  await user.choose('State', 'All');
  await user.rows((rows) => rows.length === 5);

  await user.fill('searchbox', 'Search by Issued To', 'backup');
  await user.rows((rows) => names(rows).join() === 'Old backup,Nightly backup');
  await user.waitForText(/2 tokens/);

  // A search without a match explains how to clear it.
  await user.fill('searchbox', 'Search by Issued To', 'no such label');
  await user.waitForText(/Nothing matches/);
  await user.fill('searchbox', 'Search by Issued To', 'BACKUP');
  await user.waitForText(/Nothing matches.*Upper and lower case matter/s);
  const [search] = await user.all('searchbox', 'Search by Issued To');
  assert.match(search.described || (await search.attribute('placeholder')), /case matters/);
  visit.expect(/status of 400/);
  await user.fill('searchbox', 'Search by Issued To', 'x'.repeat(1025));
  await user.alert(/The search has more than 1024 bytes\./);
  await user.fill('searchbox', 'Search by Issued To', 'no such label');
  await user.waitForText(/Nothing matches/);
  assert.deepEqual(await user.all('table'), []);
  await user.click('button', /Clear/);
  await user.rows((rows) => names(rows).join() === active.join());
});

pageTest('an empty list explains the next step', {
  before: async (service) => {
    const [{ id }] = await service.list('issued_to_contains=example');
    await service.revoke(id);
  },
}, async ({ user }) => {
  assert.deepEqual(names(await user.rows()), ['the operator']);
  await user.waitForText(/No other active service tokens/);
  await user.waitForText(/Create New.*copy it, and give it to the program/s);
  await user.find('button', /Create New/);
  await user.choose('State', 'All');
  await user.rows((rows) => rows.length === 2);
  assert.doesNotMatch(await user.text(), /No other/);
  await user.fill('searchbox', 'Search by Issued To', 'operator');
  await user.rows((rows) => rows.length === 1);
  assert.doesNotMatch(await user.text(), /No other/);
});

pageTest('an emptied page returns to the page before', {
  // The newest is first, so the two tokens of every new service are last.
  before: async (service) => {
    for (let i = 1; i <= 49; i += 1) await service.issue('connector', `Program ${i}`);
  },
}, async ({ user }) => {
  await user.choose('Order', 'Oldest first');
  await user.click('button', 'Next page');
  assert.deepEqual(names(await user.rows((rows) => rows.length === 1)), ['Program 49']);
  assert.doesNotMatch(await user.text(), /No other/);
  await user.click('button', 'Revoke Program 49');
  await user.click('button', 'OK');
  await user.rows((rows) => rows.length === 50);
  await user.waitForText(/Revoked Program 49\. 50 tokens\./);
  for (const button of ['Previous page', 'Next page']) {
    assert.equal(await (await user.find('button', button)).attribute('aria-disabled'), 'true', button);
  }
});

pageTest('a new page starts at its first row', {
  window: { width: 360, height: 640 },
  before: async (service) => {
    for (let i = 1; i <= 58; i += 1) await service.issue('connector', `Program ${i}`);
  },
}, async ({ user, page }) => {
  const inView = () => page.evaluate(() => {
    const { top } = document.querySelector('tbody tr').getBoundingClientRect();
    return top >= 0 && top < innerHeight;
  });
  await user.click('button', 'Next page');
  await user.rows((rows) => rows.length === 10);
  assert.ok(await user.until(inView, 2000), 'the first row of the second page is in view');
  assert.deepEqual(await user.focused(), { role: 'button', name: 'Next page' });
  await user.click('button', 'Previous page');
  await user.rows((rows) => rows.length === 50);
  assert.ok(await user.until(inView, 2000), 'the first row of the first page is in view');
});

pageTest('a slow list shows that it is loading', { signedIn: false }, async ({ user, visit, signIn }) => {
  const release = await visit.hold('GET', '/tokens');
  await signIn();
  await user.waitForText(/Loading…/);
  release();
  await user.waitForText(/2 tokens/);
  assert.doesNotMatch(await user.text(), /Loading/);
});

pageTest('paging shows each token once', {
  before: async (service) => {
    for (let i = 1; i <= 118; i += 1) await service.issue('connector', `Program ${String(i).padStart(3, '0')}`);
  },
}, async ({ user }) => {
  const wanted = [...Array(118)].map((_, i) => `Program ${String(118 - i).padStart(3, '0')}`);
  wanted.push('the first example', 'the operator');
  const pages = [];
  for (let at = 0; at < 120; at += 50) {
    pages.push(names(await user.rows((rows) => rows[0]?.['Issued To'] === wanted[at])));
    const next = await user.find('button', 'Next page');
    if (at + 50 < 120) await next.click();
    else assert.equal(await next.attribute('aria-disabled'), 'true');
  }
  assert.deepEqual(pages.flat(), wanted);
  await user.waitForText(/Page 3, 20 tokens/);

  await user.click('button', 'Previous page');
  await user.rows((rows) => names(rows).join() === pages[1].join());
  await user.click('button', 'Previous page');
  await user.rows((rows) => names(rows).join() === pages[0].join());
  assert.equal(await (await user.find('button', 'Previous page')).attribute('aria-disabled'), 'true');

  // A new order starts at its first page.
  await user.click('button', 'Next page');
  await user.rows((rows) => names(rows).join() === pages[1].join());
  await user.choose('Order', 'Oldest first');
  await user.rows((rows) => names(rows).join() === wanted.toReversed().slice(0, 50).join());
});

pageTest('expiry within 14 days is marked in words', {
  before: async (service) => {
    await service.issue('connector', 'far', { expires_in: 15 * day });
    await service.issue('connector', 'near', { expires_in: 13 * day });
    await service.issue('connector', 'very near', { expires_in: 2 * 3600 + 60 });
  },
}, async ({ user }) => {
  const rows = await user.rows((rows) => rows.length === 5);
  const expiration = Object.fromEntries(rows.map((row) => [row['Issued To'], row.Expiration]));
  assert.match(expiration.near, /1[23] days/);
  assert.match(expiration['very near'], /2 hours/);
  assert.doesNotMatch(expiration.far, /\bdays?\b/);
  assert.doesNotMatch(expiration['the operator'], /\bdays?\b/);
});

pageTest('the list shows the last use of a token', {}, async ({ service, user }) => {
  const { token } = await service.issue('connector', 'Nightly backup');
  await user.click('button', 'Refresh');
  const of = (rows) => rows.find((row) => row['Issued To'] === 'Nightly backup')?.['Last Used'];
  await user.rows((rows) => of(rows) === 'Never');
  await service.upload(token);
  await user.until(async () => {
    await user.click('button', 'Refresh');
    const rows = await user.rows((rows) => of(rows) !== undefined);
    return of(rows) !== 'Never';
  }, 20_000);
  assert.match(of(await user.rows()), /\d/);
});

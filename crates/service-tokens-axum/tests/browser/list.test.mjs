// Search, filters, order and pages; what ends soon; an empty list.

import assert from 'node:assert/strict';

import { scene } from './scene.mjs';

const names = (rows) => rows.map((row) => row['Issued To']);
const day = 86_400;

scene('columns, search, filters and order', {
  before: async (service) => {
    await service.issue('connector', 'Nightly backup');
    await service.issue('developer', 'Ada’s laptop');
    const { id } = await service.issue('connector', 'Old backup');
    await service.revoke(id);
    await service.issue('connector', 'Over in a moment', { expires_in: 1 });
    await service.issue('connector', 'Next week', { not_before: new Date(Date.now() + 7 * day * 1000).toISOString() });
  },
}, async ({ service, person, visit }) => {
  const heads = (await person.all('columnheader')).map((head) => head.name);
  assert.deepEqual(heads, ['ID', 'Issued To', 'Type', 'Created At', 'Expiration', 'State', 'Last Used', 'Actions']);
  assert.match((await person.find('table')).name, /tokens/i, 'the table has a name');

  // Active ones are shown unless something else is asked for, the newest first.
  await person.until(async () => (await service.list('state=expired')).length === 1);
  await person.click('button', 'Refresh');
  const active = ['Next week', 'Ada’s laptop', 'Nightly backup', 'the first example', 'the operator'];
  await person.rows((rows) => names(rows).join() === active.join());
  const rows = await person.rows();
  assert.deepEqual(rows.map((row) => row.State), ['Pending', 'Active', 'Active', 'Active', 'Active']);
  const listed = await service.list();
  assert.deepEqual(rows.map((row) => row.ID), listed.map((token) => token.id));

  await person.choose('Order', 'Oldest first');
  await person.rows((rows) => names(rows).join() === active.toReversed().join());
  await person.choose('Order', 'Newest first');

  await person.choose('Type', 'Developer');
  await person.rows((rows) => names(rows).join() === 'Ada’s laptop');
  await person.choose('Type', 'Connector');
  await person.rows((rows) => names(rows).join() === 'Next week,Nightly backup,the first example');

  await person.choose('State', 'Revoked');
  await person.rows((rows) => names(rows).join() === 'Old backup');
  await person.choose('State', 'Expired');
  await person.rows((rows) => names(rows).join() === 'Over in a moment');
  await person.choose('State', 'All');
  await person.rows((rows) => rows.length === 5);

  await person.fill('searchbox', 'Search by Issued To', 'backup');
  await person.rows((rows) => names(rows).join() === 'Old backup,Nightly backup');
  await person.says(/2 tokens/);

  // What finds nothing says so, and leads back.
  await person.fill('searchbox', 'Search by Issued To', 'nobody at all');
  await person.says(/Nothing matches/);
  await person.fill('searchbox', 'Search by Issued To', 'BACKUP');
  await person.says(/Nothing matches.*Upper and lower case matter/s);
  const [search] = await person.all('searchbox', 'Search by Issued To');
  assert.match(search.described || (await search.attribute('placeholder')), /case matters/);
  visit.expect(/status of 400/);
  await person.fill('searchbox', 'Search by Issued To', 'x'.repeat(1025));
  await person.alert(/The search has more than 1024 bytes\./);
  await person.fill('searchbox', 'Search by Issued To', 'nobody at all');
  await person.says(/Nothing matches/);
  assert.deepEqual(await person.all('table'), []);
  await person.click('button', /Clear/);
  await person.rows((rows) => names(rows).join() === active.join());
});

scene('nobody’s tokens but one’s own: the list says what to do next', {
  before: async (service) => {
    const [{ id }] = await service.list('issued_to_contains=example');
    await service.revoke(id);
  },
}, async ({ person }) => {
  assert.deepEqual(names(await person.rows()), ['the operator']);
  await person.says(/No other active service tokens/);
  await person.says(/Create New.*copy it, and give it to the program/s);
  await person.find('button', /Create New/);
  await person.choose('State', 'All');
  await person.rows((rows) => rows.length === 2);
  assert.doesNotMatch(await person.text(), /No other/);
  await person.fill('searchbox', 'Search by Issued To', 'operator');
  await person.rows((rows) => rows.length === 1);
  assert.doesNotMatch(await person.text(), /No other/);
});

scene('a page whose last token goes leads back to the one before', {
  // The newest is first, and so the two that every service begins with are last.
  before: async (service) => {
    for (let i = 1; i <= 49; i += 1) await service.issue('connector', `Program ${i}`);
  },
}, async ({ person }) => {
  await person.choose('Order', 'Oldest first');
  await person.click('button', 'Next page');
  assert.deepEqual(names(await person.rows((rows) => rows.length === 1)), ['Program 49']);
  assert.doesNotMatch(await person.text(), /No other/);
  await person.click('button', 'Revoke Program 49');
  await person.click('button', 'OK');
  await person.rows((rows) => rows.length === 50);
  await person.says(/Revoked Program 49\. 50 tokens\./);
  for (const button of ['Previous page', 'Next page']) {
    assert.equal(await (await person.find('button', button)).attribute('aria-disabled'), 'true', button);
  }
});

scene('turning shows the new page from its first row', {
  window: { width: 360, height: 640 },
  before: async (service) => {
    for (let i = 1; i <= 58; i += 1) await service.issue('connector', `Program ${i}`);
  },
}, async ({ person, page }) => {
  const inView = () => page.evaluate(() => {
    const { top } = document.querySelector('tbody tr').getBoundingClientRect();
    return top >= 0 && top < innerHeight;
  });
  await person.click('button', 'Next page');
  await person.rows((rows) => rows.length === 10);
  assert.ok(await person.until(inView, 2000), 'the first row of the second page is in view');
  assert.deepEqual(await person.focused(), { role: 'button', name: 'Next page' });
  await person.click('button', 'Previous page');
  await person.rows((rows) => rows.length === 50);
  assert.ok(await person.until(inView, 2000), 'the first row of the first page is in view');
});

scene('a list on a slow line says that it is coming', { signedIn: false }, async ({ person, visit, signIn }) => {
  const release = await visit.hold('GET', '/tokens');
  await signIn();
  await person.says(/Loading…/);
  release();
  await person.says(/2 tokens/);
  assert.doesNotMatch(await person.text(), /Loading/);
});

scene('pages, forwards and back, each token once', {
  before: async (service) => {
    for (let i = 1; i <= 118; i += 1) await service.issue('connector', `Program ${String(i).padStart(3, '0')}`);
  },
}, async ({ person }) => {
  const wanted = [...Array(118)].map((_, i) => `Program ${String(118 - i).padStart(3, '0')}`);
  wanted.push('the first example', 'the operator');
  const pages = [];
  for (let at = 0; at < 120; at += 50) {
    pages.push(names(await person.rows((rows) => rows[0]?.['Issued To'] === wanted[at])));
    const next = await person.find('button', 'Next page');
    if (at + 50 < 120) await next.click();
    else assert.equal(await next.attribute('aria-disabled'), 'true');
  }
  assert.deepEqual(pages.flat(), wanted);
  await person.says(/Page 3, 20 tokens/);

  await person.click('button', 'Previous page');
  await person.rows((rows) => names(rows).join() === pages[1].join());
  await person.click('button', 'Previous page');
  await person.rows((rows) => names(rows).join() === pages[0].join());
  assert.equal(await (await person.find('button', 'Previous page')).attribute('aria-disabled'), 'true');

  // A new order begins at its first page.
  await person.click('button', 'Next page');
  await person.rows((rows) => names(rows).join() === pages[1].join());
  await person.choose('Order', 'Oldest first');
  await person.rows((rows) => names(rows).join() === wanted.toReversed().slice(0, 50).join());
});

scene('what expires within 14 days stands out, and not by its colour alone', {
  before: async (service) => {
    await service.issue('connector', 'far', { expires_in: 15 * day });
    await service.issue('connector', 'near', { expires_in: 13 * day });
    await service.issue('connector', 'very near', { expires_in: 2 * 3600 + 60 });
  },
}, async ({ person }) => {
  const rows = await person.rows((rows) => rows.length === 5);
  const expiration = Object.fromEntries(rows.map((row) => [row['Issued To'], row.Expiration]));
  assert.match(expiration.near, /1[23] days/);
  assert.match(expiration['very near'], /2 hours/);
  assert.doesNotMatch(expiration.far, /\bdays?\b/);
  assert.doesNotMatch(expiration['the operator'], /\bdays?\b/);
});

scene('a token’s last use is shown', {}, async ({ service, person }) => {
  const { token } = await service.issue('connector', 'Nightly backup');
  await person.click('button', 'Refresh');
  const of = (rows) => rows.find((row) => row['Issued To'] === 'Nightly backup')?.['Last Used'];
  await person.rows((rows) => of(rows) === 'Never');
  await service.upload(token);
  await person.until(async () => {
    await person.click('button', 'Refresh');
    const rows = await person.rows((rows) => of(rows) !== undefined);
    return of(rows) !== 'Never';
  }, 20_000);
  assert.match(of(await person.rows()), /\d/);
});

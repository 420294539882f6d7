// axe-core finds nothing to complain about: every state, light and dark, wide and as narrow as a telephone.

import assert from 'node:assert/strict';
import axe from 'axe-core';

import { create } from './acts.mjs';
import { scene } from './scene.mjs';

async function audit(page, person, state) {
  // What is half faded in has half its contrast.
  const still = await person.until(() => page.evaluate(() =>
    !document.querySelector('[aria-busy=true]') && document.getAnimations().every((a) => a.playState === 'finished')));
  assert.ok(still, `${state} comes to rest`);
  // Through the debugger, which the page's policy does not bind.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((n) => `   ${n.html}\n   ${n.failureSummary}`).join('\n')}`);
  assert.deepEqual(found, [], state);
  assert.ok(passes.length > 10, `${passes.length} rules applied to ${state}`);
}

for (const scheme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    scene(`no violations: ${scheme}, ${width} px`, {
      signedIn: false,
      window: { width, height: width === 360 ? 640 : 800 },
      timeout: 120_000,
      before: async (service) => {
        await service.issue('connector', 'Nightly backup', { expires_in: 5 * 86_400 });
        await service.issue('developer', 'Ada’s laptop');
        const { id } = await service.issue('connector', 'Old backup');
        await service.revoke(id);
        await service.issue('connector', 'Over', { expires_in: 1 });
      },
    }, async ({ person, page, visit, signIn, service }) => {
      visit.expect(/status of (401|503)/);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      const check = async (state, ...inView) => {
        for (const [role, name] of inView) {
          const seen = await (await person.find(role, name)).call(function () {
            const box = this.getBoundingClientRect();
            const dialog = this.closest('dialog')?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
            return box.top >= dialog.top && box.bottom <= dialog.bottom;
          });
          assert.ok(seen, `${role} ${name} is in view: ${state}`);
        }
        await audit(page, person, `${state}, ${scheme}, ${width} px`);
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${state} is ${wide} px too wide`);
        // Dialogs scroll inside, if they must.
        const cut = await page.evaluate(() => [...document.querySelectorAll('dialog[open]')].some((d) => {
          const box = d.getBoundingClientRect();
          return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight;
        }));
        assert.equal(cut, false, `${state} is cut off`);
      };
      await person.find('textbox', 'Manager token');
      await check('signing in');
      await signIn('wrong');
      await person.alert(/not an active token/);
      await check('signing in, refused');
      await signIn();
      await person.rows((rows) => rows.length > 2);
      await check('the list');
      await person.until(async () => (await service.list('state=expired')).length === 1);
      await person.choose('State', 'All');
      await person.rows((rows) => rows.length === 6);
      await check('the list with dead tokens');
      await person.fill('searchbox', 'Search by Issued To', 'nobody');
      await person.says(/Nothing matches/);
      await check('the empty list');
      await person.click('button', /Clear/);
      await person.rows((rows) => rows.length > 2);

      const heal = await visit.intercept((request) => new URL(request.url()).pathname === '/tokens' && {
        status: 503, contentType: 'application/problem+json', body: '{"status":503,"title":"Service Unavailable"}',
      });
      await person.click('button', 'Refresh');
      await person.alert(/unavailable/);
      await check('an error above the list');
      await heal();
      await person.click('button', 'Refresh');
      await person.gone('button', 'Try again');

      await person.click('button', 'Details Nightly backup');
      await person.find('dialog');
      await check('details', ['heading', 'Token details']);
      await person.press('Escape');
      await person.click('button', 'Rotate Nightly backup');
      await person.find('dialog');
      await check('the rotate dialog', ['heading', /^Rotate/]);
      await person.press('Escape');
      await person.click('button', 'Revoke Nightly backup');
      await person.find('alertdialog');
      await check('the revoke dialog', ['heading', /^Revoke/], ['button', 'OK']);
      await person.press('Escape');
      await person.click('button', /Create New/);
      await person.find('dialog', 'Create New');
      await person.click('radio', 'Custom date');
      await check('the create dialog');
      await person.click('button', 'Create');
      await person.alert(/issued to/i);
      await check('the create dialog, refused', ['alert'], ['textbox', 'Issued To']);
      await person.press('Escape');
      await person.gone('dialog');
      await create(person, 'Developer', 'A laptop');
      await check('the token, shown once', ['heading', 'Token created'], ['button', 'Copy']);
      await person.click('button', 'Copy');
      await person.says(/copied/i);
      await check('the token, copied');
      await person.press('Escape');
      await person.gone('dialog');
      await create(person, 'Connector', 'A server');
      await person.click('button', 'Close');
      await person.find('button', 'Back');
      await check('the question before closing');
    });
  }
}

scene('where colours are forced, what cannot be chosen looks so', {}, async ({ person, visit }) => {
  await visit.client.send('Emulation.setEmulatedMedia', { features: [{ name: 'forced-colors', value: 'active' }] });
  const look = async (name) => (await person.find('button', name)).call(function () {
    const { color, borderColor } = getComputedStyle(this);
    return { color, borderColor };
  });
  // Colours change within a moment.
  const differ = (part) => person.until(async () => (await look('Refresh'))[part] !== (await look('Next page'))[part], 2000);
  assert.ok(await differ('color'), 'the text');
  assert.ok(await differ('borderColor'), 'the border');
});

// axe-core finds no violation in any state of the page: light and dark, wide and narrow.

import assert from 'node:assert/strict';
import axe from 'axe-core';

import { create } from './harness/steps.mjs';
import { pageTest } from './harness/page_test.mjs';

async function audit(page, user, state) {
  // An element that is still fading in has less contrast.
  const still = await user.until(() => page.evaluate(() =>
    !document.querySelector('[aria-busy=true]') && document.getAnimations().every((a) => a.playState === 'finished')));
  assert.ok(still, `${state} comes to rest`);
  // Evaluated by the debugger, because the page's policy does not apply to it.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((n) => `   ${n.html}\n   ${n.failureSummary}`).join('\n')}`);
  assert.deepEqual(found, [], state);
  assert.ok(passes.length > 10, `${passes.length} rules applied to ${state}`);
}

for (const scheme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    pageTest(`axe finds no violation: ${scheme}, ${width}`, {
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
    }, async ({ user, page, visit, signIn, service }) => {
      visit.expect(/status of (401|503)/);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      const check = async (state, ...inView) => {
        for (const [role, name] of inView) {
          const seen = await (await user.find(role, name)).call(function () {
            const box = this.getBoundingClientRect();
            const dialog = this.closest('dialog')?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
            return box.top >= dialog.top && box.bottom <= dialog.bottom;
          });
          assert.ok(seen, `${role} ${name} is in view: ${state}`);
        }
        await audit(page, user, `${state}, ${scheme}, ${width} px`);
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${state} is ${wide} px too wide`);
        // Dialogs may scroll inside.
        const cut = await page.evaluate(() => [...document.querySelectorAll('dialog[open]')].some((d) => {
          const box = d.getBoundingClientRect();
          return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight;
        }));
        assert.equal(cut, false, `${state} is cut off`);
      };
      await user.find('textbox', 'Manager token');
      await check('signing in');
      await signIn('wrong');
      await user.alert(/not an active token/);
      await check('signing in, refused');
      await signIn();
      await user.rows((rows) => rows.length > 2);
      await check('the list');
      await user.until(async () => (await service.list('state=expired')).length === 1);
      await user.choose('State', 'All');
      await user.rows((rows) => rows.length === 6);
      await check('the list with ended tokens');
      await user.fill('searchbox', 'Search by Issued To', 'no such label');
      await user.waitForText(/Nothing matches/);
      await check('the empty list');
      await user.click('button', /Clear/);
      await user.rows((rows) => rows.length > 2);

      const heal = await visit.intercept((request) => new URL(request.url()).pathname === '/tokens' && {
        status: 503, contentType: 'application/problem+json', body: '{"status":503,"title":"Service Unavailable"}',
      });
      await user.click('button', 'Refresh');
      await user.alert(/unavailable/);
      await check('an error above the list');
      await heal();
      await user.click('button', 'Refresh');
      await user.waitUntilGone('button', 'Try again');

      await user.click('button', 'Details Nightly backup');
      await user.find('dialog');
      await check('details', ['heading', 'Token details']);
      await user.press('Escape');
      await user.click('button', 'Rotate Nightly backup');
      await user.find('dialog');
      await check('the rotate dialog', ['heading', /^Rotate/]);
      await user.press('Escape');
      await user.click('button', 'Revoke Nightly backup');
      await user.find('alertdialog');
      await check('the revoke dialog', ['heading', /^Revoke/], ['button', 'OK']);
      await user.press('Escape');
      await user.click('button', /Create New/);
      await user.find('dialog', 'Create New');
      await user.click('radio', 'Custom date');
      await check('the create dialog');
      await user.click('button', 'Create');
      await user.alert(/issued to/i);
      await check('the create dialog, refused', ['alert'], ['textbox', 'Issued To']);
      await user.press('Escape');
      await user.waitUntilGone('dialog');
      await create(user, 'Developer', 'A laptop');
      await check('the token, shown once', ['heading', 'Token created'], ['button', 'Copy']);
      await user.click('button', 'Copy');
      await user.waitForText(/copied/i);
      await check('the token, copied');
      await user.press('Escape');
      await user.waitUntilGone('dialog');
      await create(user, 'Connector', 'A server');
      await user.click('button', 'Close');
      await user.find('button', 'Back');
      await check('the question before closing');
    });
  }
}

pageTest('forced colours still mark disabled options', {}, async ({ user, visit }) => {
  await visit.client.send('Emulation.setEmulatedMedia', { features: [{ name: 'forced-colors', value: 'active' }] });
  const look = async (name) => (await user.find('button', name)).call(function () {
    const { color, borderColor } = getComputedStyle(this);
    return { color, borderColor };
  });
  // The change of colours is a transition.
  const differ = (part) => user.until(async () => (await look('Refresh'))[part] !== (await look('Next page'))[part], 2000);
  assert.ok(await differ('color'), 'the text');
  assert.ok(await differ('borderColor'), 'the border');
});

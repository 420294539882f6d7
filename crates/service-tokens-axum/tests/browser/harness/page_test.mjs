// One test of the page: it has its own service and its own browser window, and the browser must report
// no unexpected error.

import { after, test } from 'node:test';

import { chromium, Visit } from './browser.mjs';
import { Service } from './service.mjs';

let running;

after(async () => {
  if (running) await (await running).close();
});

// `body` gets { t, service, visit, user, page, signIn, browser }. With `signedIn`, it begins at the list.
export function pageTest(name, { seed, signedIn = true, window, before, timeout = 60_000 }, body) {
  test(name, { timeout }, async (t) => {
    running ??= chromium();
    const { browser } = await running;
    const service = await Service.start({ seed });
    let visit;
    try {
      await before?.(service);
      visit = await Visit.begin(browser, window);
      await visit.open(service.page);
      const { user, page } = visit;
      const signIn = async (token = service.manager) => {
        await user.fill('textbox', 'Manager token', token);
        await user.click('button', 'Sign in');
      };
      if (signedIn) {
        await signIn();
        await user.find('table');
        await user.rows((rows) => rows.length > 0);
      }
      await body({ t, service, visit, user, page, signIn, browser });
      visit.assertClean();
    } finally {
      await visit?.end();
      await service.stop();
    }
  });
}

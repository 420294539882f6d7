// One test: a service of its own, a window of its own, and at the end nothing to complain about.

import { after, test } from 'node:test';

import { chromium, Visit } from './browser.mjs';
import { Service } from './service.mjs';

let running;

after(async () => {
  if (running) await (await running).close();
});

// `play` gets { service, visit, person, page, signIn }. `signedIn`: begin at the list.
export function scene(name, { seed, signedIn = true, window, before, timeout = 60_000 }, play) {
  test(name, { timeout }, async (t) => {
    running ??= chromium();
    const { browser } = await running;
    const service = await Service.start({ seed });
    let visit;
    try {
      await before?.(service);
      visit = await Visit.begin(browser, window);
      await visit.open(service.page);
      const { person, page } = visit;
      const signIn = async (token = service.manager) => {
        await person.fill('textbox', 'Manager token', token);
        await person.click('button', 'Sign in');
      };
      if (signedIn) {
        await signIn();
        await person.find('table');
        await person.rows((rows) => rows.length > 0);
      }
      await play({ t, service, visit, person, page, signIn, browser });
      visit.assertClean();
    } finally {
      await visit?.end();
      await service.stop();
    }
  });
}

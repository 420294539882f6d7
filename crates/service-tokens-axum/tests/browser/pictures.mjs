// Takes the README's pictures: node pictures.mjs FOLDER

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { create } from './harness/steps.mjs';
import { chromium, Visit } from './harness/browser.mjs';
import { withPalette } from './harness/png.mjs';
import { Service } from './harness/service.mjs';

const folder = process.argv[2];
const largest = 250 * 1024;

async function picture(browser, name, { scheme, width, height }, play = () => {}) {
  const service = await Service.start({ seed: ['sample'] });
  const visit = await Visit.begin(browser, { width, height, scale: 2 });
  try {
    const { page, user } = visit;
    await page.emulateTimezone('Europe/Berlin');
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    await visit.open(service.page);
    await user.fill('textbox', 'Manager token', service.manager);
    await user.click('button', 'Sign in');
    await user.rows((rows) => rows.length > 5);
    await play(user);
    // No pointer over anything.
    await page.mouse.move(1, 1);
    const path = join(folder, `${name}.png`);
    const png = withPalette(Buffer.from(await page.screenshot()));
    visit.assertClean();
    console.log(`${path}: ${Math.round(png.length / 1024)} KB`);
    if (png.length > largest) throw new Error(`${path} is too large`);
    await writeFile(path, png);
  } finally {
    await visit.end();
    await service.stop();
  }
}

await mkdir(folder, { recursive: true });
const { browser, close } = await chromium();
try {
  const wide = { width: 1400, height: 800 };
  await picture(browser, 'page-light', { scheme: 'light', ...wide });
  await picture(browser, 'page-dark', { scheme: 'dark', ...wide });
  await picture(browser, 'page-narrow', { scheme: 'light', width: 390, height: 844 });
  await picture(browser, 'page-created', { scheme: 'light', ...wide }, (user) => create(user, 'Connector', 'Nightly backup, Vienna', '90 days'));
} finally {
  await close();
}

// The page by keyboard alone: Tab, Shift+Tab, Enter, Space, Escape and arrows.

import assert from 'node:assert/strict';

import { scene } from './scene.mjs';

// Tabs round; the focus never reaches what lies behind the dialog.
async function staysIn(person, page, steps = 25) {
  for (const back of [false, true]) {
    for (let i = 0; i < steps; i += 1) {
      if (back) await person.shiftTab();
      else await person.press('Tab');
      const outside = await page.evaluate(() => {
        const at = document.activeElement;
        return at && at !== document.body && !at.closest('dialog') ? at.outerHTML : null;
      });
      assert.equal(outside, null, 'the focus left the dialog');
    }
  }
}

scene('signing in, creating, copying, closing and revoking', { signedIn: false }, async ({ service, person, page, visit }) => {
  page.mouse.click = () => assert.fail('the mouse was used');
  const { keyboard } = page;

  assert.deepEqual(await person.focused(), { role: 'textbox', name: 'Manager token' }, 'the field is ready to be typed into');
  await keyboard.type(service.manager);
  await person.press('Enter');
  await person.rows((rows) => rows.length === 2);

  // Create: Space on the button, arrows among the radio buttons.
  await person.tabTo('button', /Create New/);
  await person.press('Space');
  await person.find('dialog', 'Create New');
  await staysIn(person, page);
  await person.tabTo('radio', /^Connector/);
  await person.press('ArrowDown');
  assert.match((await person.focused()).name, /^Developer/);
  await person.press('ArrowUp');
  await person.tabTo('textbox', 'Issued To');
  await keyboard.type('By keyboard');
  await person.press('Tab');
  assert.equal((await person.focused()).role, 'radio');
  await person.press('ArrowLeft', 'ArrowLeft', 'ArrowRight');
  await person.tabTo('button', 'Create');
  await person.press('Enter');

  // Copy and close.
  await person.find('heading', 'Token created');
  await staysIn(person, page);
  await person.tabTo('button', 'Copy');
  const token = await person.read('textbox', 'Token');
  await person.press('Enter');
  await person.says(/copied/i);
  assert.equal(await visit.paste(), token);
  await person.tabTo('button', 'Close');
  await person.press('Space');
  await person.gone('dialog');
  await person.rows((rows) => rows.length === 3);
  assert.match((await person.focused()).name, /Create New/, 'the focus is back where it was');

  // Not copied: Escape asks, Escape returns, and again by Tab.
  await person.press('Enter');
  await person.find('dialog', 'Create New');
  await person.tabTo('textbox', 'Issued To');
  await keyboard.type('Never copied');
  await person.press('Enter');
  await person.find('heading', 'Token created');
  await person.press('Escape');
  await person.find('button', 'Back');
  await staysIn(person, page, 6);
  await person.tabTo('button', 'Close without copying');
  await person.press('Enter');
  await person.gone('dialog');
  await person.rows((rows) => rows.length === 4);

  // Revoke: Cancel has the focus first, and gives it back.
  await person.tabTo('button', 'Revoke By keyboard');
  await person.press('Enter');
  await person.find('alertdialog', /By keyboard/);
  assert.deepEqual(await person.focused(), { role: 'button', name: 'Cancel' });
  await staysIn(person, page, 6);
  await person.press('Escape');
  await person.gone('alertdialog');
  assert.deepEqual(await person.focused(), { role: 'button', name: 'Revoke By keyboard' });
  await person.press('Space');
  await person.tabTo('button', 'OK');
  await person.press('Enter');
  await person.gone('alertdialog');
  await person.rows((rows) => rows.length === 3);
  await person.until(async () => (await person.focused()).role === 'heading');
  assert.deepEqual(await person.focused(), { role: 'heading', name: 'Service Tokens' }, 'the row is gone, so the heading has the focus');

  // Rotate: the select by arrows.
  await person.tabTo('button', 'Rotate Never copied');
  await person.press('Enter');
  await person.tabTo('combobox', 'The old secret ends');
  await person.press('ArrowDown');
  assert.equal(await person.read('combobox', 'The old secret ends'), 'in 1 hour');
  await person.press('Escape');
  await person.gone('dialog');
  assert.deepEqual(await person.focused(), { role: 'button', name: 'Rotate Never copied' });

  await person.tabTo('button', 'Sign out', { back: true });
  await person.press('Enter');
  await person.find('textbox', 'Manager token');
  assert.deepEqual(await person.focused(), { role: 'textbox', name: 'Manager token' });
});

scene('news are announced: live regions, busy lists and invalid fields', { signedIn: false }, async ({ person, visit, signIn }) => {
  visit.expect(/status of 401/);
  await signIn('wrong');
  await person.alert(/not an active token/);
  assert.equal(await (await person.find('textbox', 'Manager token')).attribute('aria-invalid'), 'true');
  await signIn();
  await person.rows((rows) => rows.length === 2);
  const [status] = await person.all('status');
  assert.match(await status.read(), /2 tokens/);
  await person.fill('searchbox', 'Search by Issued To', 'example');
  assert.ok(await person.until(async () => /1 token\b/.test(await status.read())), 'the same region says what was found');
});

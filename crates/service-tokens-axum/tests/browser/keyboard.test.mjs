// The page with the keyboard alone: Tab, Shift+Tab, Enter, Space, Escape and arrows.

import assert from 'node:assert/strict';

import { pageTest } from './harness/page_test.mjs';

// Presses Tab through the dialog; the focus must not reach an element behind it.
async function staysIn(user, page, steps = 25) {
  for (const back of [false, true]) {
    for (let i = 0; i < steps; i += 1) {
      if (back) await user.shiftTab();
      else await user.press('Tab');
      const outside = await page.evaluate(() => {
        const at = document.activeElement;
        return at && at !== document.body && !at.closest('dialog') ? at.outerHTML : null;
      });
      assert.equal(outside, null, 'the focus left the dialog');
    }
  }
}

pageTest('the keyboard alone creates and revokes', { signedIn: false }, async ({ service, user, page, visit }) => {
  page.mouse.click = () => assert.fail('the mouse was used');
  const { keyboard } = page;

  assert.deepEqual(await user.focused(), { role: 'textbox', name: 'Manager token' }, 'the field is ready to be typed into');
  await keyboard.type(service.manager);
  await user.press('Enter');
  await user.rows((rows) => rows.length === 2);

  // Create: Space on the button, arrows among the radio buttons.
  await user.tabTo('button', /Create New/);
  await user.press('Space');
  await user.find('dialog', 'Create New');
  await staysIn(user, page);
  await user.tabTo('radio', /^Connector/);
  await user.press('ArrowDown');
  assert.match((await user.focused()).name, /^Developer/);
  await user.press('ArrowUp');
  await user.tabTo('textbox', 'Issued To');
  await keyboard.type('By keyboard');
  await user.press('Tab');
  assert.equal((await user.focused()).role, 'radio');
  await user.press('ArrowLeft', 'ArrowLeft', 'ArrowRight');
  await user.tabTo('button', 'Create');
  await user.press('Enter');

  // Copy and close.
  await user.find('heading', 'Token created');
  await staysIn(user, page);
  await user.tabTo('button', 'Copy');
  const token = await user.read('textbox', 'Token');
  await user.press('Enter');
  await user.waitForText(/copied/i);
  assert.equal(await visit.paste(), token);
  await user.tabTo('button', 'Close');
  await user.press('Space');
  await user.waitUntilGone('dialog');
  await user.rows((rows) => rows.length === 3);
  assert.match((await user.focused()).name, /Create New/, 'the focus is back where it was');

  // The token is not copied: Escape opens the question, Escape closes it, and the same with Tab.
  await user.press('Enter');
  await user.find('dialog', 'Create New');
  await user.tabTo('textbox', 'Issued To');
  await keyboard.type('Never copied');
  await user.press('Enter');
  await user.find('heading', 'Token created');
  await user.press('Escape');
  await user.find('button', 'Back');
  await staysIn(user, page, 6);
  await user.tabTo('button', 'Close without copying');
  await user.press('Enter');
  await user.waitUntilGone('dialog');
  await user.rows((rows) => rows.length === 4);

  // Revoke: Cancel has the focus first; afterwards the button has it again.
  await user.tabTo('button', 'Revoke By keyboard');
  await user.press('Enter');
  await user.find('alertdialog', /By keyboard/);
  assert.deepEqual(await user.focused(), { role: 'button', name: 'Cancel' });
  await staysIn(user, page, 6);
  await user.press('Escape');
  await user.waitUntilGone('alertdialog');
  assert.deepEqual(await user.focused(), { role: 'button', name: 'Revoke By keyboard' });
  await user.press('Space');
  await user.tabTo('button', 'OK');
  await user.press('Enter');
  await user.waitUntilGone('alertdialog');
  await user.rows((rows) => rows.length === 3);
  await user.until(async () => (await user.focused()).role === 'heading');
  assert.deepEqual(await user.focused(), { role: 'heading', name: 'Service Tokens' }, 'the row is gone, so the heading has the focus');

  // Rotate: the arrows move the select.
  await user.tabTo('button', 'Rotate Never copied');
  await user.press('Enter');
  await user.tabTo('combobox', 'The old secret ends');
  await user.press('ArrowDown');
  assert.equal(await user.read('combobox', 'The old secret ends'), 'in 1 hour');
  await user.press('Escape');
  await user.waitUntilGone('dialog');
  assert.deepEqual(await user.focused(), { role: 'button', name: 'Rotate Never copied' });

  await user.tabTo('button', 'Sign out', { back: true });
  await user.press('Enter');
  await user.find('textbox', 'Manager token');
  assert.deepEqual(await user.focused(), { role: 'textbox', name: 'Manager token' });
});

pageTest('live regions announce changes and errors', { signedIn: false }, async ({ user, visit, signIn }) => {
  visit.expect(/status of 401/);
  await signIn('wrong');
  await user.alert(/not an active token/);
  assert.equal(await (await user.find('textbox', 'Manager token')).attribute('aria-invalid'), 'true');
  await signIn();
  await user.rows((rows) => rows.length === 2);
  const [status] = await user.all('status');
  assert.match(await status.read(), /2 tokens/);
  await user.fill('searchbox', 'Search by Issued To', 'example');
  assert.ok(await user.until(async () => /1 token\b/.test(await status.read())), 'the same region says what was found');
});

// Revoking, with Cancel and with OK.

import assert from 'node:assert/strict';

import { pageTest } from './harness/page_test.mjs';

let token;
const before = async (service) => {
  token = await service.issue('connector', 'Nightly backup');
};
const names = (rows) => rows.map((row) => row['Issued To']);

pageTest('only OK revokes a token', { before }, async ({ service, user }) => {
  const open = async () => {
    await user.click('button', 'Revoke Nightly backup');
    const dialog = await user.find('alertdialog', /Nightly backup/);
    assert.match(await dialog.read(), /A revoked service token cannot be recovered\./);
    assert.deepEqual(await user.focused(), { role: 'button', name: 'Cancel' });
  };
  await open();
  await user.click('button', 'Cancel');
  await user.waitUntilGone('alertdialog');
  assert.deepEqual(await user.focused(), { role: 'button', name: 'Revoke Nightly backup' });
  await open();
  await user.press('Escape');
  await user.waitUntilGone('alertdialog');
  assert.ok(names(await user.rows()).includes('Nightly backup'));
  assert.equal(await service.upload(token.token), 201);

  await open();
  await user.click('button', 'OK');
  await user.waitUntilGone('alertdialog');
  await user.rows((rows) => !names(rows).includes('Nightly backup'));
  await user.waitForText(/Revoked Nightly backup/);
  assert.equal(await service.upload(token.token), 401);

  await user.choose('State', 'Revoked');
  const [row] = await user.rows((rows) => rows.length === 1);
  assert.equal(row['Issued To'], 'Nightly backup');
  assert.equal(row.State, 'Revoked');
  assert.deepEqual(await user.all('button', /^(Revoke|Rotate) /), [], 'there is nothing left to do with it');
});

pageTest('a revocation leaves the focus in a field', { before }, async ({ user, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await user.click('button', 'Revoke Nightly backup');
  await user.click('button', 'OK');
  await user.waitUntilGone('alertdialog');
  await user.click('searchbox', 'Search by Issued To');
  await user.page.keyboard.type('op');
  // The page requests the new search before it has read the list after the revocation.
  const asked = () => visit.requests.some((request) => /issued_to_contains=op/.test(request.url()));
  assert.ok(await user.until(asked), 'the search is under way');
  release();
  await user.rows((rows) => names(rows).join() === 'the operator');
  await user.waitForText(/Revoked Nightly backup\. 1 token\./);
  await user.page.keyboard.type('er');
  assert.equal(await user.read('searchbox', 'Search by Issued To'), 'oper');
  assert.deepEqual(await user.focused(), { role: 'searchbox', name: 'Search by Issued To' });
});

pageTest('a revocation does not move a moved focus', { before }, async ({ user, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await user.click('button', 'Revoke Nightly backup');
  await user.click('button', 'OK');
  await user.waitUntilGone('alertdialog');
  await user.click('searchbox', 'Search by Issued To');
  release();
  await user.rows((rows) => rows.length === 2);
  assert.deepEqual(await user.focused(), { role: 'searchbox', name: 'Search by Issued To' });
});

pageTest('signing out during a reload shows no list', { before }, async ({ user, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await user.click('button', 'Rotate Nightly backup');
  await user.click('button', 'Rotate');
  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  await user.click('button', 'Close');
  await user.waitUntilGone('dialog');
  await user.click('button', 'Sign out');
  release();
  await user.find('textbox', 'Manager token');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(await user.focused(), { role: 'textbox', name: 'Manager token' });
});

pageTest('a token revoked elsewhere shows who revoked it', { before }, async ({ service, user }) => {
  const colleague = await service.issue('manager', 'the colleague');
  await user.click('button', 'Revoke Nightly backup');
  await service.api('POST', `tokens/${token.id}/revoke`, { reason: 'the server was stolen' }, colleague.token);
  await user.click('button', 'OK');
  const sentence = await user.alert(/the colleague revoked this token first/);
  assert.match(sentence, /the server was stolen/);
  await user.click('button', 'Close');
  await user.waitUntilGone('alertdialog');
  await user.rows((rows) => !names(rows).includes('Nightly backup'));

  // The details have the same facts, one in each line.
  await user.choose('State', 'Revoked');
  await user.click('button', 'Details Nightly backup');
  await user.waitForText(/by the colleague/);
  const dialog = await user.find('dialog', 'Token details');
  const facts = await dialog.call(function () {
    return [...this.querySelectorAll('dl > div')].map((fact) => [...fact.children].map((part) => part.innerText));
  });
  assert.deepEqual(facts.find(([term]) => term === 'Reason'), ['Reason', 'the server was stolen']);
  for (const [term, said] of facts) assert.doesNotMatch(said, /^\s*:/m, term);
});

pageTest('revoking one’s own token signs out', { before }, async ({ user, visit }) => {
  visit.expect(/status of 401/);
  await user.click('button', 'Revoke the operator');
  await user.waitForText(/signed in with this token/);
  await user.click('button', 'OK');
  await user.find('textbox', 'Manager token');
  await user.alert(/You revoked the token/);
});

// Revoke, with Cancel and with OK.

import assert from 'node:assert/strict';

import { scene } from './scene.mjs';

let token;
const before = async (service) => {
  token = await service.issue('connector', 'Nightly backup');
};
const names = (rows) => rows.map((row) => row['Issued To']);

scene('Cancel changes nothing, OK revokes', { before }, async ({ service, person }) => {
  const open = async () => {
    await person.click('button', 'Revoke Nightly backup');
    const dialog = await person.find('alertdialog', /Nightly backup/);
    assert.match(await dialog.read(), /A revoked service token cannot be recovered\./);
    assert.deepEqual(await person.focused(), { role: 'button', name: 'Cancel' });
  };
  await open();
  await person.click('button', 'Cancel');
  await person.gone('alertdialog');
  assert.deepEqual(await person.focused(), { role: 'button', name: 'Revoke Nightly backup' });
  await open();
  await person.press('Escape');
  await person.gone('alertdialog');
  assert.ok(names(await person.rows()).includes('Nightly backup'));
  assert.equal(await service.upload(token.token), 201);

  await open();
  await person.click('button', 'OK');
  await person.gone('alertdialog');
  await person.rows((rows) => !names(rows).includes('Nightly backup'));
  await person.says(/Revoked Nightly backup/);
  assert.equal(await service.upload(token.token), 401);

  await person.choose('State', 'Revoked');
  const [row] = await person.rows((rows) => rows.length === 1);
  assert.equal(row['Issued To'], 'Nightly backup');
  assert.equal(row.State, 'Revoked');
  assert.deepEqual(await person.all('button', /^(Revoke|Rotate) /), [], 'there is nothing left to do with it');
});

scene('whoever types meanwhile keeps the focus, and hears the news', { before }, async ({ person, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await person.click('button', 'Revoke Nightly backup');
  await person.click('button', 'OK');
  await person.gone('alertdialog');
  await person.click('searchbox', 'Search by Issued To');
  await person.page.keyboard.type('op');
  // What was typed is asked for before the list is there as the revocation has left it.
  const asked = () => visit.requests.some((request) => /issued_to_contains=op/.test(request.url()));
  assert.ok(await person.until(asked), 'the search is under way');
  release();
  await person.rows((rows) => names(rows).join() === 'the operator');
  await person.says(/Revoked Nightly backup\. 1 token\./);
  await person.page.keyboard.type('er');
  assert.equal(await person.read('searchbox', 'Search by Issued To'), 'oper');
  assert.deepEqual(await person.focused(), { role: 'searchbox', name: 'Search by Issued To' });
});

scene('the focus goes only where nobody has moved it', { before }, async ({ person, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await person.click('button', 'Revoke Nightly backup');
  await person.click('button', 'OK');
  await person.gone('alertdialog');
  await person.click('searchbox', 'Search by Issued To');
  release();
  await person.rows((rows) => rows.length === 2);
  assert.deepEqual(await person.focused(), { role: 'searchbox', name: 'Search by Issued To' });
});

scene('signing out while the list is read after an act', { before }, async ({ person, visit }) => {
  const release = await visit.hold('GET', '/tokens');
  await person.click('button', 'Rotate Nightly backup');
  await person.click('button', 'Rotate');
  await person.click('button', 'Copy');
  await person.says(/copied/i);
  await person.click('button', 'Close');
  await person.gone('dialog');
  await person.click('button', 'Sign out');
  release();
  await person.find('textbox', 'Manager token');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(await person.focused(), { role: 'textbox', name: 'Manager token' });
});

scene('somebody else revokes first', { before }, async ({ service, person }) => {
  const colleague = await service.issue('manager', 'the colleague');
  await person.click('button', 'Revoke Nightly backup');
  await service.api('POST', `tokens/${token.id}/revoke`, { reason: 'the server was stolen' }, colleague.token);
  await person.click('button', 'OK');
  const sentence = await person.alert(/the colleague revoked this token first/);
  assert.match(sentence, /the server was stolen/);
  await person.click('button', 'Close');
  await person.gone('alertdialog');
  await person.rows((rows) => !names(rows).includes('Nightly backup'));

  // Its details say the same, each in a line of its own.
  await person.choose('State', 'Revoked');
  await person.click('button', 'Details Nightly backup');
  await person.says(/by the colleague/);
  const dialog = await person.find('dialog', 'Token details');
  const facts = await dialog.call(function () {
    return [...this.querySelectorAll('dl > div')].map((fact) => [...fact.children].map((part) => part.innerText));
  });
  assert.deepEqual(facts.find(([term]) => term === 'Reason'), ['Reason', 'the server was stolen']);
  for (const [term, said] of facts) assert.doesNotMatch(said, /^\s*:/m, term);
});

scene('revoking the token that one is signed in with signs out', { before }, async ({ person, visit }) => {
  visit.expect(/status of 401/);
  await person.click('button', 'Revoke the operator');
  await person.says(/signed in with this token/);
  await person.click('button', 'OK');
  await person.find('textbox', 'Manager token');
  await person.alert(/You revoked the token/);
});

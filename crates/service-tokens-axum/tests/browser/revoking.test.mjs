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
});

scene('revoking the token that one is signed in with signs out', { before }, async ({ person, visit }) => {
  visit.expect(/status of 401/);
  await person.click('button', 'Revoke whoever started the service');
  await person.says(/signed in with this token/);
  await person.click('button', 'OK');
  await person.find('textbox', 'Manager token');
  await person.alert(/You revoked the token/);
});

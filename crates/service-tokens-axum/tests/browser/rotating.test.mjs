// Rotating, with and without an overlap of the old secret and the new one.

import assert from 'node:assert/strict';

import { copyAndClose, shown } from './harness/steps.mjs';
import { pageTest } from './harness/page_test.mjs';

async function rotate(user, name, ends) {
  await user.click('button', `Rotate ${name}`);
  await user.find('dialog', new RegExp(`^Rotate .*${name}`));
  await user.choose('The old secret ends', ends);
  await user.click('button', 'Rotate');
  const { token } = await shown(user, 'Token rotated');
  await copyAndClose(user);
  return token;
}

let old;
const before = async (service) => {
  old = (await service.issue('connector', 'Nightly backup')).token;
};

pageTest('an overlap accepts both secrets', { before }, async ({ service, user }) => {
  await user.click('button', 'Rotate Nightly backup');
  const select = await user.find('combobox', 'The old secret ends');
  assert.deepEqual(await select.options(), ['at once', 'in 1 hour', 'in 24 hours', 'in 7 days', 'when the new one is first used']);
  await user.click('button', 'Cancel');
  await user.waitUntilGone('dialog');
  assert.equal(await service.upload(old), 201);

  const token = await rotate(user, 'Nightly backup', 'in 1 hour');
  assert.notEqual(token, old);
  assert.equal(await service.upload(token), 200);
  assert.equal(await service.upload(old), 200);
  assert.equal((await user.rows()).filter((row) => row['Issued To'] === 'Nightly backup').length, 1, 'the same token');
  const [record] = await service.list('issued_to=Nightly%20backup');
  const overlap = Date.parse(record.overlap.ends_at) - Date.parse(record.secret_created_at);
  assert.ok(Math.abs(overlap - 3_600_000) < 5000, `${overlap} ms`);

  // A second time while two are valid: the user chooses which one to replace.
  await user.click('button', 'Rotate Nightly backup');
  await user.click('radio', /^the older one/);
  await user.choose('The old secret ends', 'in 1 hour');
  await user.click('button', 'Rotate');
  const third = (await shown(user, 'Token rotated')).token;
  await copyAndClose(user);
  assert.deepEqual([await service.upload(third), await service.upload(token), await service.upload(old)], [200, 200, 401]);
});

pageTest('“at once” ends the old secret', { before }, async ({ service, user }) => {
  const token = await rotate(user, 'Nightly backup', 'at once');
  assert.equal(await service.upload(old), 401);
  assert.equal(await service.upload(token), 201);
});

pageTest('the first use of the new secret ends the old', { before }, async ({ service, user }) => {
  const token = await rotate(user, 'Nightly backup', 'when the new one is first used');
  assert.equal(await service.upload(old), 201);
  assert.equal(await service.upload(token), 200);
  const refused = await user.until(async () => (await service.upload(old)) === 401);
  assert.ok(refused, 'the old secret has ended');
});

pageTest('a rotation elsewhere is reported', { before }, async ({ service, user, visit }) => {
  visit.expect(/status of 409/);
  await user.click('button', 'Rotate Nightly backup');
  const [{ id }] = await service.list('issued_to=Nightly%20backup');
  const theirs = await service.api('POST', `tokens/${id}/rotate`, {});
  await user.click('button', 'Rotate');
  const sentence = await user.alert(/rotated/i);
  assert.match(sentence, /\.$/);
  assert.equal(await service.upload(theirs.token), 201, 'the secret of the first is not lost');
});

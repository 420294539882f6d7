// Rotate, with and without an overlap of the old secret and the new one.

import assert from 'node:assert/strict';

import { copyAndClose, shown } from './acts.mjs';
import { scene } from './scene.mjs';

async function rotate(person, name, ends) {
  await person.click('button', `Rotate ${name}`);
  await person.find('dialog', new RegExp(`^Rotate .*${name}`));
  await person.choose('The old secret ends', ends);
  await person.click('button', 'Rotate');
  const { token } = await shown(person, 'Token rotated');
  await copyAndClose(person);
  return token;
}

let old;
const before = async (service) => {
  old = (await service.issue('connector', 'Nightly backup')).token;
};

scene('with an overlap old and new are both accepted', { before }, async ({ service, person }) => {
  await person.click('button', 'Rotate Nightly backup');
  const select = await person.find('combobox', 'The old secret ends');
  assert.deepEqual(await select.options(), ['at once', 'in 1 hour', 'in 24 hours', 'in 7 days', 'when the new one is first used']);
  await person.click('button', 'Cancel');
  await person.gone('dialog');
  assert.equal(await service.upload(old), 201);

  const token = await rotate(person, 'Nightly backup', 'in 1 hour');
  assert.notEqual(token, old);
  assert.equal(await service.upload(token), 200);
  assert.equal(await service.upload(old), 200);
  assert.equal((await person.rows()).filter((row) => row['Issued To'] === 'Nightly backup').length, 1, 'the same token');
  const [record] = await service.list('issued_to=Nightly%20backup');
  const overlap = Date.parse(record.overlap.ends_at) - Date.parse(record.secret_created_at);
  assert.ok(Math.abs(overlap - 3_600_000) < 5000, `${overlap} ms`);

  // A second time while two are valid: the person says which one goes.
  await person.click('button', 'Rotate Nightly backup');
  await person.click('radio', /^the older one/);
  await person.choose('The old secret ends', 'in 1 hour');
  await person.click('button', 'Rotate');
  const third = (await shown(person, 'Token rotated')).token;
  await copyAndClose(person);
  assert.deepEqual([await service.upload(third), await service.upload(token), await service.upload(old)], [200, 200, 401]);
});

scene('“at once” refuses the old one', { before }, async ({ service, person }) => {
  const token = await rotate(person, 'Nightly backup', 'at once');
  assert.equal(await service.upload(old), 401);
  assert.equal(await service.upload(token), 201);
});

scene('“when the new one is first used” ends the old one then', { before }, async ({ service, person }) => {
  const token = await rotate(person, 'Nightly backup', 'when the new one is first used');
  assert.equal(await service.upload(old), 201);
  assert.equal(await service.upload(token), 200);
  const refused = await person.until(async () => (await service.upload(old)) === 401);
  assert.ok(refused, 'the old secret has ended');
});

scene('somebody else rotates first', { before }, async ({ service, person, visit }) => {
  visit.expect(/status of 409/);
  await person.click('button', 'Rotate Nightly backup');
  const [{ id }] = await service.list('issued_to=Nightly%20backup');
  const theirs = await service.api('POST', `tokens/${id}/rotate`, {});
  await person.click('button', 'Rotate');
  const sentence = await person.alert(/rotated/i);
  assert.match(sentence, /\.$/);
  assert.equal(await service.upload(theirs.token), 201, 'the secret of the first is not lost');
});

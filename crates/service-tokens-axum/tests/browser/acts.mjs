// What a person does on the page in several steps.

// Opens the dialog, fills it in and creates; returns what the next dialog shows.
export async function create(person, type, issuedTo, expiration) {
  await person.click('button', /Create New/);
  await person.find('dialog', 'Create New');
  await person.click('radio', new RegExp(`^${type}\\b`));
  await person.fill('textbox', 'Issued To', issuedTo);
  if (expiration) await person.click('radio', expiration);
  await person.click('button', 'Create');
  return shown(person, 'Token created');
}

// The token and the header line in the dialog that shows them once.
export async function shown(person, heading) {
  await person.find('heading', heading);
  const token = await person.read('textbox', 'Token');
  const line = await person.read('textbox', 'Header line');
  return { token, line };
}

// Copies and closes.
export async function copyAndClose(person) {
  await person.click('button', 'Copy');
  await person.says(/copied/i);
  await person.click('button', 'Close');
  await person.gone('dialog');
}

// Of a token, what nobody may keep: the 43 characters between the id and the checksum.
export function secretOf(token) {
  return token.slice(-49, -6);
}

// Steps on the page that several tests share.

// Opens the dialog, fills it in and chooses Create; returns the contents of the next dialog.
export async function create(user, type, issuedTo, expiration) {
  await user.click('button', /Create New/);
  await user.find('dialog', 'Create New');
  await user.click('radio', new RegExp(`^${type}\\b`));
  await user.fill('textbox', 'Issued To', issuedTo);
  if (expiration) await user.click('radio', expiration);
  await user.click('button', 'Create');
  return shown(user, 'Token created');
}

// Returns the token and the header line of the dialog that shows them once.
export async function shown(user, heading) {
  await user.find('heading', heading);
  const token = await user.read('textbox', 'Token');
  const line = await user.read('textbox', 'Header line');
  return { token, line };
}

// Chooses Copy, then Close.
export async function copyAndClose(user) {
  await user.click('button', 'Copy');
  await user.waitForText(/copied/i);
  await user.click('button', 'Close');
  await user.waitUntilGone('dialog');
}

// Returns the secret of a token: the 43 characters between the id and the checksum.
export function secretOf(token) {
  return token.slice(-49, -6);
}

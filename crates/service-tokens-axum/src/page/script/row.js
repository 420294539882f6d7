// One row of the list, and the actions of its buttons.

/** The token of each row that is shown. */
const rowTokens = new WeakMap();

function tokenRow(token) {
  const row = make('tr', '', ...cells(token));
  row.setAttribute('role', 'row');
  row.dataset.id = token.id;
  rowTokens.set(row, token);
  return row;
}

async function onRowClick(event) {
  const action = event.target.closest('[data-action]')?.dataset.action;
  if (!action) return;
  const token = rowTokens.get(event.target.closest('tr'));
  if (action === 'details') openDetails(token);
  if (action === 'rotate') openRotate(token);
  if (action === 'revoke') openRevoke(token);
  if (action === 'copy') {
    const copied = await copyText(token.id);
    const message = copied
      ? ['The ID of ', isolated(token.issued_to), ' was copied.']
      : ['This browser does not let the page copy. Select the ID and copy it.'];
    list?.parts.status.replaceChildren(...message);
  }
}

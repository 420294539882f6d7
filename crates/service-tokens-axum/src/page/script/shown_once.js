// The dialog that shows a new token once. Only two fields of this dialog contain the token.

/**
 * Moves the token from the answer into the dialog. After the dialog is closed, the list shows the change
 * and the focus returns to the button of `action`.
 */
function openShownOnce(title, answer, action) {
  const parts = stamp('shown-once-dialog');
  const { root, token, line, shown, ask: question, status } = parts;
  const { id, issued_to: name } = answer;
  const own = id === self.id;
  token.value = answer.token;
  line.value = `Authorization: Bearer ${answer.token}`;
  delete answer.token;

  parts.title.textContent = title;
  parts.warning.append(make('strong', '', 'This token is not stored, so copy it immediately.'),
    ' It cannot be shown again. It is issued to ', make('bdi', '', name), '.');

  let copied = false;
  const beforeUnload = (event) => {
    if (!copied) event.preventDefault();
  };
  window.addEventListener('beforeunload', beforeUnload);

  async function copy(field, name) {
    status.textContent = '';
    if (await copyField(field)) {
      copied = true;
      status.textContent = `${name} copied.`;
    } else {
      status.textContent = 'This browser does not let the page copy. The text is selected, so press Ctrl+C (or ⌘C).';
    }
  }

  const askFirst = (asking) => {
    question.hidden = !asking;
    shown.hidden = asking;
    (asking ? parts.back : parts.copy).focus();
  };
  const close = openDialog(root, {
    personal: true,
    leave(close) {
      if (copied) close();
      else askFirst(question.hidden);
    },
    closing() {
      window.removeEventListener('beforeunload', beforeUnload);
      window.removeEventListener('pagehide', close);
      token.value = '';
      line.value = '';
    },
    closed: () => (own ? ownRotated() : shownClosed(id, name, action)),
  });
  // The browser's back/forward cache must not contain the token.
  window.addEventListener('pagehide', close);
  parts.copy.addEventListener('click', () => copy(token, 'Token'));
  parts.copyLine.addEventListener('click', () => copy(line, 'Header line'));
  parts.close.addEventListener('click', () => (copied ? close() : askFirst(true)));
  parts.closeAnyway.addEventListener('click', close);
  parts.back.addEventListener('click', () => askFirst(false));
  for (const field of [token, line]) {
    field.addEventListener('focus', () => field.select());
    // The person selected and copied the whole text.
    field.addEventListener('copy', () => {
      if (field.selectionStart === 0 && field.selectionEnd === field.value.length) copied = true;
    });
  }
  parts.copy.focus();
}

function ownRotated() {
  signOut('You rotated the token that you were signed in with. Sign in with the new one.');
}

function shownClosed(id, name, action) {
  // The session ended while the dialog was open.
  if (!list) return document.getElementById('manager-token').focus();
  if (action === 'create') {
    list.parts.create.focus();
    return list.newest('Created ', isolated(name), '. ');
  }
  list.focus(id, action);
  list.read('Rotated ', isolated(name), '. ');
}

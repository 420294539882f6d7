// The token, shown once. While it is shown it stands in two fields and in nothing else of this page.

/**
 * Takes the token out of the answer and shows it. When it is closed, the list shows what changed and
 * the focus goes back to what `act` was chosen with.
 */
function openShownOnce(title, answer, act) {
  const parts = stamp('shown-once-dialog');
  const { root, token, line, shown, ask: question, status } = parts;
  const { id, issued_to: name } = answer;
  const own = id === self.id;
  token.value = answer.token;
  line.value = `Authorization: Bearer ${answer.token}`;
  delete answer.token;

  parts.title.textContent = title;
  parts.warning.append(make('strong', '', 'This token is not stored: copy it immediately.'),
    ' It cannot be shown again. It is issued to ', make('bdi', '', name), '.');

  let copied = false;
  const beforeUnload = (event) => {
    if (!copied) event.preventDefault();
  };
  window.addEventListener('beforeunload', beforeUnload);

  async function copy(field, what) {
    status.textContent = '';
    if (await copyField(field)) {
      copied = true;
      status.textContent = `${what} copied.`;
    } else {
      status.textContent = 'This browser does not let the page copy. It is selected: press Ctrl+C (or ⌘C).';
    }
  }

  const askFirst = (asking) => {
    question.hidden = !asking;
    shown.hidden = asking;
    (asking ? parts.back : parts.copy).focus();
  };
  const close = openDialog(root, {
    kept: true,
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
    closed: () => (own ? ownRotated() : shownClosed(id, name, act)),
  });
  // A page that the browser keeps for going back must not keep this either.
  window.addEventListener('pagehide', close);
  parts.copy.addEventListener('click', () => copy(token, 'Token'));
  parts.copyLine.addEventListener('click', () => copy(line, 'Header line'));
  parts.close.addEventListener('click', () => (copied ? close() : askFirst(true)));
  parts.closeAnyway.addEventListener('click', close);
  parts.back.addEventListener('click', () => askFirst(false));
  for (const field of [token, line]) {
    field.addEventListener('focus', () => field.select());
    // Copied by hand, all of it.
    field.addEventListener('copy', () => {
      if (field.selectionStart === 0 && field.selectionEnd === field.value.length) copied = true;
    });
  }
  parts.copy.focus();
}

function ownRotated() {
  signOut('You rotated the token that you were signed in with. Sign in with the new one.');
}

function shownClosed(id, name, act) {
  // The session has ended behind the dialog.
  if (!list) return document.getElementById('manager-token').focus();
  if (act === 'create') {
    list.parts.create.focus();
    return list.newest('Created ', isolated(name), '. ');
  }
  list.focus(id, act);
  list.read('Rotated ', isolated(name), '. ');
}

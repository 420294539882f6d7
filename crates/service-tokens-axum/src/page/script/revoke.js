// The dialog that revokes a token permanently.

function openRevoke(token) {
  const parts = stamp('revoke-dialog');
  parts.name.textContent = token.issued_to;
  parts.type.textContent = capitalised(token.type);
  parts.id.textContent = token.id;
  const own = token.id === self.id;
  parts.own.hidden = !own;
  let news = [];
  let tried = false;
  openForm(parts, {
    busyText: 'Revoking…',
    async send(signal, close) {
      tried = true;
      const path = own ? 'tokens/self/revoke' : `tokens/${token.id}/revoke`;
      const answer = await ask('POST', path, { signal });
      if (own) return signOut('You revoked the token that you were signed in with. Sign in with another.');
      // A revocation by the same token without a reason was this attempt, because browsers repeat a request
      // when a connection breaks.
      const { by, reason } = answer.revocation ?? {};
      if (answer.already_revoked && (by !== self.id || reason)) {
        return showEarlierRevocation(parts, answer.revocation, by && (await nameOf(by)));
      }
      news = ['Revoked ', isolated(token.issued_to), '. '];
      close();
    },
    failed(failure) {
      if (!failure.unknown) return sentence(failure);
      return 'The answer did not arrive, so it is unknown whether the token was revoked. Choose OK again. Revoking twice is harmless.';
    },
    closed() {
      list?.focus(token.id, 'revoke');
      if (tried) list?.read(...news);
    },
  });
  parts.cancel.focus();
}

/** Shows that another person or program revoked the token first, with time and reason. */
function showEarlierRevocation({ alert, text, submit, cancel }, revocation, who) {
  text.hidden = true;
  const { at, reason } = revocation ?? {};
  const contents = [who ? isolated(who) : 'Another person or program', ' revoked this token first'];
  if (at) contents.push(', on ', timeElement(at, instant(new Date(at))));
  if (reason) contents.push('. The reason: ', isolated(reason));
  alert.replaceChildren(make('span', '', ...contents, '. It stays revoked. You do not need to do anything.'));
  alert.hidden = false;
  submit.hidden = true;
  cancel.textContent = 'Close';
  cancel.focus();
}

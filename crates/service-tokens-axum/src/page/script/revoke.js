// Revoking, for good.

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
      // By the same token and without a reason it was this very attempt: browsers repeat one by
      // themselves when a connection breaks.
      const { by, reason } = answer.revocation ?? {};
      if (answer.already_revoked && (by !== self.id || reason)) {
        return tellFirst(parts, answer.revocation, by && (await nameOf(by)));
      }
      news = ['Revoked ', isolated(token.issued_to), '. '];
      close();
    },
    failed(failure) {
      if (!failure.unknown) return sentence(failure);
      return 'The answer did not arrive, so it is not known whether the token was revoked. Choose OK again: revoking twice does no harm.';
    },
    closed() {
      list?.focus(token.id, 'revoke');
      if (tried) list?.read(...news);
    },
  });
  parts.cancel.focus();
}

/** Somebody else was first: who, when and why. */
function tellFirst({ alert, text, submit, cancel }, revocation, who) {
  text.hidden = true;
  const { at, reason } = revocation ?? {};
  const contents = [who ? isolated(who) : 'Somebody else', ' revoked this token first'];
  if (at) contents.push(', on ', timeElement(at, instant(new Date(at))));
  if (reason) contents.push('. The reason: ', isolated(reason));
  alert.replaceChildren(make('span', '', ...contents, '. It stays revoked; there is nothing left to do.'));
  alert.hidden = false;
  submit.hidden = true;
  cancel.textContent = 'Close';
  cancel.focus();
}

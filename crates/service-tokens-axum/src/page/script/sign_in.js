// Signing in.

const SCHEME = 'bearer ';
const HEADER = 'authorization:';

/** The token in what was pasted: a bare one, or the whole header line. */
function pasted(text) {
  let token = text.trim();
  if (token.toLowerCase().startsWith(HEADER)) token = token.slice(HEADER.length).trim();
  if (token.toLowerCase().startsWith(SCHEME)) token = token.slice(SCHEME.length).trim();
  return token;
}

/** Whether it can stand in a header as a token at all. */
function spellable(token) {
  return [...token].every((letter) => letter > ' ' && letter <= '~');
}

function showSignIn(reason = '') {
  const { root, form, token: field, alert, submit } = stamp('sign-in-view');
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    let token = pasted(field.value);
    const wrong = !token
      ? 'Paste a manager token.'
      : spellable(token) ? '' : 'This is no service token: it has characters that no token has.';
    if (wrong) return refuse(wrong);
    busy = true;
    submit.textContent = 'Signing in…';
    submit.setAttribute('aria-disabled', 'true');
    try {
      const signedIn = signIn(token);
      token = '';
      await signedIn;
      field.value = '';
      showList();
    } catch (error) {
      if (error instanceof Overtaken) return;
      if (!(error instanceof Failure)) throw error;
      refuse(whyNot(error));
    } finally {
      busy = false;
      submit.textContent = 'Sign in';
      submit.removeAttribute('aria-disabled');
    }
  });

  function refuse(text) {
    alert.replaceChildren(make('p', 'notice bad', text));
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    field.select();
  }

  document.getElementById('view').replaceChildren(root);
  if (reason) alert.append(make('p', 'notice bad', reason));
  field.focus();
}

function whyNot(failure) {
  const { status, problem } = failure;
  if (status === 401 || status === 400) {
    return 'This is not an active token. Check that all of it was pasted, or sign in with another.';
  }
  if (status === 403) {
    return `This token lacks the scope ${problem.scope ?? 'service-tokens:read'}, which this page needs. Sign in with one that has it.`;
  }
  return sentence(failure);
}

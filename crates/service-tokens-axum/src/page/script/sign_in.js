// The sign-in form.

const SCHEME = 'bearer ';
const HEADER = 'authorization:';

/** Returns the token from the pasted text, which is a token or a whole header line. */
function tokenFrom(text) {
  let token = text.trim();
  if (token.toLowerCase().startsWith(HEADER)) token = token.slice(HEADER.length).trim();
  if (token.toLowerCase().startsWith(SCHEME)) token = token.slice(SCHEME.length).trim();
  return token;
}

/** Whether the token has only characters that a header can contain. */
function fitsHeader(token) {
  return [...token].every((letter) => letter > ' ' && letter <= '~');
}

function showSignIn(reason = '') {
  const { root, form, token: field, alert, submit } = stamp('sign-in-view');
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    let token = tokenFrom(field.value);
    const wrong = !token
      ? 'Paste a manager token.'
      : fitsHeader(token) ? '' : 'This is not a service token, because it contains invalid characters.';
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
      if (error instanceof Outdated) return;
      if (!(error instanceof Failure)) throw error;
      refuse(signInFailure(error));
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

function signInFailure(failure) {
  const { status, problem } = failure;
  if (status === 401 || status === 400) {
    return 'This is not an active token. Check that you pasted all of it, or sign in with another.';
  }
  if (status === 403) {
    return `This token lacks the scope ${problem.scope ?? 'service-tokens:read'}, which this page requires. Sign in with a token that has it.`;
  }
  return sentence(failure);
}

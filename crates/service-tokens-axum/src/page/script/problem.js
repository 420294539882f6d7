// Turns a failed request into a sentence that says how to continue.

const UNREACHABLE = 'The server could not be reached. Check the connection and try again.';
/** The names of request fields on this page. */
const FIELDS = {
  type: 'Type',
  issued_to: 'Issued To',
  expires_at: 'The expiration',
  expires_in: 'The expiration',
  never_expires: 'The expiration',
  overlap_for: 'The overlap of both secrets',
  issued_to_contains: 'The search',
};

const UNAVAILABLE = 'The token store is unavailable at the moment. Try again in a few seconds.';

/** The sentence for a failed request. */
function sentence(failure) {
  const { status, problem, kind } = failure;
  if (status === 0) return UNREACHABLE;
  if (kind === 'issuing-paused') return pausedSentence(problem.reason);
  if (status === 503) return UNAVAILABLE;
  if (status === 403 && problem.scope) {
    return `Your manager token lacks the scope ${problem.scope}. Sign in with one that has it.`;
  }
  if (kind === 'exceeds-caller') {
    return 'This token has scopes that your manager token lacks. A rotation would show you a usable secret, so it is refused. Sign in with a manager token that has all these scopes.';
  }
  if (/(acting|calling) token's/.test(problem.rule ?? '')) {
    return 'The expiration is later than that of your manager token. Sign in with a manager token that expires later.';
  }
  if (kind === 'not-active') return `${finished(problem.detail ?? 'It is not active')} Close this dialog and refresh the list.`;
  if (status === 404) return 'The token no longer exists. Close this dialog and refresh the list.';
  if (problem.field === 'Idempotency-Key') {
    return 'The clock of this computer differs from the server’s clock by more than an hour. Correct it, reload this page and try again.';
  }
  if (problem.field && !problem.detail) return finished(`${FIELDS[problem.field] ?? problem.field} ${problem.rule}`);
  const detail = problem.detail || problem.title;
  if (!detail) return `The server answered with an error (${status}). Try again, or ask its operator.`;
  return finished(capitalised(detail));
}

/** The sentence about paused issuing, or an empty text if issuing was not paused at the last request. */
function pausedNotice() {
  const reason = catalogue.issuing_paused ?? null;
  return reason === null ? '' : pausedSentence(reason);
}

function pausedSentence(reason) {
  const why = reason ? `Issuing is paused: ${isolate(finished(reason))}` : 'Issuing is paused.';
  return `${why} No token can be created until an operator resumes issuing. Existing tokens still work.`;
}

/** Adds a full stop if the text has no end mark. */
function finished(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

// What went wrong, as a sentence that says how to go on.

const UNREACHABLE = 'The server could not be reached. Check the connection and try again.';
/** What the fields of a request are called on this page. */
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
  if (kind === 'issuing-stopped') return stoppedSentence(problem.reason);
  if (status === 503) return UNAVAILABLE;
  if (status === 403 && problem.scope) {
    return `Your manager token lacks the scope ${problem.scope}. Sign in with one that has it.`;
  }
  if (kind === 'beyond-acting-token') {
    return 'This token may do more than your manager token, and whoever rotates a token can use it. Sign in with one that has all its scopes.';
  }
  if (/acting token's end/.test(problem.rule ?? '')) {
    return 'Its expiration is later than that of your manager token. Sign in with one that lives as long.';
  }
  if (kind === 'not-active') return `${finished(problem.detail ?? 'It is not active')} Close this and refresh the list.`;
  if (status === 404) return 'There is no such token any more. Close this and refresh the list.';
  if (problem.field === 'Idempotency-Key') {
    return 'The clock of this computer differs from the server’s by more than an hour. Set it right, reload this page and try again.';
  }
  if (problem.field && !problem.detail) return finished(`${FIELDS[problem.field] ?? problem.field} ${problem.rule}`);
  const detail = problem.detail || problem.title;
  if (!detail) return `The server failed to answer properly (${status}). Try again, or ask its operator.`;
  return finished(capitalised(detail));
}

/** That issuing is stopped, when it was last looked at; empty if it was not. */
function whetherStopped() {
  const reason = catalogue.issuing_stopped ?? null;
  return reason === null ? '' : stoppedSentence(reason);
}

function stoppedSentence(reason) {
  const why = reason ? `Issuing is stopped: ${isolate(finished(reason))}` : 'Issuing is stopped.';
  return `${why} Nothing can be created until an operator resumes it; existing tokens go on working.`;
}

/** With a full stop at its end. */
function finished(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

// What went wrong, as a sentence that says how to go on.

const UNREACHABLE = 'The server could not be reached. Check the connection and try again.';
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
  if (status === 404) return 'There is no such token any more. Close this and refresh the list.';
  const detail = problem.detail || problem.title;
  if (!detail) return `The server failed to answer properly (${status}). Try again, or ask its operator.`;
  return finished(capitalised(detail));
}

function stoppedSentence(reason) {
  const why = reason ? `Issuing is stopped: ${finished(reason)}` : 'Issuing is stopped.';
  return `${why} Nothing can be created until an operator resumes it; existing tokens go on working.`;
}

/** With a full stop at its end. */
function finished(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

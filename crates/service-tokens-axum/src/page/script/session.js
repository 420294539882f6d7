// The session. The manager token is only in the memory of this page, and each request to the API uses it.

/** The prefix of the problem types of the API. */
const PROBLEM = 'urn:service-tokens:problem:';

/** The maximum time to wait for an answer. */
const ANSWER_TIMEOUT = 30 * SECOND;

/** The only variable that holds the manager token. */
let managerToken = null;

/** Aborts all pending requests when the session ends. */
let sessionEnd = new AbortController();

/** The record of the manager token, and the server's token types and policy. */
let self = null;
let catalogue = null;

/** The error of a request whose answer is no longer wanted. The page shows nothing for it. */
class Outdated extends Error {}

/** The error of a failed request, with the server's problem or with status 0 if no answer arrived. */
class Failure extends Error {
  constructor(status, problem) {
    super('request failed');
    this.status = status;
    this.problem = problem ?? {};
  }

  /**
   * Whether the request may have been carried out. That is the case if the API says so, or if the answer is
   * not from the API. The answer of a proxy or a timeout does not say whether the API acted.
   */
  get unknown() {
    if (this.kind) return this.kind === 'indeterminate';
    return this.status === 0 || this.status === 408 || this.status >= 500;
  }

  /** The name of the API's problem, such as `not-found`. Empty if the answer is not from the API. */
  get kind() {
    const type = String(this.problem.type ?? '');
    return type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : '';
  }
}

/** Sends a request to the management API. Throws `Failure`, or `Outdated` if `signal` aborts or the session
 * ends. */
async function ask(method, path, { body, key, signal } = {}) {
  const token = managerToken;
  const ended = sessionEnd.signal;
  const outdated = signal ? AbortSignal.any([signal, ended]) : ended;
  const headers = { Accept: 'application/json', Authorization: `Bearer ${token}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  try {
    const response = await fetch(path, {
      method, headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
      signal: AbortSignal.any([outdated, AbortSignal.timeout(ANSWER_TIMEOUT)]),
    });
    noteServerTime(response.headers.get('Date'));
    if (response.ok) return await response.json();
    const problem = await response.json().catch(() => null);
    if (response.status === 401 && token === managerToken && self) {
      signOut('The manager token was revoked or has expired. Sign in with another.');
      throw new Outdated();
    }
    throw new Failure(response.status, problem);
  } catch (error) {
    if (error instanceof Failure || error instanceof Outdated) throw error;
    if (outdated.aborted) throw new Outdated();
    throw new Failure(0);
  }
}

/** Starts a session with this token. */
async function signIn(token) {
  managerToken = token;
  try {
    const [record, types] = await Promise.all([ask('GET', 'tokens/self'), ask('GET', 'token-types')]);
    self = record;
    catalogue = types;
    if (!may('read')) throw new Failure(403, { scope: 'service-tokens:read' });
  } catch (error) {
    managerToken = self = catalogue = null;
    throw error;
  }
}

/** Ends the session. Removes the token, aborts pending requests and shows the sign-in form. */
function signOut(reason = '') {
  managerToken = self = catalogue = list = null;
  sessionEnd.abort();
  sessionEnd = new AbortController();
  closeDialogs();
  showSignIn(reason);
}

/** Returns the name of an author. For the id of a token that is its Issued To, otherwise the name itself. */
async function nameOf(by) {
  if (by === self.id) return `${isolate(self.issued_to)} (you)`;
  if (by.length !== 22) return by;
  try {
    return (await ask('GET', `tokens/${encodeURIComponent(by)}`)).issued_to;
  } catch {
    return by;
  }
}

/** Whether the manager token has a scope. Its own scopes and those of its type must both permit it. */
function may(operation) {
  const required = `service-tokens:${operation}`;
  // A bare `*` does not include the reserved scopes.
  const permits = (scopes) => scopes.includes(required) || scopes.includes('service-tokens:*');
  const type = catalogue.types.find(({ name }) => name === self.type);
  return permits(self.scopes) && (!type || permits(type.scopes));
}

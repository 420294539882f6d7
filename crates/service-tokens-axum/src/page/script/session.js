// The session: a manager token in the memory of this page and nowhere else, and what is asked with it.

/** What the types of the API's problems begin with. */
const PROBLEM = 'urn:service-tokens:problem:';

/** How long an answer may take. */
const PATIENCE = 30 * SECOND;

/** The one place where the manager token is kept. */
let managerToken = null;

/** Ends everything that is under way when the session ends. */
let sessionEnd = new AbortController();

/** The token that is signed in, as the server describes it, and the types it knows. */
let self = null;
let catalogue = null;

/** No answer that anybody waits for any more: it is drawn nowhere. */
class Overtaken extends Error {}

/** Why a request failed: the problem that the server describes, or that no answer came. */
class Failure extends Error {
  constructor(status, problem) {
    super('request failed');
    this.status = status;
    this.problem = problem ?? {};
  }

  /**
   * Whether the request may have been carried out all the same: the API says so, or no answer of its
   * own came. What a proxy says in its place tells nothing, nor does a time that ran out.
   */
  get unknown() {
    if (this.kind) return this.kind === 'indeterminate';
    return this.status === 0 || this.status === 408 || this.status >= 500;
  }

  /** What the API calls the problem, such as `not-found`; empty if the answer is not the API's. */
  get kind() {
    const type = String(this.problem.type ?? '');
    return type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : '';
  }
}

/** Asks the management API. Throws `Failure`, or `Overtaken` if `signal` or the session ended. */
async function ask(method, path, { body, key, signal } = {}) {
  const token = managerToken;
  const ended = sessionEnd.signal;
  const overtaken = signal ? AbortSignal.any([signal, ended]) : ended;
  const headers = { Accept: 'application/json', Authorization: `Bearer ${token}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  try {
    const response = await fetch(path, {
      method, headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
      signal: AbortSignal.any([overtaken, AbortSignal.timeout(PATIENCE)]),
    });
    noteServerTime(response.headers.get('Date'));
    if (response.ok) return await response.json();
    const problem = await response.json().catch(() => null);
    if (response.status === 401 && token === managerToken && self) {
      signOut('The manager token was revoked or has expired. Sign in with another.');
      throw new Overtaken();
    }
    throw new Failure(response.status, problem);
  } catch (error) {
    if (error instanceof Failure || error instanceof Overtaken) throw error;
    if (overtaken.aborted) throw new Overtaken();
    throw new Failure(0);
  }
}

/** Begins a session with this token. */
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

/** Ends the session: forgets the token, ends what is under way, and asks for another. */
function signOut(reason = '') {
  managerToken = self = catalogue = list = null;
  sessionEnd.abort();
  sessionEnd = new AbortController();
  closeDialogs();
  showSignIn(reason);
}

/** What to call whoever did something: the token of this id by what it was issued to, others as they are. */
async function nameOf(by) {
  if (by === self.id) return `${isolate(self.issued_to)} (you)`;
  if (by.length !== 22) return by;
  try {
    return (await ask('GET', `tokens/${encodeURIComponent(by)}`)).issued_to;
  } catch {
    return by;
  }
}

/** Whether the manager token may do this: its own scopes and those of its type must permit it. */
function may(act) {
  const need = `service-tokens:${act}`;
  // Only grants that name the reserved resource reach it: a bare `*` does not.
  const permits = (scopes) => scopes.includes(need) || scopes.includes('service-tokens:*');
  const type = catalogue.types.find(({ name }) => name === self.type);
  return permits(self.scopes) && (!type || permits(type.scopes));
}

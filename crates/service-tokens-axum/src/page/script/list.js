// The list: pages of the owner's tokens, through cursors that are kept in memory.

const PAGE_LENGTH = 50;

/** How long typing must rest before a search is sent. */
const TYPING = 250;

/** The list on the screen, for what changes tokens. */
let list = null;

function showList() {
  const parts = stamp('list-view');
  const { root, filters, search, type, state, order, previous, next, create } = parts;
  parts.who.textContent = self.issued_to;
  parts.owner.textContent = self.owner;
  for (const { name } of catalogue.types) type.append(new Option(capitalised(name), name));
  create.hidden = !may('issue');
  drawStopped(parts);

  // The cursors of the pages before this one and its own; the first page has none.
  let cursors = [null];
  let following = null;
  // The cursor of a page that has just turned out to be empty: it is no way on.
  let end = null;
  let reading = null;
  let typing = 0;
  // What the rows on the screen are the answer to.
  let drawn = '';
  // What was done: said with the next page, whichever that will be.
  let news = [];

  /**
   * Reads the page of the last cursor and draws it, if nothing else is asked for meanwhile. Whether
   * the rows on the screen are what was asked for.
   */
  async function read(...more) {
    news.push(...more);
    clearTimeout(typing);
    reading?.abort();
    const mine = (reading = new AbortController());
    parts.sheet.setAttribute('aria-busy', 'true');
    const asked = `${query(parts)} ${cursors.at(-1)}`;
    try {
      const page = await gather(query(parts), cursors.at(-1), mine.signal);
      if (mine.signal.aborted) return false;
      if (!page.tokens.length && cursors.length > 1) {
        // The last token of this page has gone, and the page with it.
        end = cursors.pop();
        return await read();
      }
      following = page.next === end ? null : page.next;
      end = null;
      drawn = asked;
      say(parts.alert, '');
      drawRows(parts, page.tokens, cursors.length === 1 && following === null);
      parts.status.replaceChildren(...news, summary(page.tokens.length));
      setAvailable(previous, cursors.length > 1);
      setAvailable(next, following !== null);
    } catch (error) {
      if (error instanceof Overtaken || mine.signal.aborted) return false;
      if (!(error instanceof Failure)) throw error;
      if (drawn !== asked) {
        drawn = '';
        drawNothing(parts);
      }
      // No turning from a page that could not be read: first it is read again.
      drawFailure(parts, error, () => read());
      parts.status.replaceChildren(...news, 'The list could not be read.');
      setAvailable(previous, false);
      setAvailable(next, false);
    }
    news = [];
    parts.sheet.setAttribute('aria-busy', 'false');
    return drawn === asked;
  }

  function summary(count) {
    const tokens = count === 1 ? '1 token' : `${count} tokens`;
    if (cursors.length === 1 && following === null) return count ? `${tokens}.` : 'No tokens.';
    return `Page ${cursors.length}, ${tokens}.`;
  }

  function first(...more) {
    cursors = [null];
    return read(...more);
  }

  async function turn(button) {
    if (button.getAttribute('aria-disabled') === 'true') return;
    if (button === next) cursors.push(following);
    else cursors.pop();
    setAvailable(next, false);
    setAvailable(previous, false);
    const turned = await read();
    // The buttons stand below the last row: one begins at the first.
    if (turned && parts.sheet.getBoundingClientRect().top < 0) parts.sheet.scrollIntoView();
  }

  search.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(first, TYPING);
  });
  filters.addEventListener('submit', (event) => {
    event.preventDefault();
    first();
  });
  for (const select of [type, state, order]) select.addEventListener('change', () => first());
  previous.addEventListener('click', () => turn(previous));
  next.addEventListener('click', () => turn(next));
  parts.refresh.addEventListener('click', () => read());
  parts.clear.addEventListener('click', () => {
    filters.reset();
    search.focus();
    first();
  });
  parts.signOut.addEventListener('click', () => signOut());
  create.addEventListener('click', () => openCreate());
  parts.rows.addEventListener('click', onRowClick);

  list = {
    parts,
    read,
    /** The newest tokens whatever was searched for: where a new one is seen. */
    newest(...more) {
      filters.reset();
      return first(...more);
    },
    focus: (id, act) => focusRow(parts, id, act),
  };
  document.getElementById('view').replaceChildren(root);
  parts.heading.focus();
  first();
}

/** The filters as the API has them. */
function query({ search, type, state, order }) {
  const query = new URLSearchParams({ state: state.value, direction: order.value });
  if (type.value) query.set('type', type.value);
  if (search.value.trim()) query.set('issued_to_contains', search.value.trim());
  return query;
}

/** One page. A store may give a short one before the end: then more is asked for until it is full. */
async function gather(query, cursor, signal) {
  const tokens = [];
  let next = cursor;
  do {
    query.set('limit', PAGE_LENGTH - tokens.length);
    if (next !== null) query.set('cursor', next);
    const page = await ask('GET', `tokens?${query}`, { signal });
    tokens.push(...page.tokens);
    next = page.next ?? null;
  } while (next !== null && tokens.length < PAGE_LENGTH);
  return { tokens, next };
}

/** Draws these tokens; `whole` if there are no others. */
function drawRows(parts, tokens, whole) {
  const { table, empty, search, type, state } = parts;
  const searched = search.value.trim() !== '' || type.value !== '' || state.value !== 'live';
  // Whoever is signed in has a token, so a list without a search is never quite empty.
  const alone = !searched && whole && tokens.every(({ id }) => id === self.id);
  table.hidden = tokens.length === 0;
  empty.hidden = tokens.length > 0 && !alone;
  replaceRows(parts, tokens);
  parts.clear.hidden = !searched;
  parts.emptyTitle.textContent = searched ? 'Nothing matches' : 'No other active service tokens';
  parts.emptyText.textContent = searched ? nothingMatches(search.value.trim()) : howToBegin();
}

/** Nothing, neither tokens nor that there are none: it is not known. */
function drawNothing(parts) {
  parts.table.hidden = true;
  parts.empty.hidden = true;
  replaceRows(parts, []);
}

/** The focus stays where it is, also in a row: on the same button, drawn anew. */
function replaceRows(parts, tokens) {
  const focused = parts.rows.contains(document.activeElement) ? document.activeElement : null;
  const id = focused?.closest('tr').dataset.id;
  parts.rows.replaceChildren(...tokens.map(tokenRow));
  if (focused) focusRow(parts, id, focused.dataset.act);
}

/** Gives the focus to this button of this token's row, or to the heading if it is gone. */
function focusRow({ rows, heading }, id, act) {
  const buttons = [...rows.querySelectorAll(`[data-act="${act}"]`)];
  const button = buttons.find((each) => each.closest('tr').dataset.id === id && !each.hidden);
  (button ?? heading).focus();
}

function nothingMatches(text) {
  const why = text ? 'Upper and lower case matter. ' : '';
  return `No token matches this search and these filters. ${why}Change them, or clear them.`;
}

function howToBegin() {
  return may('issue')
    ? 'Choose “+ Create New” to make one, copy it, and give it to the program that needs it.'
    : 'Your manager token may not create any. Ask whoever manages this service for one.';
}

function drawFailure({ alert }, failure, retry) {
  const again = make('button', 'plain', 'Try again');
  again.type = 'button';
  again.addEventListener('click', retry);
  alert.replaceChildren(make('span', '', sentence(failure)), again);
  alert.hidden = false;
  alert.scrollIntoView({ block: 'nearest' });
}

function drawStopped({ stopped }) {
  say(stopped, whetherStopped());
}

/** Buttons that have nothing to do keep their place and the focus. */
function setAvailable(button, available) {
  button.setAttribute('aria-disabled', String(!available));
}

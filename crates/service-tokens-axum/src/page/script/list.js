// The list of the owner's tokens, in pages. The cursors of the pages are in memory.

const PAGE_LENGTH = 50;

/** The pause in typing after which a search is sent. */
const TYPING_PAUSE = 250;

/** The list that is shown, for the dialogs that change tokens. */
let list = null;

function showList() {
  const parts = stamp('list-view');
  const { root, filters, search, type, state, order, previous, next, create } = parts;
  parts.who.textContent = self.issued_to;
  parts.owner.textContent = self.owner;
  for (const { name } of catalogue.types) type.append(new Option(capitalised(name), name));
  create.hidden = !may('issue');
  drawPaused(parts);
  parts.heads.append(...columnHeads());

  // The cursors of the previous pages and of this one. The first page has none.
  let cursors = [null];
  let following = null;
  // The cursor of a page that turned out to be empty, so it is not offered as the next page.
  let end = null;
  let reading = null;
  let typing = 0;
  // The query and cursor that the shown rows belong to.
  let drawn = '';
  // The messages about finished operations. The next page that is drawn shows them.
  let news = [];

  /**
   * Reads and draws the page of the last cursor, unless a later read replaces this one. Returns whether the
   * shown rows belong to the request.
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
        // This page has become empty, so the previous page is read.
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
      if (error instanceof Outdated || mine.signal.aborted) return false;
      if (!(error instanceof Failure)) throw error;
      if (drawn !== asked) {
        drawn = '';
        drawUnknown(parts);
      }
      // A page that could not be read has no neighbours until it is read again.
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
    // The buttons are below the last row, but reading begins at the first.
    if (turned && parts.sheet.getBoundingClientRect().top < 0) parts.sheet.scrollIntoView();
  }

  search.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(first, TYPING_PAUSE);
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
    /** Shows the newest tokens without filters, so a new token is visible. */
    newest(...more) {
      filters.reset();
      return first(...more);
    },
    focus: (id, action) => focusRow(parts, id, action),
  };
  document.getElementById('view').replaceChildren(root);
  parts.heading.focus();
  first();
}

/** The filters as query parameters of the API. */
function query({ search, type, state, order }) {
  const query = new URLSearchParams({ state: state.value, order: order.value });
  if (type.value) query.set('type', type.value);
  if (search.value.trim()) query.set('issued_to_contains', search.value.trim());
  return query;
}

/** Reads one full page. A store may return a short page before the end, so several requests may be needed. */
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

/** Draws these tokens. `whole` says that the list has no others. */
function drawRows(parts, tokens, whole) {
  const { table, empty, search, type, state } = parts;
  const searched = search.value.trim() !== '' || type.value !== '' || state.value !== 'live';
  // The manager token is in the list, so a list without a search is never empty.
  const alone = !searched && whole && tokens.every(({ id }) => id === self.id);
  table.hidden = tokens.length === 0;
  empty.hidden = tokens.length > 0 && !alone;
  replaceRows(parts, tokens);
  parts.clear.hidden = !searched;
  parts.emptyTitle.textContent = searched ? 'Nothing matches' : 'No other active service tokens';
  parts.emptyText.textContent = searched ? nothingMatches(search.value.trim()) : howToBegin();
}

/** Removes the rows without saying that the list is empty, because its contents are unknown. */
function drawUnknown(parts) {
  parts.table.hidden = true;
  parts.empty.hidden = true;
  replaceRows(parts, []);
}

/** Replaces the rows. If a button in a row has the focus, its new copy gets it. */
function replaceRows(parts, tokens) {
  const focused = parts.rows.contains(document.activeElement) ? document.activeElement : null;
  const id = focused?.closest('tr').dataset.id;
  parts.rows.replaceChildren(...tokens.map(tokenRow));
  if (focused) focusRow(parts, id, focused.dataset.action);
}

/** Focuses the button of this token's row, or the heading if the row is gone. */
function focusRow({ rows, heading }, id, action) {
  const buttons = [...rows.querySelectorAll(`[data-action="${action}"]`)];
  const button = buttons.find((each) => each.closest('tr').dataset.id === id && !each.hidden);
  (button ?? heading).focus();
}

function nothingMatches(text) {
  const why = text ? 'Upper and lower case matter. ' : '';
  return `No token matches this search and these filters. ${why}Change them, or clear them.`;
}

function howToBegin() {
  return may('issue')
    ? 'Choose “+ Create New” to create one, copy it, and give it to the program that needs it.'
    : 'Your manager token may not create tokens. Ask the operator of this service for one.';
}

function drawFailure({ alert }, failure, retry) {
  const again = make('button', 'plain', 'Try again');
  again.type = 'button';
  again.addEventListener('click', retry);
  alert.replaceChildren(make('span', '', sentence(failure)), again);
  alert.hidden = false;
  alert.scrollIntoView({ block: 'nearest' });
}

function drawPaused({ paused }) {
  say(paused, pausedNotice());
}

/** Unavailable buttons keep their place and the focus. */
function setAvailable(button, available) {
  button.setAttribute('aria-disabled', String(!available));
}

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
  let reading = null;
  let typing = 0;

  /** Reads the page of the last cursor and draws it; what was asked before is dropped. */
  async function read(news = '') {
    clearTimeout(typing);
    reading?.abort();
    const mine = (reading = new AbortController());
    parts.sheet.setAttribute('aria-busy', 'true');
    try {
      const page = await gather(query(parts), cursors.at(-1), mine.signal);
      if (mine.signal.aborted) return;
      following = page.next;
      say(parts.alert, '');
      drawRows(parts, page.tokens);
      parts.status.textContent = joined(news, summary(page.tokens.length));
      setAvailable(previous, cursors.length > 1);
      setAvailable(next, following !== null);
    } catch (error) {
      if (error instanceof Overtaken || mine.signal.aborted) return;
      if (!(error instanceof Failure)) throw error;
      // No turning from a page that could not be read: first it is read again.
      drawFailure(parts, error, news, () => read());
      setAvailable(previous, false);
      setAvailable(next, false);
    }
    parts.sheet.setAttribute('aria-busy', 'false');
  }

  function summary(count) {
    const tokens = count === 1 ? '1 token' : `${count} tokens`;
    if (cursors.length === 1 && following === null) return count ? `${tokens}.` : 'No tokens.';
    return `Page ${cursors.length}, ${tokens}.`;
  }

  function first(news) {
    cursors = [null];
    return read(news);
  }

  async function turn(button) {
    if (button.getAttribute('aria-disabled') === 'true') return;
    if (button === next) cursors.push(following);
    else cursors.pop();
    setAvailable(next, false);
    setAvailable(previous, false);
    await read();
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
    first,
    /** The newest tokens whatever was searched for: where a new one is seen. */
    newest(news) {
      filters.reset();
      return first(news);
    },
    /** Gives the focus to this button of this token's row, or to the heading if it is gone. */
    focus(id, act) {
      const buttons = [...parts.rows.querySelectorAll(`[data-act="${act}"]`)];
      const button = buttons.find((each) => each.closest('tr').dataset.id === id && !each.hidden);
      (button ?? parts.heading).focus();
    },
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

function drawRows(parts, tokens) {
  const { rows, table, empty, search, type, state } = parts;
  rows.replaceChildren(...tokens.map(tokenRow));
  table.hidden = tokens.length === 0;
  empty.hidden = tokens.length > 0;
  if (tokens.length) return;
  const searched = search.value.trim() !== '' || type.value !== '' || state.value !== 'live';
  parts.clear.hidden = !searched;
  parts.emptyTitle.textContent = searched ? 'Nothing matches' : 'No service tokens yet';
  parts.emptyText.textContent = searched
    ? 'No token matches this search and these filters. Change them, or clear them.'
    : may('issue')
      ? 'Choose “+ Create New” to make the first one, copy it, and give it to the program that needs it.'
      : 'Your manager token may not create any. Ask whoever manages this service for one.';
}

function drawFailure({ alert, status }, failure, news, retry) {
  const again = make('button', 'plain', 'Try again');
  again.type = 'button';
  again.addEventListener('click', retry);
  alert.replaceChildren(make('span', '', sentence(failure)), again);
  alert.hidden = false;
  alert.scrollIntoView({ block: 'nearest' });
  status.textContent = joined(news, 'The list could not be read.');
}

function drawStopped({ stopped }) {
  const reason = catalogue.issuing_stopped ?? null;
  say(stopped, reason === null ? '' : stoppedSentence(reason));
}

/** Buttons that have nothing to do keep their place and the focus. */
function setAvailable(button, available) {
  button.setAttribute('aria-disabled', String(!available));
}

function joined(...texts) {
  return texts.filter((text) => typeof text === 'string' && text).join(' ');
}

// The columns of the list. Each column is defined only here, with its label, the class of its head and its
// cells, and a function that creates the contents of a cell.

const COLUMNS = [
  { label: 'ID', className: 'id', contents: idContents },
  { label: 'Issued To', className: 'name', contents: nameContents },
  { label: 'Type', className: 'type', contents: (token) => [capitalised(token.type)] },
  { label: 'Created At', className: 'time', contents: (token) => [dayAndHour(token.created_at)] },
  { label: 'Expiration', className: 'time', contents: expiration },
  { label: 'State', className: 'state', contents: stateContents },
  { label: 'Last Used', className: 'time', contents: lastUsed },
  { label: 'Actions', className: 'actions', contents: actions },
];

/** The heads of all columns. The roles keep the table a table when CSS shows the rows as cards. */
function columnHeads() {
  return COLUMNS.map(({ label, className }) => {
    const head = make('th', className, label);
    head.setAttribute('role', 'columnheader');
    head.scope = 'col';
    return head;
  });
}

/** The cells of one token. */
function cells(token) {
  return COLUMNS.map(({ label, className, contents }) => {
    const cell = make('td', className, ...contents(token));
    cell.setAttribute('role', 'cell');
    cell.dataset.label = label;
    return cell;
  });
}

function idContents(token) {
  const { root: copy } = stamp('copy-id');
  copy.setAttribute('aria-label', `Copy the ID of ${isolate(token.issued_to)}`);
  return [make('code', '', token.id), copy];
}

function nameContents(token) {
  const name = isolated(token.issued_to);
  name.title = isolate(token.issued_to);
  return [name];
}

/** The contents of the State column. A token that is refused in spite of its state is marked. */
function stateContents(token) {
  const reason = unusableReason(token);
  if (!reason) return [make('span', `badge ${token.state}`, capitalised(token.state))];
  return [make('span', 'badge unusable', 'Unusable'), make('span', 'soon', reason)];
}

/** Why a token is refused in spite of its state, or an empty text. */
function unusableReason(token) {
  switch (token.unusable_reason ?? null) {
    case null: return '';
    case 'unknown_type': return 'unknown type';
    case 'newer_record': return 'written by a newer version';
    default: return 'refused by the service';
  }
}

/** The contents of the Expiration column. */
function expiration(token) {
  if (!token.expires_at) return [make('span', 'quiet', 'Never')];
  const time = dayAndHour(token.expires_at);
  if (!isLive(token) || !endsSoon(token.expires_at)) return [time];
  return [time, make('span', 'soon', until(token.expires_at))];
}

/** The contents of the Last Used column. Some stores do not track uses. */
function lastUsed(token) {
  if (!('last_used_at' in token)) return [make('span', 'quiet', 'Not tracked')];
  if (token.last_used_at === null) return [make('span', 'quiet', 'Never')];
  return [dayAndHour(token.last_used_at)];
}

function actions(token) {
  const own = token.id === self.id;
  const button = (action, className, text, shown = true) => {
    const node = make('button', className, text);
    node.type = 'button';
    node.hidden = !shown;
    node.dataset.action = action;
    node.setAttribute('aria-label', `${text} ${isolate(token.issued_to)}`);
    return node;
  };
  return [
    button('details', 'link', 'Details'),
    button('rotate', 'link', 'Rotate', token.state === 'active' && !unusableReason(token) && may(own ? 'rotate-self' : 'rotate')),
    button('revoke', 'link danger', 'Revoke', isLive(token) && (own || may('revoke'))),
  ];
}

function isLive(token) {
  return token.state === 'active' || token.state === 'pending';
}

// The dialog with all fields of one token and exact times. It also works with keyboard and touch.

function openDetails(token) {
  const { root, facts, close: button } = stamp('details-dialog');
  const fact = (term, ...contents) => {
    if (contents.length) facts.append(make('div', '', make('dt', '', term), make('dd', '', ...contents)));
  };
  fact('Issued To', isolated(token.issued_to));
  fact('ID', make('code', '', token.id));
  fact('Type', capitalised(token.type));
  fact('State', capitalised(token.state));
  if (unusableReason(token)) fact('Unusable', unusableSentence(token));
  fact('Owner', isolated(token.owner));
  fact('Scopes', ...spaced(token.scopes.map((scope) => make('code', '', scope))));
  fact('Created At', exact(token.created_at));
  if (token.not_before) fact('Valid From', exact(token.not_before));
  fact('Expiration', token.expires_at ? exact(token.expires_at) : 'Never');
  fact('Last Used', ...exactLastUsed(token));
  if (token.secret_created_at && token.secret_created_at !== token.created_at) fact('Rotated At', exact(token.secret_created_at));
  if (token.overlap) fact('Old Secret', ...oldSecret(token.overlap));
  if (token.issued_by) fact('Issued By', named(token.issued_by));
  if (token.revocation) fact('Revoked', ...revocation(token.revocation));
  if (token.revocation?.reason) fact('Reason', isolated(token.revocation.reason));
  for (const [key, value] of Object.entries(token.metadata ?? {})) {
    facts.append(make('div', '', make('dt', 'own', isolated(key)), make('dd', '', isolated(value))));
  }
  const close = openDialog(root, {
    leave: (close) => close(),
    closed: () => list?.focus(token.id, 'details'),
  });
  // The focus is on the button at the end, but reading begins at the top.
  root.scrollTop = 0;
  button.addEventListener('click', close);
}

/** The reason for which a token is refused in spite of its state, as a sentence. */
function unusableSentence({ unusable_reason: reason, type }) {
  switch (reason) {
    case 'unknown_type': return `The service refuses this token, because it has no type “${type}”. It works again if the type is added again.`;
    case 'newer_record': return 'This version of the service refuses this token, because a newer version wrote it.';
    default: return 'The service refuses this token.';
  }
}

/** A time in the viewer's zone with seconds, and in UTC with microseconds. */
function exact(text) {
  const time = timeElement(text, zonedFormat.format(new Date(text)));
  return make('span', 'exact', time, ' ', make('code', 'quiet', text));
}

function exactLastUsed(token) {
  return token.last_used_at ? [exact(token.last_used_at)] : lastUsed(token);
}

function oldSecret({ ends_at, ends_on_first_use }) {
  const first = ends_on_first_use ? 'ends when the new one is first used, or at the latest ' : 'ends ';
  return [first, exact(ends_at)];
}

/** The time of a revocation and its author. */
function revocation({ at, by }) {
  return by ? [exact(at), ' by ', named(by)] : [exact(at)];
}

/** The author of an operation. The name replaces the id as soon as it is known. */
function named(by) {
  const node = isolated(by);
  nameOf(by).then((name) => {
    if (name !== by) node.replaceWith(make('bdi', '', name), ' ', make('code', 'quiet block', by));
  });
  return node;
}

function spaced(nodes) {
  return nodes.flatMap((node, index) => (index ? [' ', node] : [node]));
}

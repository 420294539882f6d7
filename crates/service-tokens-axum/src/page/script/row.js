// One row of the list.

function tokenRow(token) {
  const { root, ...parts } = stamp('token-row');
  root.dataset.id = token.id;
  rowTokens.set(root, token);
  parts.id.textContent = token.id;
  parts.copy.setAttribute('aria-label', `Copy the ID of ${isolate(token.issued_to)}`);
  parts.copy.title = 'Copy the ID';
  parts.copy.dataset.act = 'copy';
  parts.name.textContent = token.issued_to;
  parts.name.title = isolate(token.issued_to);
  parts.type.textContent = capitalised(token.type);
  parts.created.append(dayAndHour(token.created_at));
  parts.expires.append(...expiration(token));
  parts.state.textContent = capitalised(token.state);
  parts.state.classList.add(token.state);
  parts.used.append(...lastUsed(token));
  const alive = token.state === 'active' || token.state === 'pending';
  const own = token.id === self.id;
  parts.rotate.hidden = token.state !== 'active' || !may(own ? 'rotate-self' : 'rotate');
  parts.revoke.hidden = !alive || !(own || may('revoke'));
  for (const act of ['details', 'rotate', 'revoke']) {
    parts[act].setAttribute('aria-label', `${parts[act].textContent} ${isolate(token.issued_to)}`);
  }
  return root;
}

/** The tokens of the rows on the screen, as long as they are there. */
const rowTokens = new WeakMap();

async function onRowClick(event) {
  const act = event.target.closest('[data-act]')?.dataset.act;
  if (!act) return;
  const token = rowTokens.get(event.target.closest('tr'));
  if (act === 'details') openDetails(token);
  if (act === 'rotate') openRotate(token);
  if (act === 'revoke') openRevoke(token);
  if (act === 'copy') {
    const copied = await copyText(token.id);
    const said = copied
      ? ['The ID of ', isolated(token.issued_to), ' was copied.']
      : ['Copying is not possible here. Select the ID and copy it.'];
    list?.parts.status.replaceChildren(...said);
  }
}

/** What stands under Expiration. */
function expiration(token) {
  if (!token.expires_at) return [make('span', 'quiet', 'Never')];
  const time = dayAndHour(token.expires_at);
  const alive = token.state === 'active' || token.state === 'pending';
  if (!alive || !endsSoon(token.expires_at)) return [time];
  return [time, make('span', 'soon', until(token.expires_at))];
}

/** What stands under Last Used: not every store keeps track. */
function lastUsed(token) {
  if (!('last_used_at' in token)) return [make('span', 'quiet', 'Not tracked')];
  if (token.last_used_at === null) return [make('span', 'quiet', 'Never')];
  return [dayAndHour(token.last_used_at)];
}

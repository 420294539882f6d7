// The dialog of the button + Create New.

function openCreate() {
  const parts = stamp('create-dialog');
  const { form, issuedTo, date, dateField, hint, alert, busy } = parts;

  // The key stays the same while the result of the request is unknown, so a retry cannot create a second
  // token.
  let key = null;
  let created = null;
  let lost = false;
  // The id of a token whose secret was lost with the first answer.
  let made = null;
  // The notice about paused issuing, if the alert shows it.
  let paused = '';

  const lifetime = () => form.elements.lifetime?.value ?? '';
  const limits = () => limitsOf(form.elements.type?.value);
  const drawLifetime = () => {
    dateField.hidden = lifetime() !== 'date';
    hint.textContent = lifetimeHint(lifetime(), date.value, limits());
  };
  form.addEventListener('input', (event) => {
    event.target.removeAttribute('aria-invalid');
    if (event.target.name === 'type') drawLifetimes();
    drawLifetime();
    // On a phone the date field would open below the visible area. The hint is below that field.
    if (event.target.name === 'lifetime') hint.scrollIntoView({ block: 'nearest' });
  });

  /** Draws the lifetimes of the chosen type. A choice that this type does not offer becomes its default. */
  function drawLifetimes() {
    parts.presets.replaceChildren(...lifetimeChoices(limits(), lifetime()));
    if (!lifetime()) parts.presets.replaceChildren(...lifetimeChoices(limits()));
    const { first, last } = days(limits());
    Object.assign(date, { min: first, max: last });
  }

  /** Draws the choices. The current choice and the focus stay if the choice is still on offer. */
  function drawOffer() {
    const { type, lifetime } = form.elements;
    const at = document.activeElement;
    parts.types.replaceChildren(...typeChoices(catalogue.types, type?.value));
    parts.presets.replaceChildren(...lifetimeChoices(limits(), lifetime?.value));
    const { first, last } = days(limits());
    Object.assign(date, { min: first, max: last });
    drawLifetime();
    if (alert.textContent === paused) say(alert, (paused = pausedNotice()));
    if (at.isConnected) return;
    const again = [...form.elements].find(({ name, value }) => name === at.name && value === at.value);
    (again ?? issuedTo).focus();
  }

  function complaint() {
    if (!form.elements.type?.value) return ['Choose a type.', form.querySelector('input')];
    if (!issuedTo.value.trim()) return ['Enter the service that the token is issued to.', issuedTo];
    if (!lifetime()) return ['Choose when it expires.', form.elements.lifetime?.[0] ?? issuedTo];
    if (lifetime() !== 'date') return null;
    if (!date.value) return ['Choose the expiration date.', date];
    const chosen = endOfDay(date.value);
    if (chosen < endOfDay(date.min)) return ['The expiration date is in the past. Choose a later one.', date];
    const last = endOfDay(date.max);
    if (chosen > last) return [`The expiration date is too late. Choose one up to ${dayFormat.format(last - 1)}.`, date];
    return null;
  }

  async function send(signal, close) {
    if (made) {
      busy.textContent = 'Reading the token…';
      const token = await ask('GET', `tokens/${made}`, { signal });
      close();
      return openRotate(token);
    }
    const wrong = complaint();
    if (wrong) {
      const [text, field] = wrong;
      say(alert, text);
      field.setAttribute('aria-invalid', 'true');
      field.focus();
      // On a phone the sentence may be outside the visible area.
      return alert.scrollIntoView({ block: 'nearest' });
    }
    const body = { type: form.elements.type.value, issued_to: issuedTo.value.trim(), ...end(lifetime(), date.value) };
    key ??= uuidV7();
    created = await ask('POST', 'tokens', { body, key, signal });
    close();
  }

  openForm(parts, {
    busyText: 'Creating…',
    send,
    failed(failure) {
      if (made) return failure.status ? sentence(failure) : 'The answer did not arrive. Choose Rotate again.';
      if (failure.status === 409 && failure.problem.id) {
        lost = true;
        made = failure.problem.id;
        return offerRotation(parts);
      }
      lost ||= failure.unknown;
      if (failure.unknown) {
        return 'The answer did not arrive, so it is unknown whether the token was created. Choose Create again. This cannot create a second token.';
      }
      // A refused request created no token. After a server error the result is unknown.
      if (!lost && failure.status < 500) key = null;
      mark(form, failure.problem.field);
      return sentence(failure);
    },
    closed() {
      const answer = created;
      created = null;
      if (answer) return openShownOnce('Token created', answer, 'create');
      list?.parts.create.focus();
      if (lost) list?.read();
    },
  });
  drawOffer();
  const checked = offeredTypes(catalogue.types).length > 1 && form.querySelector('[name=type]:checked');
  (checked || issuedTo).focus();
  // The policy and the types may have changed since sign-in.
  refreshCatalogue(() => parts.root.isConnected && drawOffer());
}

/** Reads the policy and the types again. Errors are ignored, because the server checks each request. */
async function refreshCatalogue(changed) {
  const before = JSON.stringify(catalogue);
  try {
    catalogue = await ask('GET', 'token-types');
  } catch {
    return;
  }
  if (JSON.stringify(catalogue) === before) return;
  drawPaused(list.parts);
  changed();
}

/** The types of which tokens are still issued. */
function offeredTypes(types) {
  return types.filter(({ retired }) => !retired);
}

/** The policy with the lifetimes of this type. */
function limitsOf(type) {
  return { ...catalogue.policy, ...catalogue.types.find(({ name }) => name === type) };
}

function typeChoices(all, already) {
  const types = offeredTypes(all);
  const chosen = already ?? types.find(({ issuable }) => issuable)?.name;
  return types.map(({ name, description, scopes, issuable }) => {
    const contents = [make('strong', '', capitalised(name)), ` – ${description || scopes.join(', ')}`];
    if (!issuable) contents.push(' ', make('span', 'quiet block', 'Your manager token lacks some of its scopes.'));
    return choice('type', name, contents, { checked: issuable && name === chosen, disabled: !issuable });
  });
}

function lifetimeChoices(policy, chosen) {
  const offered = presets(policy).map((seconds) => [String(seconds), inWords(seconds)]);
  const begin = offered.length ? String(firstPreset(presets(policy), policy)) : 'date';
  const { first, last } = days(policy);
  if (last >= first) offered.push(['date', 'Custom date']);
  if (neverAllowed(policy)) offered.push(['never', 'Never']);
  return offered.map(([value, text]) => choice('lifetime', value, [text], { checked: value === (chosen ?? begin) }));
}

/** The expiry in the format of the API. */
function end(lifetime, date) {
  if (lifetime === 'never') return { never_expires: true };
  if (lifetime === 'date') return { expires_at: endOfDay(date).toISOString() };
  return { expires_in: Number(lifetime) };
}

/** The expiry as a sentence. */
function lifetimeHint(lifetime, date, policy) {
  const sentences = [];
  if (lifetime === 'never') sentences.push('The token works until it is revoked.');
  else if (Number(lifetime)) sentences.push(`Expires ${instant(now() + lifetime * SECOND)} (${zone}).`);
  else if (date) sentences.push(`Expires at the end of that day, ${instant(endOfDay(date))} (${zone}).`);
  else sentences.push(`Expires at the end of that day in your time zone (${zone}).`);
  if (latestEnd(policy).bySelf) {
    sentences.push(`Your manager token expires ${instant(new Date(self.expires_at))}, and tokens that it creates cannot expire later.`);
  }
  return sentences.join(' ');
}

/** Marks the field that the problem names as invalid. */
function mark(form, field) {
  const names = { issued_to: '#issued-to', expires_at: '#expiration-date' };
  const input = names[field] && form.querySelector(names[field]);
  input?.setAttribute('aria-invalid', 'true');
  input?.focus();
}

/** Offers a rotation, because the token exists and its secret was lost with the first answer. */
function offerRotation({ form, submit }) {
  // Each request has a new key, so the existing token is from this request. Browsers repeat a request when
  // a connection breaks.
  const why = 'The token was created, but the answer with its secret was lost.';
  for (const field of form.querySelectorAll('fieldset, input')) field.disabled = true;
  if (!may('rotate')) {
    submit.hidden = true;
    return `${why} No program can use it. Revoke it in the list and create another, or ask a person who may rotate it.`;
  }
  submit.textContent = 'Rotate';
  return `${why} Choose Rotate to get a new secret for it.`;
}

/** Creates a UUID of version 7. It is the key of one request and the id of the token. */
function uuidV7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = now();
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

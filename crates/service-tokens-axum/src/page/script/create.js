// + Create New.

async function openCreate() {
  const button = list.parts.create;
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    // Policy and types may have changed since the page was opened; if they cannot be read now, the
    // server has the last word all the same.
    catalogue = await ask('GET', 'token-types');
    drawStopped(list.parts);
  } catch (error) {
    if (error instanceof Overtaken) return;
  } finally {
    button.removeAttribute('aria-busy');
  }
  createDialog(catalogue);
}

function createDialog({ types, policy, issuing_stopped: stopped }) {
  const parts = stamp('create-dialog');
  const { form, issuedTo, date, dateField, hint, alert } = parts;
  parts.types.append(...typeChoices(types));
  parts.presets.append(...lifetimeChoices(policy));
  const range = days(policy);
  date.min = range.first;
  if (range.last) date.max = range.last;

  // Kept as long as it is not known what became of the request, so that no retry makes a second token.
  let key = null;
  let created = null;
  let lost = false;

  const lifetime = () => form.elements.lifetime.value;
  const drawLifetime = () => {
    dateField.hidden = lifetime() !== 'date';
    hint.textContent = lifetimeHint(lifetime(), date.value, policy);
  };
  form.addEventListener('input', (event) => {
    event.target.removeAttribute('aria-invalid');
    drawLifetime();
  });
  drawLifetime();

  function complaint() {
    if (!form.elements.type?.value) return ['Choose a type.', form.querySelector('input')];
    if (!issuedTo.value.trim()) return ['Say which service the token is issued to.', issuedTo];
    if (lifetime() !== 'date') return null;
    if (!date.value) return ['Choose the expiration date.', date];
    if (date.value < range.first) return ['The expiration date is in the past. Choose a later one.', date];
    if (range.last && date.value > range.last) {
      return [`The expiration date is too late. Choose one up to ${dayFormat.format(endOfDay(range.last) - 1)}.`, date];
    }
    return null;
  }

  async function send(signal, close) {
    const wrong = complaint();
    if (wrong) {
      const [text, field] = wrong;
      say(alert, text);
      field.setAttribute('aria-invalid', 'true');
      field.focus();
      // On a telephone the sentence may have been scrolled away.
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
      if (failure.status === 409 && failure.problem.id) {
        lost = true;
        return offerRotation(parts, failure.problem.id);
      }
      lost ||= failure.unknown;
      if (failure.unknown) {
        return 'The answer did not arrive, so it is not known whether the token was created. Choose Create again: it cannot make a second one.';
      }
      if (!lost) key = null;
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
  if (stopped) say(alert, stoppedSentence(stopped));
  (form.elements.type.length ? form.querySelector('input:checked') : issuedTo)?.focus();
}

function typeChoices(types) {
  const usable = types.filter(({ issuable }) => issuable);
  return types.map(({ name, description, scopes, issuable }) => {
    const contents = [make('strong', '', capitalised(name)), ` – ${description || scopes.join(', ')}`];
    if (!issuable) contents.push(' ', make('span', 'quiet block', 'Your manager token lacks some of its scopes.'));
    return choice('type', name, contents, { checked: name === usable[0]?.name, disabled: !issuable });
  });
}

function lifetimeChoices(policy) {
  const offered = presets(policy);
  const first = firstPreset(offered, policy);
  const choices = offered.map((seconds) =>
    choice('lifetime', seconds, [inWords(seconds)], { checked: seconds === first }));
  const { first: firstDay, last } = days(policy);
  if (last === null || last >= firstDay) {
    choices.push(choice('lifetime', 'date', ['Custom date'], { checked: !offered.length }));
  }
  if (neverAllowed(policy)) choices.push(choice('lifetime', 'never', ['Never']));
  return choices;
}

/** When it ends, for the API. */
function end(lifetime, date) {
  if (lifetime === 'never') return { never_expires: true };
  if (lifetime === 'date') return { expires_at: endOfDay(date).toISOString() };
  return { expires_in: Number(lifetime) };
}

/** When it ends, for the person. */
function lifetimeHint(lifetime, date, policy) {
  const sentences = [];
  if (lifetime === 'never') sentences.push('Works until it is revoked.');
  else if (lifetime !== 'date') sentences.push(`Expires ${instant(now() + lifetime * SECOND)} (${zone}).`);
  else if (date) sentences.push(`Expires at the end of that day, ${instant(endOfDay(date))} (${zone}).`);
  else sentences.push(`Expires at the end of that day in your time zone (${zone}).`);
  if (latestEnd(policy).bySelf) {
    sentences.push(`Your manager token expires ${instant(new Date(self.expires_at))}, and what it creates lives no longer.`);
  }
  return sentences.join(' ');
}

/** Marks the field that the server's problem names. */
function mark(form, field) {
  const names = { issued_to: '#issued-to', expires_at: '#expiration-date' };
  const input = names[field] && form.querySelector(names[field]);
  input?.setAttribute('aria-invalid', 'true');
  input?.focus();
}

/** The token exists and its secret was lost with the first answer: rotating gives another. */
function offerRotation({ form, submit, cancel }, id) {
  // The key is new for each request, so what exists is this request's: browsers repeat one by
  // themselves when a connection breaks.
  const why = 'The token was created, and the answer with its secret was lost on the way.';
  for (const field of form.querySelectorAll('fieldset, input')) field.disabled = true;
  if (!may('rotate')) {
    submit.hidden = true;
    return `${why} Nobody has it. Revoke it in the list and create another, or ask somebody who may rotate it.`;
  }
  const rotate = make('button', 'primary', 'Rotate');
  rotate.type = 'button';
  rotate.addEventListener('click', async () => {
    submit.remove();
    cancel.click();
    try {
      openRotate(await ask('GET', `tokens/${id}`));
    } catch (error) {
      if (error instanceof Failure) list.parts.status.textContent = sentence(error);
    }
  });
  submit.replaceWith(rotate);
  return `${why} Choose Rotate to get a new secret for it.`;
}

/** A UUID of version 7: the key of one request, and the id of the token that it creates. */
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

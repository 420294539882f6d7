// The dialog that rotates a token, with or without an overlap of both secrets.

const OVERLAPS = [
  { text: 'at once', seconds: 0 },
  { text: 'in 1 hour', seconds: HOUR / SECOND },
  { text: 'in 24 hours', seconds: DAY / SECOND },
  { text: 'in 7 days', seconds: (7 * DAY) / SECOND },
];

/** The maximum life of the old secret if the new one is never used, in seconds. */
const UNTIL_FIRST_USE = (7 * DAY) / SECOND;

function openRotate(token) {
  const parts = stamp('rotate-dialog');
  const { form, name, ends, hint } = parts;
  const maxOverlap = catalogue.policy.max_overlap;
  name.textContent = token.issued_to;
  for (const { text, seconds } of OVERLAPS) {
    if (seconds <= maxOverlap) ends.append(new Option(text, String(seconds)));
  }
  const latest = Math.min(maxOverlap, UNTIL_FIRST_USE);
  if (latest > 0) ends.append(new Option('when the new one is first used', 'first-use'));
  drawReplacing(parts, token);
  const drawHint = () => {
    const newest = form.elements.replacing?.value === 'newest';
    hint.textContent = newest ? newestHint(ends.value, token) : overlapHint(ends.value, latest);
  };
  form.addEventListener('change', drawHint);
  drawHint();

  let lost = false;
  let rotated = null;
  openForm(parts, {
    busyText: 'Rotating…',
    async send(signal, close) {
      if (lost) {
        token = await afterLostAnswer(parts, token, signal);
        drawHint();
      }
      const body = { ...overlap(ends.value, latest), if_secret_created_at: token.secret_created_at };
      const replacing = form.elements.replacing?.value;
      if (replacing) body.replacing = replacing;
      const path = token.id === self.id ? 'tokens/self/rotate' : `tokens/${token.id}/rotate`;
      rotated = await ask('POST', path, { body, signal });
      close();
    },
    failed(failure) {
      const since = failure.kind === 'rotated-since' || failure.kind === 'overlap-runs';
      lost ||= failure.unknown || since;
      if (since) {
        return 'This token was rotated in the meantime, either by another person or by this attempt whose answer was lost. Choose Rotate again to replace the secret from that rotation.';
      }
      if (!failure.unknown) return sentence(failure);
      return 'The answer did not arrive, so it is unknown whether the token was rotated. Choose Rotate again to replace a lost secret.';
    },
    closed() {
      const answer = rotated;
      rotated = null;
      if (answer) return openShownOnce('Token rotated', answer, 'rotate');
      list?.focus(token.id, 'rotate');
      if (lost) list?.read();
    },
  });
  ends.focus();
}

/** During an overlap the person must choose the secret to replace. */
function drawReplacing({ overlap, overlapText, replacing }, token) {
  overlap.hidden = !token.overlap;
  if (!token.overlap) return replacing.replaceChildren();
  overlapText.textContent = `Two secrets are valid until ${instant(new Date(token.overlap.ends_at))}. Replace`;
  replacing.replaceChildren(
    choice('replacing', 'oldest', [make('strong', '', 'the older one'), ' – the newer one becomes the old secret'], { checked: true }),
    choice('replacing', 'newest', [make('strong', '', 'the newer one'), ' – it was lost, or leaked']),
  );
}

/** Reads the token again after a lost answer. If it was rotated, the lost secret is the newest one. */
async function afterLostAnswer(parts, token, signal) {
  const fresh = await ask('GET', token.id === self.id ? 'tokens/self' : `tokens/${token.id}`, { signal });
  if (fresh.secret_created_at !== token.secret_created_at) {
    drawReplacing(parts, fresh);
    for (const input of parts.replacing.querySelectorAll('input')) input.checked = input.value === 'newest';
  }
  return fresh;
}

function overlap(value, latest) {
  if (value === 'first-use') return { overlap_for: latest, overlap_ends_on_first_use: true };
  return value === '0' ? {} : { overlap_for: Number(value) };
}

/** The hint for replacing the newer of two secrets. The older one continues, or ends too. */
function newestHint(value, token) {
  if (value === '0') return 'Both current secrets are refused from now on. Choose this after a leak.';
  return `The newer secret is refused from now on. The older one works until ${instant(new Date(token.overlap.ends_at))}, as before.`;
}

function overlapHint(value, latest) {
  if (value === '0') return 'Programs that still use the old secret are refused from now on. Choose this after a leak.';
  if (value === 'first-use') return `Both secrets work until then, at most ${inWords(latest)}. Do not choose this for a token that several programs use.`;
  return 'Both secrets work until then, so programs can change to the new one without a gap.';
}

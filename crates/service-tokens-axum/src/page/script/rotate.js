// Rotating: a new secret for the same token, with or without an overlap of both.

const OVERLAPS = [
  { text: 'at once', seconds: 0 },
  { text: 'in 1 hour', seconds: HOUR / SECOND },
  { text: 'in 24 hours', seconds: DAY / SECOND },
  { text: 'in 7 days', seconds: (7 * DAY) / SECOND },
];

/** How long the old secret lasts at most if the new one is never used. */
const UNTIL_FIRST_USE = (7 * DAY) / SECOND;

function openRotate(token) {
  const parts = stamp('rotate-dialog');
  const { form, name, ends, hint } = parts;
  const longest = catalogue.policy.max_overlap;
  name.textContent = token.issued_to;
  for (const { text, seconds } of OVERLAPS) {
    if (seconds <= longest) ends.append(new Option(text, String(seconds)));
  }
  const latest = Math.min(longest, UNTIL_FIRST_USE);
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
        return 'This token was rotated meanwhile: by somebody else, or by this very attempt and the answer was lost. Choose Rotate again to replace the secret that was made then.';
      }
      if (!failure.unknown) return sentence(failure);
      return 'The answer did not arrive, so it is not known whether the token was rotated. Choose Rotate again: a secret that was lost is replaced.';
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

/** Whoever rotates while two secrets are valid must say which one is replaced. */
function drawReplacing({ overlap, overlapText, replacing }, token) {
  overlap.hidden = !token.overlap;
  if (!token.overlap) return replacing.replaceChildren();
  overlapText.textContent = `Two secrets are valid until ${instant(new Date(token.overlap.ends_at))}. Replace`;
  replacing.replaceChildren(
    choice('replacing', 'oldest', [make('strong', '', 'the older one'), ' – the newer becomes the old secret'], { checked: true }),
    choice('replacing', 'newest', [make('strong', '', 'the newer one'), ' – it was lost, or leaked']),
  );
}

/** The token as it is after an answer was lost: if it was rotated, the lost secret is the newest. */
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

/** If the newer of two secrets is replaced, the older one is untouched, or ends with it. */
function newestHint(value, token) {
  if (value === '0') return 'Both present secrets are refused from now on. Right after a leak.';
  return `The newer secret is refused from now on. The older one works until ${instant(new Date(token.overlap.ends_at))}, as before.`;
}

function overlapHint(value, latest) {
  if (value === '0') return 'Programs that still use the old secret are refused from now on. Right after a leak.';
  if (value === 'first-use') return `Both work until then, ${inWords(latest)} at most. Not for a token used in several places.`;
  return 'Both work until then, so that programs can be given the new one without a gap.';
}

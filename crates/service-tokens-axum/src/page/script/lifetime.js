// How long a new token may live: presets within the policy, and a date.

const PRESETS = [7, 30, 90, 365].map((days) => (days * DAY) / SECOND);

/**
 * The latest end that a new token may have, in milliseconds; infinite if there is none. What a token
 * creates lives no longer than itself, unless the policy says otherwise.
 */
function latestEnd({ max_lifetime: longest, outliving_issuer_allowed: outliving }) {
  const byPolicy = longest === null ? Infinity : now() + longest * SECOND;
  const bySelf = self.expires_at && !outliving ? Date.parse(self.expires_at) : Infinity;
  return { latest: Math.min(byPolicy, bySelf), bySelf: bySelf < byPolicy };
}

/** The presets on offer, in seconds. */
function presets(policy) {
  const { latest, bySelf } = latestEnd(policy);
  const fitting = PRESETS.filter((seconds) => bySelf
    ? now() + seconds * SECOND < latest
    : policy.max_lifetime === null || seconds <= policy.max_lifetime);
  if (fitting.length || bySelf) return fitting;
  return [policy.max_lifetime];
}

/** The preset to begin with: the policy's default, or what comes closest below it. */
function firstPreset(offered, policy) {
  const wanted = policy.default_lifetime ?? PRESETS[2];
  return offered.filter((seconds) => seconds <= wanted).pop() ?? offered[0];
}

function neverAllowed(policy) {
  return policy.never_allowed && (policy.outliving_issuer_allowed || !self.expires_at);
}

/** The end of this day (`2026-11-30`) in the viewer's time zone: the instant at which the next begins. */
function endOfDay(text) {
  const [year, month, day] = text.split('-').map(Number);
  return new Date(year, month - 1, day + 1);
}

/** A day as a date input writes it. */
function dayText(date) {
  const two = (number) => String(number).padStart(2, '0');
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The first and the last day that may be chosen. */
function days(policy) {
  // The API's times have years of four digits.
  const last = new Date(Math.min(latestEnd(policy).latest, Date.UTC(9999, 11, 31)));
  // The last day whose end is not after the latest end.
  last.setDate(last.getDate() - 1);
  return { first: dayText(new Date(now())), last: dayText(last) };
}

// The lifetimes on offer for a new token, as presets within the policy or as a date.

const PRESETS = [7, 30, 90, 365].map((days) => (days * DAY) / SECOND);

/**
 * The latest expiry of a new token, in milliseconds, or infinity. A new token must not outlive the manager
 * token, unless the policy allows that.
 */
function latestEnd({ max_lifetime: maxLifetime, outliving_issuer_allowed: outliving }) {
  const byPolicy = maxLifetime === null ? Infinity : now() + maxLifetime * SECOND;
  const bySelf = self.expires_at && !outliving ? Date.parse(self.expires_at) : Infinity;
  return { latest: Math.min(byPolicy, bySelf), bySelf: bySelf < byPolicy };
}

/** The presets that the policy allows, in seconds. */
function presets(policy) {
  const { latest, bySelf } = latestEnd(policy);
  const fitting = PRESETS.filter((seconds) => bySelf
    ? now() + seconds * SECOND < latest
    : policy.max_lifetime === null || seconds <= policy.max_lifetime);
  if (fitting.length || bySelf) return fitting;
  return [policy.max_lifetime];
}

/** The preset that is selected first. It is the policy's default or the longest preset below it. */
function firstPreset(offered, policy) {
  const wanted = policy.default_lifetime ?? PRESETS[2];
  return offered.filter((seconds) => seconds <= wanted).pop() ?? offered[0];
}

function neverAllowed(policy) {
  return policy.never_allowed && (policy.outliving_issuer_allowed || !self.expires_at);
}

/** The end of this day (`2026-11-30`) in the viewer's time zone, which is the start of the next day. */
function endOfDay(text) {
  const [year, month, day] = text.split('-').map(Number);
  return new Date(year, month - 1, day + 1);
}

/** Formats a day for a date input. */
function dayText(date) {
  const two = (number) => String(number).padStart(2, '0');
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The first and the last day that the date input accepts. */
function days(policy) {
  // Years in the API have four digits.
  const last = new Date(Math.min(latestEnd(policy).latest, Date.UTC(9999, 11, 31)));
  // The end of the last day must not be after the latest expiry.
  last.setDate(last.getDate() - 1);
  return { first: dayText(new Date(now())), last: dayText(last) };
}

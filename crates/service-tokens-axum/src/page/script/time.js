// Times in the viewer's time zone and language, with the exact time as a tooltip.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Tokens that expire within this time are highlighted. */
const SOON = 14 * DAY;

const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const hourFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const instantFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const zonedFormat = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: 'numeric',
  hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});
const untilFormat = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** The name of the viewer's time zone, such as Europe/Berlin. */
const zone = dayFormat.resolvedOptions().timeZone;

/** The difference between the server's clock and this computer's clock, in milliseconds. */
let clockAhead = 0;

/** Records the server's time from a `Date` header, which has a resolution of one second. */
function noteServerTime(header) {
  const ahead = Date.parse(header ?? '') - Date.now();
  clockAhead = Math.abs(ahead) > MINUTE ? ahead : 0;
}

/** The server's time, in milliseconds. */
function now() {
  return Date.now() + clockAhead;
}

/** A `time` element for this RFC 3339 time, with these contents. */
function timeElement(text, ...contents) {
  const node = make('time', '', ...contents);
  node.dateTime = text;
  node.lang = dayFormat.resolvedOptions().locale;
  node.title = `${text} (UTC)`;
  return node;
}

/** The day and, less prominent, the hour. */
function dayAndHour(text) {
  const date = new Date(text);
  return timeElement(text, `${dayFormat.format(date)} `, make('span', 'hour', hourFormat.format(date)));
}

function instant(date) {
  return instantFormat.format(date);
}

/** The time until then, such as "in 3 days". */
function until(text) {
  const left = Date.parse(text) - now();
  if (left >= DAY) return untilFormat.format(Math.round(left / DAY), 'day');
  if (left >= HOUR) return untilFormat.format(Math.round(left / HOUR), 'hour');
  return untilFormat.format(Math.max(1, Math.round(left / MINUTE)), 'minute');
}

function endsSoon(text) {
  const left = Date.parse(text) - now();
  return left > 0 && left <= SOON;
}

/** A number of seconds in words, such as "90 days". */
function inWords(seconds) {
  const units = [['year', 365 * DAY], ['day', DAY], ['hour', HOUR], ['minute', MINUTE]];
  for (const [unit, length] of units) {
    const count = (seconds * SECOND) / length;
    if (count >= 1 && Number.isInteger(count)) return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return `${seconds} second${seconds === 1 ? '' : 's'}`;
}

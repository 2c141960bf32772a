// Times and durations in words. The service's clock counts, not this machine's: they may differ.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

let ahead = 0;

// Set our clock by the Date header of an answer, unless they agree to within its whole seconds.
export function hearTime(header) {
  const told = Date.parse(header);
  if (!Number.isNaN(told)) ahead = Math.abs(told - Date.now()) < 2000 ? 0 : told - Date.now();
}

const SAME = 2; // seconds: of PVE's clock only whole ones are heard, too

// Whether PVE's clock, which is so many seconds ahead of the service's, shows another time.
export const differs = (offset) => Math.abs(offset ?? 0) >= SAME;

// A time by PVE's clock, by the service's.
export const byOurs = (time, offset) => (time && differs(offset) ? new Date(Date.parse(time) - offset * 1000).toISOString() : time);

export const now = () => (Date.now() + ahead) / 1000;
export const seconds = (time) => (time ? Date.parse(time) / 1000 : null);
export const date = (at) => DATE.format(at * 1000);
export const day = (at) => (Math.abs(at - now()) < 300 * 86400 ? DAY : DATE).format(at * 1000);

// 12 d; 4 d 3 h; 45 s. A number and its unit stay on one line.
export function span(length) {
  const whole = Math.max(0, Math.round(length));
  const first = Math.max(0, UNITS.findIndex(([, size]) => whole >= size || size === 1));
  const [count, rest] = parts(whole, first);
  const next = UNITS[first + 1];
  const isLong = count >= 10 || !next || !rest || UNITS[first][0] === "min";
  return isLong ? one(count, first) : `${one(count, first)} ${one(rest, first + 1)}`;
}

// Of that, the first part.
export const brief = (length) => span(length).split(" ")[0];

const one = (count, unit) => `${count}\u00a0${UNITS[unit][0]}`;

function parts(whole, unit) {
  const count = Math.floor(whole / UNITS[unit][1]);
  const next = UNITS[unit + 1];
  return [count, next ? Math.floor((whole - count * UNITS[unit][1]) / next[1]) : 0];
}

export const ago = (at) => `${brief(now() - at)} ago`;
export const until = (at) => (at > now() ? `in ${brief(at - now())}` : "now");
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : more}`;
export const nameOf = (token) => token.slice(token.indexOf("!") + 1);

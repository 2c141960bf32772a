// Times and durations in words. The service's clock counts, not this machine's: they may differ.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let ahead = 0;

// Set our clock by the Date header of an answer, unless they agree to within its whole seconds.
export function hearTime(header) {
  const told = Date.parse(header);
  if (!Number.isNaN(told)) ahead = Math.abs(told - Date.now()) < 2000 ? 0 : told - Date.now();
}

export const now = () => (Date.now() + ahead) / 1000;
export const seconds = (time) => (time ? Date.parse(time) / 1000 : null);
export const date = (at) => DATE.format(at * 1000);

// 12 d 4 h; 3 h 5 min; 45 s
export function span(length) {
  const whole = Math.max(0, Math.round(length));
  const first = UNITS.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [unit, size] = UNITS[first];
  const count = Math.floor(whole / size);
  const next = UNITS[first + 1];
  const rest = next ? Math.floor((whole - count * size) / next[1]) : 0;
  return rest && count < 10 && unit !== "min" ? `${count} ${unit} ${rest} ${next[0]}` : `${count} ${unit}`;
}

// Of that, the first part: 12 d; 3 h; 45 s
export const brief = (length) => span(length).split(" ").slice(0, 2).join(" ");

export const ago = (at) => `${brief(now() - at)} ago`;
export const until = (at) => (at > now() ? `in ${brief(at - now())}` : "now");
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : more}`;
export const nameOf = (token) => token.slice(token.indexOf("!") + 1);

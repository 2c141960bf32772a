// The tokens of a credential on a line of time: what is current, what retires, and the overlap in which both work.

import { s } from "./dom.js";
import { current, retiring } from "./standing.js";
import { ago, date, nameOf, now, seconds, until } from "./words.js";

const BEFORE = 0.3; // of an interval that is shown before the current token was issued
const LEAST = 1.2; // percent of the width: an overlap of a day in a month can still be seen

export function timeline(it, isLarge = false) {
  const token = current(it);
  const others = (it.tokens ?? []).filter((other) => other !== token);
  if (!token && !others.length) return null;
  const scale = scaleOf(it, token, others);
  const lanes = [...overlaps(others, token, scale), ...planned(it, token, scale), ...drawn(others, scale)];
  const label = told(it);
  return s(
    "svg", { class: isLarge ? "time large" : "time", role: "img", "aria-label": label },
    s("title", {}, label),
    s("rect", { class: "ground", x: 0, y: 0, width: "100%", height: "100%", rx: 4 }),
    ...lanes,
    s("line", { class: "now", x1: `${scale.at(now())}%`, x2: `${scale.at(now())}%`, y1: 0, y2: "100%" }),
  );
}

function scaleOf(it, token, others) {
  const issued = seconds(token?.issued) ?? now() - it.every;
  const ends = others.map((other) => seconds(other.expire)).filter(Number.isFinite);
  const from = others.length ? issued - it.every * BEFORE : issued;
  const to = Math.max(issued + it.every + (it.overlap ?? 0), now(), ...ends);
  const begin = Math.min(from, now());
  const width = Math.max(to - begin, 1) * 1.03;
  const at = (time) => Math.min(100, Math.max(0, ((time - begin) / width) * 100));
  return { at, issued, isCut: (time) => time === null || time < begin };
}

function bar(scale, from, to, attributes) {
  const [start, end] = [scale.at(from), scale.at(to)];
  return s("rect", { x: `${start}%`, width: `${Math.max(end - start, LEAST)}%`, rx: 3, ...attributes });
}

// The current token until it is to be replaced, and the overlap that is to come.
function planned(it, token, scale) {
  if (!token) return [];
  const due = Math.min(scale.issued + it.every, seconds(token.expire) ?? Infinity);
  const isKnown = token.issued && due > now();
  const coming = it.overlap && isKnown ? [bar(scale, due, due + it.overlap, { class: "coming", y: "14%", height: "32%" })] : [];
  return [...coming, bar(scale, scale.issued, token.issued ? Math.max(due, now()) : now(), { class: token.issued ? "current" : "current foreign", y: "14%", height: "32%" })];
}

// From the moment that the current one was there until PVE ends the old one.
function overlaps(others, token, scale) {
  const ends = others.filter((other) => other.role === "retiring").map((other) => seconds(other.expire) ?? now());
  const shown = token ? ends.filter((end) => end > scale.issued) : [];
  return shown.map((end) => bar(scale, scale.issued, end, { class: "overlap", y: 0, height: "100%", rx: 0 }));
}

function drawn(others, scale) {
  return others.map(({ role, issued, expire }) =>
    bar(scale, seconds(issued) ?? -Infinity, seconds(expire) ?? now(), { class: role, y: "56%", height: "30%" }));
}

// The same in a sentence, for those who do not see it.
export function told(it) {
  const token = current(it);
  const parts = [];
  if (token) {
    const issued = seconds(token.issued);
    parts.push(`current token ${nameOf(token.id)}${issued === null ? "" : `, issued ${ago(issued)}`}`);
    if (issued !== null) parts.push(`to be replaced by ${date(issued + it.every)}`);
  }
  for (const other of retiring(it)) {
    const expire = seconds(other.expire);
    parts.push(`retiring token ${nameOf(other.id)}${expire === null ? ", without an end yet" : `, works until ${date(expire)}, ${until(expire)}`}`);
  }
  const fresh = (it.tokens ?? []).filter((other) => other.role === "unpublished").length;
  if (fresh) parts.push(`${fresh} not published`);
  return parts.join("; ");
}

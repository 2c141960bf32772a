// What each cell of a row shows.

import { h } from "./dom.js";
import { GROUPS, current, nextOf, retiring } from "./standing.js";
import { timeline } from "./timeline.js";
import { ago, brief, day, nameOf, now, seconds, until } from "./words.js";

export const COLUMNS = [
  { id: "name", title: "Credential", order: "name", draw: nameCell },
  { id: "cluster", title: "Cluster", order: "cluster", draw: (row) => [h("span", { class: "line" }, row.it.cluster)] },
  { id: "state", title: "State", order: "state", draw: stateCell },
  { id: "age", title: "Age", order: "age", draw: ageCell },
  { id: "tokens", title: "Tokens", order: "tokens", draw: tokensCell },
  { id: "last", title: "Last outcome", order: "last", draw: lastCell },
  { id: "next", title: "Next change", order: "next", draw: nextCell },
];
export const ACTION = { id: "action", title: "Rotate", order: null, draw: actionCell };

function nameCell(row) {
  return [
    h("button", { type: "button", class: "name", "data-do": "open", tabindex: -1, "aria-haspopup": "dialog" }, row.it.name),
    h("span", { class: "line small where" }, row.it.cluster),
  ];
}

export function badge(group, text) {
  return h("span", { class: `badge ${group}` }, h("span", { class: "mark", "aria-hidden": "true" }, GROUPS[group].mark), text);
}

function stateCell(row, { states }) {
  const { it, group } = row;
  return [badge(group, wordOf(row)), h("span", { class: "line small" }, stateLine(it, states))];
}

function wordOf({ it, group }) {
  if (it.working) return "Being rotated";
  if (it.state === "locked-out") return "Locked out";
  return { attention: "Needs a person", failing: "Failing", due: "Due", new: "New", paused: "Paused", fine: "Fine" }[group];
}

export function stateLine(it, states) {
  if (it.working) return `at the step ${it.working}`;
  const backoff = seconds(it.backoff_until);
  const again = backoff !== null && backoff > now() ? `, again ${until(backoff)}` : "";
  return it.failures ? `failed ${it.failures} ×${again}` : states[it.state];
}

export function ageBar(row) {
  const percent = Math.min(100, Math.round((row.share ?? 0) * 100));
  const bar = h("span", { class: `fill ${row.share > 1.5 ? "attention" : row.share > 1.1 ? "failing" : "fine"}` });
  bar.style.width = `${percent}%`;
  return h("span", { class: "track", "aria-hidden": "true" }, bar);
}

export function ageText(it) {
  const issued = seconds(current(it)?.issued);
  return issued === null ? `? of ${brief(it.every)}` : `${brief(now() - issued)} of ${brief(it.every)}`;
}

function ageCell(row) {
  return [row.share === null ? "" : ageBar(row), h("span", { class: "line small" }, ageText(row.it))];
}

function tokensCell({ it }) {
  const token = current(it);
  const old = retiring(it).map((other) => seconds(other.expire)).filter(Number.isFinite);
  const tail = old.length ? `old one ends ${until(Math.max(...old))}` : token && nameOf(token.id);
  return [timeline(it), h("span", { class: "line small", "aria-hidden": token ? "true" : null }, tail ?? "no token yet")];
}

function lastCell({ it }, { reasons }) {
  const last = it.last;
  const [reason, message] = last ? [last.reason, last.message] : [it.reason, it.message];
  if (!reason) return [h("span", { class: "line small" }, "nothing ran yet")];
  const did = last?.done?.length && last.outcome === "done" ? last.done.join(", ") : reason;
  const when = last ? ` ${ago(seconds(last.at))}` : "";
  const meaning = reasons[did]?.meaning;
  return [
    h("span", { class: "line", title: meaning }, h("code", { class: last && last.outcome !== "done" ? "bad" : null }, did), when),
    h("span", { class: "line small", title: message }, message),
  ];
}

function nextCell({ it }) {
  const [what, at] = nextOf(it);
  if (at === null) return [h("span", { class: "line" }, it.state === "paused" ? "none: paused" : "not known yet")];
  return [h("span", { class: "line" }, what, until(at)), h("span", { class: "line small" }, day(at))];
}

function actionCell({ it }, { asked }) {
  const is = it.working || asked.has(it.name);
  const label = `Rotate ${it.name} now`;
  return [
    h("button", { type: "button", class: "act", "data-do": "rotate", tabindex: -1, "aria-label": label, "aria-disabled": is ? "true" : null },
      it.working ? "at work" : is ? "asked for" : "Rotate now"),
  ];
}

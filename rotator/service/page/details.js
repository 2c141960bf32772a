// Everything about one credential, in a dialog.

import { ageBar, ageText, badge, stateLine } from "./columns.js";
import { h, patch, prose } from "./dom.js";
import { GROUPS } from "./standing.js";
import { timeline } from "./timeline.js";
import { ago, date, now, seconds, span, until } from "./words.js";

export class Details {
  constructor(dialog, { rotate }) {
    Object.assign(this, { dialog, rotate, name: null });
    this.body = h("div", { class: "inside" });
    this.title = h("h2", { id: "details-title" });
    this.button = h("button", { type: "button", class: "main", onclick: () => this.rotate(this.name) }, "Rotate now …");
    const close = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
    dialog.append(h("div", { class: "title" }, this.title, h("span", { class: "tools" }, this.button, close)), this.body);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.left());
  }

  open(name, from, left) {
    Object.assign(this, { name, from, after: left });
    this.dialog.showModal();
  }

  left() {
    this.name = null;
    this.after?.();
  }

  show(row, about) {
    if (!this.name) return;
    if (!row) return this.dialog.close();
    this.title.textContent = row.it.name;
    this.button.hidden = !about.canRotate;
    this.button.disabled = Boolean(row.it.working) || about.asked.has(row.it.name);
    patch(this.body, h("div", { class: "inside" }, ...sections(row, about)));
  }
}

function* sections(row, about) {
  const { it } = row;
  yield h("p", {}, badge(row.group, GROUPS[row.group].name.replace("Need ", "Needs ")), ` ${sentence(stateLine(it, about.states))}`, it.failures ? ` (${about.states[it.state]})` : "");
  yield* trouble(it, about);
  yield h("h3", {}, "Tokens");
  yield h("p", {}, "Age: ", ageText(it), row.share === null ? "" : ageBar(row));
  const line = timeline(it, true);
  if (line) yield line;
  if (line) yield legend();
  yield tokens(it);
  yield h("h3", {}, "Last outcome");
  yield it.last ? last(it.last, about) : h("p", {}, it.reason ? `It was looked at${it.seen ? ` ${ago(seconds(it.seen))}` : ""}, and there was nothing to do.` : "Nothing ran yet.");
  if (it.reason && (it.reason !== it.last?.reason || it.last.outcome === "done")) yield explained(it.reason, about, "Last look");
  yield h("h3", {}, "Times and places");
  yield times(it);
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function* trouble(it, { reasons }) {
  if (!["failing", "needs-attention", "locked-out", "waiting"].includes(it.state)) return;
  yield h("div", { class: it.state === "waiting" ? "notice odd" : "notice bad" }, h("strong", {}, prose(it.message || it.reason)), it.last?.live ? h("p", {}, "What is live: ", prose(it.last.live)) : "", it.hint ? h("p", { class: "hint" }, prose(it.hint)) : "", reasons[it.reason]?.do ? h("p", {}, "To do: ", prose(reasons[it.reason].do)) : "");
}

function legend() {
  const parts = [["current", "current"], ["retiring", "retiring"], ["overlap", "overlap: both work"], ["coming", "the next overlap"], ["now", "now"]];
  return h("p", { class: "legend", "aria-hidden": "true" }, parts.map(([kind, text]) => h("span", {}, h("i", { class: kind }), text)));
}

function tokens(it) {
  if (!it.tokens?.length) return h("p", {}, "PVE's list showed none of its tokens yet.");
  const head = h("tr", {}, ["Token", "Is", "Issued", "Ends"].map((text) => h("th", { scope: "col" }, text)));
  const lines = it.tokens.map((token) => h("tr", {}, h("td", {}, h("code", {}, token.id)), h("td", {}, token.role), h("td", {}, token.issued ? date(seconds(token.issued)) : "not by us"), h("td", {}, token.expire ? `${date(seconds(token.expire))} (${until(seconds(token.expire))})` : "never by itself")));
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Tokens at PVE" }, h("table", {}, h("thead", {}, head), h("tbody", {}, lines)));
}

const TRIGGERS = {
  start: "the service began", look: "a look", change: "something was to do", retry: "a try after a failure", reload: "a new configuration", asked: "asked for",
};

function last(it, about) {
  const parts = [
    ["When", `${date(seconds(it.at))} (${ago(seconds(it.at))})`],
    ["Why it ran", `${TRIGGERS[it.trigger] ?? it.trigger}${it.who ? `, by ${it.who}` : ""}`],
    ["Outcome", it.outcome === "done" ? "done" : `${it.outcome}${it.step ? ` at the step ${it.step}` : ""}`],
    ["Was done", (it.done ?? []).join(", ")],
    ["Message", it.message],
    ["Notes", (it.notes ?? []).join("; ")],
  ].filter(([, text]) => text);
  const words = it.outcome === "done" && it.done ? it.done : [...new Set([...(it.done ?? []), it.reason])];
  return h("div", {}, list(parts), words.map((word) => explained(word, about)));
}

function explained(word, { reasons }, title = "") {
  const page = reasons[word];
  const command = h("code", {}, `rotate explain ${word}`);
  if (!page) return h("p", { class: "explained" }, title ? `${title}: ` : "", h("code", {}, word));
  return h("p", { class: "explained" }, title ? `${title}: ` : "", h("code", {}, word), ": ", prose(page.meaning), page.do ? [" To do: ", prose(page.do)] : "", h("span", { class: "small" }, " – ", command));
}

function times(it) {
  const at = (time) => (time ? `${date(seconds(time))} (${seconds(time) > now() ? until(seconds(time)) : ago(seconds(time))})` : "");
  return list([
    ["Cluster", it.cluster],
    ["Rotated every", span(it.every)],
    ["Overlap", it.overlap ? span(it.overlap) : "none"],
    ["Next change", at(it.next_change)],
    ["Next look", at(it.next_wake)],
    ["Held back until", at(it.backoff_until)],
    ["Looked at", at(it.seen)],
    ["Last in order", at(it.well)],
    ["Kept in", (it.destinations ?? []).map((to, i) => `${to.place}${i ? " (mirror)" : ""}`).join(", ")],
  ].filter(([, text]) => text));
}

function list(parts) {
  return h("dl", {}, parts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}

// What there is to say about everything at once.

import { h } from "./dom.js";
import { GROUPS, counts } from "./standing.js";
import { ago, byOurs, date, differs, many, seconds, span, until } from "./words.js";

const SAID = {
  attention: ["needs a person", "need a person"],
  failing: ["is failing", "are failing"],
  due: ["is due or being rotated", "are due or being rotated"],
  new: ["was not looked at yet", "were not looked at yet"],
  paused: ["is paused", "are paused"],
  fine: ["is fine", "are fine"],
};

// The gravest that there is to say, and how many of each kind there are.
export function verdict(rows, leads) {
  const found = counts(rows);
  const kinds = Object.keys(GROUPS).filter((group) => found[group]);
  const tally = kinds.map((group) => `${found[group].toLocaleString()} ${SAID[group][found[group] === 1 ? 0 : 1]}`).join(" · ");
  if (!rows.length) return { group: "new", text: "No credentials are configured for this instance", tally };
  if (!leads) return { group: "new", text: "This instance stands by", tally };
  if (kinds.length === 1 && kinds[0] === "new") return { group: "new", text: "Nothing ran yet: the first look is under way", tally };
  const worst = ["attention", "failing", "due"].find((group) => found[group]);
  if (!worst) return { group: "fine", text: rows.length === 1 ? "The one credential is fine" : `All ${rows.length.toLocaleString()} credentials are fine`, tally };
  const ones = found[worst] === 1 ? 0 : 1;
  return { group: worst, text: `${many(found[worst], "credential")} of ${rows.length.toLocaleString()} ${SAID[worst][ones]}`, tally };
}

export function drawSummary(element, rows, leads) {
  const { group, text, tally } = verdict(rows, leads);
  element.className = `summary ${group}`;
  element.replaceChildren(h("span", { class: "mark", "aria-hidden": "true" }, GROUPS[group].mark), h("span", {}, text, tally.includes("·") ? h("span", { class: "tally" }, tally) : ""));
  document.title = `rotate: ${text}`;
  return text;
}

export function drawAbout(element, { leadership, configuration, started }) {
  element.textContent = [
    leads(leadership),
    `up since ${date(seconds(started))}`,
    `configuration ${configuration.path}, read ${date(seconds(configuration.loaded))}`,
  ].join(" · ");
}

function leads({ kind, leads: isLeader, holder, identity, message }) {
  if (kind === "none") return "This instance works by itself";
  if (isLeader) return `This instance leads (${identity || kind})`;
  return message ? `This instance stands by; who leads is not known: ${message}` : `This instance stands by; ${holder || "nobody yet"} leads`;
}

export function drawNotices(element, document, lost) {
  element.replaceChildren(...notices(document, lost));
}

function* notices(document, lost) {
  if (lost) yield notice("bad", "The service does not answer.", `What is shown is how it stood on ${date(lost)}.`);
  if (!document) return;
  if (document.stopping) yield notice("odd", "The service is stopping.", "It finishes what is under way and begins nothing more.");
  if (document.leadership.kind !== "none" && !document.leadership.leads) {
    yield notice("odd", "This instance stands by.", "It looks at nothing itself; ask the one that leads.");
  }
  const { refused, message, problems = [], path } = document.configuration;
  if (refused) yield notice("bad", "A newer configuration was refused; the old one is still in force.", h("p", {}, `${path}, ${ago(seconds(refused))}: ${message.split("\n")[0]}`), h("ul", {}, problems.map(problem)));
}

function problem({ line, column, where, message, hint }) {
  return h("li", {}, h("code", {}, `${line}:${column}`), ` ${where ? `${where}: ` : ""}${message}`, hint ? h("span", { class: "hint" }, ` – ${hint}`) : "");
}

function notice(kind, title, ...body) {
  return h("div", { class: `notice ${kind}` }, h("strong", {}, title), " ", ...body);
}

export function drawClusters(element, clusters) {
  element.replaceChildren(...clusters.map(cluster));
}

function cluster({ name, endpoints, reachable, message = "", hint = "", answered, next_look: next, operator_expire: end, clock_offset: ahead, reason = "" }) {
  const [kind, word] = reachable === true ? ["fine", "answers"] : reachable === false ? ["attention", "does not answer"] : ["new", "not asked yet"];
  const trouble = reachable === true && reason ? ["failing", "does not let us in"] : [kind, word];
  const times = [
    answered ? `heard ${ago(seconds(answered))}` : "",
    next ? `next look ${until(seconds(next))}` : "",
    end ? `operator's token ends ${date(seconds(byOurs(end, ahead)))}` : "",
    differs(ahead) ? `its clock is ${span(Math.abs(ahead))} ${ahead > 0 ? "ahead" : "behind"}` : "",
  ].filter(Boolean).join(" · ");
  return h("li", { class: `cluster ${trouble[0]}` },
    h("div", { class: "title" }, h("strong", {}, name), h("span", { class: `badge ${trouble[0]}` }, h("span", { class: "mark", "aria-hidden": "true" }, GROUPS[trouble[0]].mark), trouble[1])),
    h("ul", { class: "endpoints" }, endpoints.map(endpoint)),
    message ? h("p", { class: "trouble" }, message, hint ? h("span", { class: "hint" }, ` – ${hint}`) : "") : "",
    h("p", { class: "small" }, times));
}

function endpoint({ address, reachable, message = "" }) {
  const [mark, word] = reachable === true ? ["✓", "reachable"] : reachable === false ? ["✕", "not reachable"] : ["…", "not asked yet"];
  const kind = reachable === true ? "fine" : reachable === false ? "attention" : "new";
  return h("li", { class: kind, title: message || word }, h("span", { class: "mark", "aria-hidden": "true" }, mark), h("code", {}, address), h("span", { class: "small" }, ` ${word}`));
}

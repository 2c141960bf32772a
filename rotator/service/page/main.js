// Puts the page together: what was heard, what is chosen of it, and who draws it.

import { ACTION, COLUMNS } from "./columns.js";
import { Details } from "./details.js";
import { h } from "./dom.js";
import { Grid } from "./grid.js";
import { Rotating, logOut } from "./rotating.js";
import { Source } from "./source.js";
import { GROUPS, ORDERS, chosen, counts, rowsOf } from "./standing.js";
import { drawAbout, drawClusters, drawNotices, drawSummary } from "./summary.js";
import { many, span } from "./words.js";

const TICK = 1000;
const REDRAW = 15; // ticks: ages and distances go on while nothing changes
const LATE = 12000; // milliseconds without an answer: two questions were not answered
const AGAIN = [400, 1500, 3000];

const at = (id) => document.getElementById(id);
const wish = { find: "", group: "", order: "state", isReverse: false };
const page = { document: null, rows: [], heard: 0, isLost: false, asked: new Map(), ticks: 0, said: "" };

const grid = new Grid(at("grid"), { act, sort });
const details = new Details(at("details"), { rotate: (name) => rotating.open(find(name).it) });
const rotating = new Rotating(at("confirm"), { asked });
const source = new Source({ changed, heard, lost });

const find = (name) => page.rows.find((row) => row.it.name === name);
const isDescending = () => Boolean(ORDERS[wish.order].isFalling) !== wish.isReverse;
const about = () => ({ ...wish, isDescending: isDescending(), states: page.document.states, reasons: page.document.reasons, asked: page.asked, canRotate: canRotate() });
const canRotate = () => Boolean(page.document.offers_rotation && page.document.leadership.leads && !page.document.stopping);

function changed(document) {
  page.document = document;
  page.rows = rowsOf(document);
  for (const [name, before] of page.asked) if (isBegun(find(name)?.it, before)) page.asked.delete(name);
  drawClusters(at("clusters"), document.clusters);
  drawAbout(at("about"), document);
  at("product").textContent = `proxmox-token-rotator ${document.product ?? ""}`;
  at("logout").hidden = !document.needs_token;
  drawNotices(at("notices"), document, page.isLost && page.heard);
  drawRows();
}

// Whether what was asked for is under way, or done, or can never be.
const isBegun = (it, before) => !it || Boolean(it.working) || ended(it) !== before;
const ended = (it) => JSON.stringify(it.last ?? null);

function drawRows() {
  const text = drawSummary(at("summary"), page.rows, page.document.leadership.leads);
  if (page.said && text !== page.said) tell(text);
  page.said = text;
  drawGroups();
  drawChosen();
}

function drawChosen() {
  const rows = chosen(page.rows, wish);
  at("count").textContent = rows.length === page.rows.length ? page.rows.length.toLocaleString() : `${rows.length.toLocaleString()} of ${page.rows.length.toLocaleString()}`;
  const columns = canRotate() ? [...COLUMNS, ACTION] : COLUMNS;
  at("grid").classList.toggle("acts", canRotate());
  at("grid").hidden = !rows.length;
  at("groups").hidden = !page.rows.length;
  grid.show(rows, columns, about());
  at("empty").hidden = rows.length > 0;
  at("empty").textContent = page.rows.length ? "No credential is like that." : "There is nothing to rotate: the configuration, or this instance's share of it, has no credentials.";
  details.show(page.rows.find((row) => row.it.name === details.name), about());
  return rows;
}

function drawGroups() {
  const found = { "": page.rows.length, ...counts(page.rows) };
  for (const chip of at("groups").children) {
    const group = chip.dataset.group;
    chip.hidden = group !== "" && group !== wish.group && !found[group];
    chip.setAttribute("aria-pressed", String(group === wish.group));
    chip.querySelector(".number").textContent = found[group].toLocaleString();
  }
}

// what is chosen

function choose(change) {
  Object.assign(wish, change);
  const kept = Object.entries({ find: wish.find, group: wish.group, order: wish.order === "state" ? "" : wish.order, reverse: wish.isReverse ? "1" : "" });
  const words = new URLSearchParams(kept.filter(([, value]) => value)).toString();
  history.replaceState(null, "", words ? `#${words}` : location.pathname);
  at("order").value = wish.order;
  if (!page.document) return;
  drawGroups();
  const rows = drawChosen();
  clearTimeout(choose.timer);
  choose.timer = setTimeout(() => tell(`${many(rows.length, "credential")} shown`), 700);
}

function sort(order) {
  choose(order === wish.order ? { isReverse: !wish.isReverse } : { order, isReverse: false });
}

function makeFilter() {
  const names = { "": { name: "All", mark: "" }, ...GROUPS };
  at("groups").append(...Object.entries(names).map(([group, { name, mark }]) =>
    h("button", { type: "button", class: `chip ${group}`, "data-group": group, "aria-pressed": String(!group), onclick: () => choose({ group }) },
      mark && h("span", { class: "mark", "aria-hidden": "true" }, mark), `${name} `, h("span", { class: "number" }, "0"))));
  at("order").append(...Object.entries(ORDERS).map(([order, { name }]) => h("option", { value: order }, name)));
  at("order").addEventListener("change", (event) => choose({ order: event.target.value, isReverse: false }));
  at("find").addEventListener("input", (event) => choose({ find: event.target.value }));
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    at("find").focus();
  });
  const kept = new URLSearchParams(location.hash.slice(1));
  Object.assign(wish, { find: kept.get("find") ?? "", group: kept.get("group") in GROUPS ? kept.get("group") : "" });
  Object.assign(wish, { order: kept.get("order") in ORDERS ? kept.get("order") : "state", isReverse: kept.has("reverse") });
  at("find").value = wish.find;
  at("order").value = wish.order;
}

// what is done

function act(what, it, from) {
  if (what === "rotate") return from.getAttribute("aria-disabled") === "true" || rotating.open(it);
  details.open(it.name, from, () => grid.target()?.focus());
  details.show(find(it.name), about());
}

function asked(name) {
  page.asked.set(name, ended(find(name).it));
  tell(`${name} will be rotated now`);
  drawChosen();
  AGAIN.forEach((wait) => setTimeout(() => source.ask(), wait));
  setTimeout(() => page.asked.delete(name), 10000);
}

// whether the service answers

function heard() {
  if (page.isLost) tell("The service answers again");
  Object.assign(page, { heard: Date.now() / 1000, isLost: false });
  drawHeard();
  drawNotices(at("notices"), page.document, null);
}

function lost() {
  if (!page.isLost) tell("The service does not answer");
  page.isLost = true;
  drawHeard();
  drawNotices(at("notices"), page.document, page.heard);
}

function drawHeard() {
  const since = Date.now() / 1000 - page.heard;
  const isLost = page.isLost || (page.heard > 0 && since * 1000 > LATE + (document.hidden ? Infinity : 0));
  const last = page.heard ? `last heard ${span(since)} ago` : "nothing was heard of it yet";
  at("heard").className = isLost ? "heard lost" : "heard";
  at("heard-text").textContent = isLost ? `No answer; ${last}` : page.heard ? `Live, ${last}` : "Asking the service …";
  document.body.classList.toggle("stale", isLost && page.heard > 0);
}

function tell(text) {
  at("news").textContent = text;
}

function tick() {
  drawHeard();
  page.ticks += 1;
  if (page.document && page.ticks % REDRAW === 0) {
    page.rows = rowsOf(page.document);
    drawRows();
    drawClusters(at("clusters"), page.document.clusters);
  }
}

makeFilter();
at("logout").addEventListener("click", logOut);
setInterval(tick, TICK);
source.ask();

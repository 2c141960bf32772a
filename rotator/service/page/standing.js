// What the document says, made ready to be filtered, sorted and drawn.

import { byOurs, differs, now, seconds } from "./words.js";

// In the order in which somebody who has little time wants to see them.
export const GROUPS = {
  attention: { name: "Need a person", mark: "✕" },
  failing: { name: "Failing", mark: "!" },
  due: { name: "Due", mark: "◔" },
  new: { name: "Not looked at yet", mark: "…" },
  paused: { name: "Paused", mark: "‖" },
  fine: { name: "Fine", mark: "✓" },
};
const RANK = Object.fromEntries(Object.keys(GROUPS).map((group, rank) => [group, rank]));
const BY_STATE = {
  "needs-attention": "attention", "locked-out": "attention", failing: "failing", paused: "paused", waiting: "due",
};

export function groupOf(it, at) {
  if (BY_STATE[it.state]) return it.working ? "due" : BY_STATE[it.state];
  const change = seconds(it.next_change);
  if (it.working || (change !== null && change <= at)) return "due";
  return it.state === "new" ? "new" : "fine";
}

export const current = (it) => (it.tokens ?? []).find((token) => token.role === "current");
export const retiring = (it) => (it.tokens ?? []).filter((token) => token.role === "retiring");

// Newest first for what is past, soonest first for what is to come, and what is not known at the end.
export const ORDERS = {
  name: { name: "Name", key: (row) => row.it.name },
  cluster: { name: "Cluster", key: (row) => `${row.it.cluster}\n${row.it.name}` },
  state: { name: "State", key: (row) => RANK[row.group] * 1e6 - (row.it.failures ?? 0) },
  age: { name: "Age", key: (row) => row.share, isFalling: true },
  tokens: { name: "Retiring token's end", key: (row) => Math.min(...retiring(row.it).map((it) => seconds(it.expire) ?? Infinity)) },
  last: { name: "Last outcome", key: (row) => seconds(row.it.last?.at), isFalling: true },
  next: { name: "Next change", key: (row) => nextOf(row.it)[1] },
};

// How much of its interval a token has lived, or null: one that somebody else made tells no age.
export function share(it, at) {
  const issued = seconds(current(it)?.issued);
  return issued === null || !it.every ? null : (at - issued) / it.every;
}

// What comes next, and when: a retry, a change, or a look.
export function nextOf(it) {
  const [held, change, wake] = [it.backoff_until, it.next_change, it.next_wake].map(seconds);
  if (held !== null && held > now()) return ["retry ", held];
  return change === null ? ["look ", wake] : ["", change];
}

export function rowsOf(document) {
  const at = now();
  const ahead = new Map(document.clusters.map((cluster) => [cluster.name, cluster.clock_offset]));
  return document.credentials.map((told) => {
    const it = onOurClock(told, ahead.get(told.cluster));
    return { it, group: groupOf(it, at), share: share(it, at), text: textOf(it, document) };
  });
}

// The times of its tokens are by PVE's clock.
function onOurClock(it, ahead) {
  if (!differs(ahead)) return it;
  const tokens = it.tokens?.map((token) => ({ ...token, issued: byOurs(token.issued, ahead), expire: byOurs(token.expire, ahead) }));
  return { ...it, tokens, next_change: byOurs(it.next_change, ahead) };
}

function textOf(it, document) {
  const places = (it.destinations ?? []).map((to) => `${to.place} ${to.backend}`);
  const tokens = (it.tokens ?? []).map((token) => token.id);
  const last = it.last ? [it.last.reason, it.last.message, it.last.outcome, it.last.who] : [];
  return [it.name, it.cluster, it.state, document.states[it.state], it.reason, it.message, ...places, ...tokens, ...last]
    .join("\n").toLowerCase();
}

// Rows are put in order once, and not again at each letter that somebody types.
let inOrder = { rows: null };

export function chosen(rows, { find, group, order, isReverse }) {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  if (inOrder.rows !== rows || inOrder.order !== order || inOrder.isReverse !== isReverse) {
    inOrder = { rows, order, isReverse, sorted: sorted(rows, ORDERS[order], isReverse) };
  }
  return inOrder.sorted.filter((row) => (!group || row.group === group) && words.every((word) => row.text.includes(word)));
}

function sorted(rows, { key, isFalling = false }, isReverse) {
  const sign = isFalling === isReverse ? 1 : -1;
  const keyed = rows.map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => compared(a, b, sign));
  return keyed.map(([, row]) => row);
}

const isMissing = (key) => key === null || key === undefined || key === Infinity;

function compared(a, b, sign) {
  if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
  if (typeof a === "string") return sign * COLLATOR.compare(a, b);
  return sign * (a - b);
}

const COLLATOR = new Intl.Collator(undefined, { numeric: true });

export function counts(rows) {
  const found = Object.fromEntries(Object.keys(GROUPS).map((group) => [group, 0]));
  for (const row of rows) found[row.group] += 1;
  return found;
}

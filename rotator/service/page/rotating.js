// Rotating now: what will happen is said and asked first, and the wish goes with what only this page knows.

import { h } from "./dom.js";
import { current } from "./standing.js";
import { date, nameOf, now, span } from "./words.js";

export class Rotating {
  constructor(dialog, { asked }) {
    Object.assign(this, { dialog, asked });
    this.what = h("div", { class: "inside" });
    this.said = h("p", { class: "said", role: "alert" });
    this.title = h("h2", { id: "confirm-title" });
    this.go = h("button", { type: "button", class: "main", onclick: () => this.send() }, "Rotate now");
    const leave = h("button", { type: "button", class: "quiet", autofocus: true, onclick: () => dialog.close() }, "Leave it as it is");
    dialog.append(this.title, this.what, this.said, h("div", { class: "tools" }, leave, this.go));
  }

  open(it) {
    this.name = it.name;
    this.title.textContent = `Rotate ${it.name} now?`;
    this.said.textContent = "";
    this.go.disabled = false;
    this.what.replaceChildren(h("ol", {}, told(it).map((text) => h("li", {}, text))), ...warnings(it));
    this.dialog.showModal();
  }

  // Until the answer comes somebody may have left, and asked about another one.
  async send() {
    this.go.disabled = true;
    const name = this.name;
    const error = await wish(name);
    if (this.name === name) {
      this.said.textContent = error;
      this.go.disabled = false;
      if (!error) this.dialog.close();
    }
    if (!error) this.asked(name);
  }
}

function told(it) {
  const [token, places] = [current(it), (it.destinations ?? []).map((to) => to.place)];
  const first = places.length ? places[0] : "the primary destination";
  const mirrors = places.length > 1 ? `, then to ${places.slice(1).join(", ")}` : "";
  return [
    `A new token is issued on ${it.cluster} and verified.`,
    `It is published to ${first}${mirrors}; consumers find it there when they read again.`,
    token
      ? it.overlap
        ? `The token that is current, ${nameOf(token.id)}, works for another ${span(it.overlap)}, until ${date(now() + it.overlap)}. Then PVE ends it.`
        : `The token that is current, ${nameOf(token.id)}, is revoked at once: there is no overlap.`
      : "There is no token yet that would end.",
  ];
}

function warnings(it) {
  const found = [];
  if (it.state === "paused") found.push("It is paused in the configuration; this once it is rotated all the same.");
  if (it.failures) found.push(`It has failed ${it.failures} times: ${it.message}`);
  return found.map((text) => h("p", { class: "notice odd" }, text));
}

// Returns what went wrong, "" if nothing did.
async function wish(name) {
  try {
    const session = await fetch("api/v1/session", { cache: "no-store" });
    if (session.status === 401) location.assign("login");
    const { csrf = "" } = session.ok ? await session.json() : {};
    const answer = await fetch("api/v1/rotate", {
      method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ credential: name }),
    });
    return answer.ok ? "" : `It was refused: ${(await answer.text()).trim()}`;
  } catch {
    return "The service does not answer; nothing was asked for, as far as this page knows.";
  }
}

export async function logOut() {
  const { csrf = "" } = await (await fetch("api/v1/session", { cache: "no-store" })).json();
  await fetch("api/v1/logout", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: "{}" });
  location.assign("login");
}

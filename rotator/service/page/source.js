// Asking the service how everything stands, again and again. It answers "not modified" while nothing has changed.

import { hearTime } from "./words.js";

const STATUS = "api/v1/status";
const EVERY = 5000;
const HIDDEN = 60000; // nobody looks
const PATIENCE = 15000;

export class Source {
  constructor({ changed, heard, lost }) {
    Object.assign(this, { changed, heard, lost });
    this.etag = null;
    this.timer = null;
    this.turn = 0;
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
  }

  // Ask now, and from then on at intervals. An answer that was overtaken by another question is dropped.
  async ask() {
    clearTimeout(this.timer);
    const turn = (this.turn += 1);
    try {
      const answer = await this.answer();
      if (turn === this.turn) await this.take(answer);
    } catch (error) {
      if (turn === this.turn) this.lost(error);
    }
    if (turn === this.turn) this.askIn(document.hidden ? HIDDEN : EVERY);
  }

  askIn(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), wait);
  }

  answer() {
    const headers = this.etag ? { "If-None-Match": this.etag } : {};
    return fetch(STATUS, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  }

  async take(answer) {
    if (answer.status === 401) return location.assign("login");
    if (answer.status !== 304 && !answer.ok) throw new Error(`it answers ${answer.status}`);
    const document = answer.status === 304 ? null : await answer.json();
    hearTime(answer.headers.get("Date"));
    this.etag = answer.headers.get("ETag");
    this.heard();
    if (document) this.changed(document);
  }
}

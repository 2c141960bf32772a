// A table of any length of which only what is in sight is drawn, with the keys and roles of an ARIA grid.
//
// Rows are of one height and lie where they belong, so a row that has the focus may stay although it is out of sight.

import { h, patch } from "./dom.js";

const SPARE = 6; // rows above and below what is in sight

export class Grid {
  constructor(root, { act, sort }) {
    Object.assign(this, { root, act, sort });
    this.head = h("div", { class: "head row", role: "row", "aria-rowindex": 1 });
    this.body = h("div", { class: "body", role: "rowgroup" });
    root.append(h("div", { class: "headgroup", role: "rowgroup" }, this.head), this.body);
    this.rows = [];
    this.drawn = new Map(); // name -> element
    this.columns = [];
    this.height = 0;
    this.active = { row: 0, column: 0, name: null }; // row -1 is the head
    this.listen();
  }

  listen() {
    let isAsked = false;
    const later = () => {
      if (!isAsked) requestAnimationFrame(() => { isAsked = false; this.draw(); });
      isAsked = true;
    };
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(() => { this.height = 0; later(); }).observe(this.root);
    this.root.addEventListener("keydown", (event) => this.press(event));
    this.root.addEventListener("focusin", (event) => this.enter(event));
    this.root.addEventListener("click", (event) => this.click(event));
  }

  // Show other rows, or the same anew. `about` is handed to whoever draws a cell.
  show(rows, columns, about) {
    const kept = this.active.name;
    Object.assign(this, { rows, columns, about });
    const index = kept === null ? -1 : rows.findIndex((row) => row.it.name === kept);
    if (index >= 0) this.active.row = index;
    else if (this.active.row >= 0) this.activate(0, this.active.column);
    this.drawHead();
    this.draw();
  }

  drawHead() {
    const { order, isDescending } = this.about;
    const cells = this.columns.map((column, i) => {
      const isSorted = column.order !== null && column.order === order;
      const sorted = isSorted ? (isDescending ? "descending" : "ascending") : column.order ? "none" : null;
      const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (isDescending ? "▼" : "▲") : "");
      const inside = column.order
        ? h("button", { type: "button", "data-do": "sort", tabindex: this.stop(-1, i) }, column.title, arrow)
        : h("span", { class: "unseen" }, column.title);
      return h("div", { role: "columnheader", class: `cell in-${column.id}`, "aria-colindex": i + 1, "aria-sort": sorted }, inside);
    });
    patch(this.head, h("div", { class: "head row", role: "row", "aria-rowindex": 1 }, cells));
    this.root.setAttribute("aria-rowcount", this.rows.length + 1);
    this.root.setAttribute("aria-colcount", this.columns.length);
  }

  draw() {
    if (!this.about) return;
    this.measure();
    this.body.style.height = `${this.rows.length * this.height}px`;
    const wanted = this.wanted();
    const names = new Set(wanted.map((index) => this.rows[index].it.name));
    for (const [name, element] of this.drawn) {
      if (!names.has(name)) {
        element.remove();
        this.drawn.delete(name);
      }
    }
    wanted.forEach((index, place) => this.put(index, place));
  }

  measure() {
    if (this.height || !this.rows.length) return;
    const probe = this.rowOf(0);
    this.body.append(probe);
    this.height = probe.getBoundingClientRect().height;
    probe.remove();
  }

  // The indices of the rows to be drawn, in order: those in sight, and the one that the keyboard is at.
  wanted() {
    if (!this.rows.length) return [];
    const above = -this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / this.height) - SPARE);
    const last = Math.min(this.rows.length - 1, Math.ceil((above + innerHeight) / this.height) + SPARE);
    const found = new Set([Math.max(this.active.row, 0)]);
    for (let index = first; index <= last; index += 1) found.add(index);
    return [...found].sort((a, b) => a - b);
  }

  put(index, place) {
    const name = this.rows[index].it.name;
    const fresh = this.rowOf(index);
    let element = this.drawn.get(name);
    if (element) patch(element, fresh);
    else this.drawn.set(name, (element = fresh));
    if (this.body.children[place] !== element) this.body.insertBefore(element, this.body.children[place] ?? null);
  }

  rowOf(index) {
    const row = this.rows[index];
    const cells = this.columns.map((column, i) => {
      const inside = column.draw(row, this.about).filter(Boolean);
      const button = inside.find((part) => part.tagName === "BUTTON");
      (button ?? { setAttribute() {} }).setAttribute("tabindex", this.stop(index, i));
      const role = column.id === "name" ? "rowheader" : "gridcell";
      const attributes = { role, class: `cell in-${column.id}`, "aria-colindex": i + 1, "data-title": column.title };
      return h("div", { ...attributes, tabindex: button ? null : this.stop(index, i) }, inside);
    });
    const element = h("div", { class: `row ${row.group}`, role: "row", "aria-rowindex": index + 2, "data-name": row.it.name }, cells);
    element.style.transform = `translateY(${index * this.height}px)`;
    return element;
  }

  stop(row, column) {
    return row === this.active.row && column === this.active.column ? 0 : -1;
  }

  activate(row, column) {
    this.active = { row, column, name: this.rows[row]?.it.name ?? null };
  }

  press(event) {
    const page = Math.max(1, Math.floor(innerHeight / (this.height || 1)) - 2);
    const { row, column } = this.active;
    const [bottom, right] = [this.rows.length - 1, this.columns.length - 1];
    const to = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [Math.max(row - page, Math.min(row, 0)), column],
      Home: event.ctrlKey ? [0, 0] : [row, 0], End: event.ctrlKey ? [bottom, right] : [row, right],
    }[event.key];
    if (to && !event.altKey && !event.metaKey) {
      event.preventDefault();
      this.go(Math.min(bottom, Math.max(-1, to[0])), Math.min(right, Math.max(0, to[1])));
    } else if (event.key === "Enter" && event.target.closest(".cell")?.matches("[tabindex]")) {
      this.act("open", this.rows[row].it, event.target);
    }
  }

  go(row, column) {
    this.activate(row, column);
    this.drawHead();
    this.draw();
    const target = this.target();
    target?.focus({ preventScroll: true });
    target?.closest(".row").scrollIntoView({ block: "nearest" });
  }

  target() {
    const { row, column, name } = this.active;
    const line = row < 0 ? this.head : this.drawn.get(name);
    const cell = line?.children[column];
    return cell?.querySelector("button") ?? cell;
  }

  // A click or Tab got somewhere: go on from there.
  enter(event) {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    const column = [...cell.parentElement.children].indexOf(cell);
    const name = cell.parentElement.dataset.name;
    const row = name === undefined ? -1 : this.rows.findIndex((it) => it.it.name === name);
    if (row === this.active.row && column === this.active.column) return;
    this.activate(row, column);
    this.drawHead();
    this.draw();
  }

  click(event) {
    const button = event.target.closest("[data-do]");
    const name = event.target.closest(".row")?.dataset.name;
    const row = this.rows.find((it) => it.it.name === name);
    if (button?.dataset.do === "sort") this.sort(this.columns[[...this.head.children].indexOf(button.closest(".cell"))].order);
    else if (row) this.act(button?.dataset.do ?? "open", row.it, button ?? this.drawn.get(name).querySelector("button"));
  }
}

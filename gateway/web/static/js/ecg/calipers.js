/**
 * Calipers on a sheet: two times and two levels that can be dragged, touched or moved by keyboard.
 *
 * Every line is a slider of its own: arrow keys move it by a fine step, with Shift by ten, Page Up and Page Down move the
 * whole caliper to the lead above or below.
 */

import { s } from "../dom.js";
import { cellAt } from "./sheet.js";

const FINE_S = 0.002;
const FINE_MV = 0.01;
const COARSE = 10;
const MARCHES = 40; // repeats of the interval at most, to either side

/** What two points of the paper are apart: {ms, mv, bpm}; bpm is null without a width. */
export function measured({ a, b }, sheet) {
  const seconds = Math.abs(b.x - a.x) / sheet.speed_mm_s;
  return {
    ms: seconds * 1000,
    mv: (a.y - b.y) / sheet.gain_mm_mv,
    bpm: seconds > 0.02 ? 60 / seconds : null,
  };
}

/** "412 ms · 146 bpm · 0.82 mV" */
export function inWords({ ms, mv, bpm }) {
  const rate = bpm === null ? "–" : bpm.toFixed(0);
  return `${ms.toFixed(0)} ms · ${rate} bpm · ${mv >= 0 ? "" : "−"}${Math.abs(mv).toFixed(2)} mV`;
}

/** Calipers on the SVG of a sheet. told(words) is called whenever the measure changes. */
export class Calipers {
  constructor(svg, sheet, told) {
    this.svg = svg;
    this.sheet = sheet;
    this.told = told;
    this.marching = false;
    this.group = s("g", { class: "caliper", role: "group", "aria-label": "Calipers" });
    svg.append(this.group);
    // children of an image are hidden from assistive technology: with calipers it is a group of sliders
    svg.setAttribute("role", "group");
    const cell = sheet.cells[0];
    this.a = { x: cell.x_mm + 0.2 * sheet.speed_mm_s, y: cell.y_mm };
    this.b = { x: cell.x_mm + 1.0 * sheet.speed_mm_s, y: cell.y_mm - sheet.gain_mm_mv };
    this.build();
    this.listeners = [["pointerdown", this.down], ["pointermove", this.move], ["pointerup", this.up], ["pointercancel", this.up]]
      .map(([name, listener]) => [name, listener.bind(this)]);
    for (const [name, listener] of this.listeners) svg.addEventListener(name, listener);
    this.draw();
  }

  /** Takes the calipers off the paper. */
  remove() {
    for (const [name, listener] of this.listeners) this.svg.removeEventListener(name, listener);
    this.group.remove();
    this.svg.setAttribute("role", "img");
  }

  /** Repeats the interval along the row, to see whether beats keep step. */
  march(on) {
    this.marching = on;
    this.draw();
  }

  /** The times and levels as they stand, for a test or for keeping them over a new drawing. */
  get read() {
    return measured(this, this.sheet);
  }

  build() {
    this.area = s("rect", { class: "caliper-area" });
    this.marches = s("g");
    this.words = s("text");
    this.handles = [
      this.handle("First time", "a", "x"),
      this.handle("Second time", "b", "x"),
      this.handle("First level", "a", "y"),
      this.handle("Second level", "b", "y"),
    ];
    this.group.append(this.area, this.marches, ...this.handles.map((each) => each.element), this.words);
  }

  handle(words, end, axis) {
    const line = s("line");
    const grip = s("line", { class: "grip" });
    const element = s("g", {
      role: "slider", tabindex: 0, "aria-label": words, class: axis === "y" ? "level" : "time",
      "aria-orientation": axis === "x" ? "horizontal" : "vertical",
      onkeydown: (event) => this.key(event, end, axis),
    }, line, grip);
    element.dataset.end = end;
    element.dataset.axis = axis;
    return { element, line, grip, end, axis };
  }

  key(event, end, axis) {
    const { sheet } = this;
    const times = event.shiftKey ? COARSE : 1;
    const step = axis === "x" ? FINE_S * sheet.speed_mm_s * times : FINE_MV * sheet.gain_mm_mv * times;
    const moves = axis === "x" ? { ArrowLeft: -step, ArrowRight: step } : { ArrowUp: -step, ArrowDown: step };
    if (event.key in moves) this[end][axis] += moves[event.key];
    else if (event.key === "PageDown" || event.key === "PageUp") this.toRow(event.key === "PageDown" ? 1 : -1);
    else return;
    event.preventDefault();
    this.draw();
  }

  toRow(by) {
    const rows = [...new Set(this.sheet.cells.map((cell) => cell.y_mm))];
    const here = cellAt(this.sheet, this.a.x, this.a.y);
    const at = rows.indexOf(here ? here.y_mm : rows[0]);
    const shift = rows[Math.min(rows.length - 1, Math.max(0, at + by))] - rows[at];
    this.a.y += shift;
    this.b.y += shift;
  }

  point(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return { x, y };
  }

  down(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const held = event.target.closest('[role="slider"]');
    if (held) {
      held.focus();
      this.dragging = { end: held.dataset.end, axis: held.dataset.axis };
    } else {
      this.a = this.point(event);
      this.b = { ...this.a };
      this.dragging = { end: "b", axis: "xy" };
      this.draw();
    }
  }

  move(event) {
    if (!this.dragging) return;
    const point = this.point(event);
    for (const axis of this.dragging.axis) this[this.dragging.end][axis] = point[axis];
    this.draw();
  }

  up() {
    this.dragging = null;
  }

  draw() {
    const { a, b, sheet } = this;
    for (const point of [a, b]) {
      point.x = Math.min(sheet.width_mm, Math.max(0, point.x));
      point.y = Math.min(sheet.height_mm, Math.max(0, point.y));
    }
    const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
    const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
    set(this.area, { x: left, y: top, width: right - left, height: bottom - top });
    const words = inWords(this.read);
    for (const { element, line, grip, end, axis } of this.handles) {
      const at = this[end][axis];
      const ends = axis === "x" ? { x1: at, x2: at, y1: top - 6, y2: bottom + 6 } : { y1: at, y2: at, x1: left - 3, x2: right + 3 };
      set(line, ends);
      set(grip, ends);
      const [now, most] = axis === "x" ? [at / sheet.speed_mm_s, sheet.width_mm / sheet.speed_mm_s] : [sheet.height_mm - at, sheet.height_mm];
      set(element, { "aria-valuenow": now.toFixed(3), "aria-valuemin": 0, "aria-valuemax": most.toFixed(3), "aria-valuetext": words });
    }
    set(this.words, { x: Math.min(left, sheet.width_mm - 52), y: Math.max(7, top - 7.5) });
    this.words.textContent = words;
    this.drawMarches(left, right, top, bottom);
    this.told(words);
  }

  drawMarches(left, right, top, bottom) {
    const lines = [];
    const step = right - left;
    for (let k = 1; this.marching && step > 1 && k <= MARCHES; k += 1) {
      for (const x of [left - k * step, right + k * step]) {
        if (x > 0 && x < this.sheet.width_mm) lines.push(s("line", { class: "march", x1: x, x2: x, y1: top - 6, y2: bottom + 6 }));
      }
    }
    this.marches.replaceChildren(...lines);
  }
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, typeof value === "number" ? value.toFixed(3) : value);
  }
}

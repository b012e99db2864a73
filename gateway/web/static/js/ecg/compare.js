/** Two recordings of one patient, lead over lead, aligned on the R peak. */

import { h, put, s } from "../dom.js";
import { blankPaper } from "./paper.js";
import { pathsOf } from "./paths.js";
import { longest, TWELVE } from "./recording.js";
import { alike, beatsOf, beatToCompare } from "./rpeaks.js";
import { BEYOND, REACH_MAX_MM } from "./sheet.js";

const SPEED_MM_S = 50;
const BEFORE_S = 0.32;
const SPANS_S = { 0.68: "One beat", 1.8: "Two beats" };
const COLUMNS = 4;
const GAP_MM = 5;
const TOP_MM = 5;
const LABEL_MM = 5; // above the highest trace
const AIR_MM = 2; // below the deepest

/** Draws the comparison of two recordings (recordingFrom) into host. */
export class Comparison {
  constructor(host, now, earlier, { nowWords, earlierWords }) {
    Object.assign(this, { now, earlier, nowWords, earlierWords });
    this.after_s = 0.68;
    this.gain_mm_mv = 10;
    this.paper = h("div", { class: "ecg-paper", tabindex: 0, role: "region", "aria-label": "Comparison on ECG paper" });
    const line = (name) => s("svg", { width: 28, height: 10, "aria-hidden": "true" }, s("path", { class: name, d: "M0 5H28", "stroke-width": 2 }));
    put(host,
      h("div", { class: "ecg-tools", role: "toolbar", "aria-label": "How the comparison is drawn" },
        this.choice("Span", Object.entries(SPANS_S), "0.68", (value) => (this.after_s = Number(value))),
        this.choice("Gain", [5, 10, 20].map((value) => [value, `${value} mm/mV`]), 10, (value) => (this.gain_mm_mv = Number(value)))),
      this.paper,
      h("ul", { class: "ecg-key", "aria-label": "What the lines mean" },
        h("li", {}, line("key-trace"), nowWords), h("li", {}, line("earlier-trace key-earlier"), earlierWords),
        h("li", {}, "50 mm/s, aligned on the R peak of each lead; one beat as it was read, nothing averaged")));
    this.draw();
  }

  choice(words, values, now, chosen) {
    const turn = (event) => {
      chosen(event.target.value);
      this.draw();
    };
    return h("label", {}, words,
      h("select", { onchange: turn }, values.map(([value, text]) => h("option", { value, selected: String(value) === String(now) }, text))));
  }

  draw() {
    const width = (BEFORE_S + this.after_s) * SPEED_MM_S;
    const rows = Math.ceil(TWELVE.length / COLUMNS);
    const beats = [beatsOf(this.now), beatsOf(this.earlier)];
    const cells = TWELVE.map((lead, at) => ({
      ...this.beatsFor(lead, beats), row: at % rows, x: GAP_MM + Math.floor(at / rows) * (width + GAP_MM),
    }));
    let y = TOP_MM;
    for (let row = 0; row < rows; row += 1) {
      const mine = cells.filter((cell) => cell.row === row);
      const { above, below } = this.roomFor(mine);
      for (const cell of mine) Object.assign(cell, { y, y_mm: y + above, height: above + below });
      y += above + below + GAP_MM;
    }
    const svg = blankPaper(COLUMNS * (width + GAP_MM) + GAP_MM, Math.ceil(y));
    svg.setAttribute("aria-label", `Twelve leads of ${this.nowWords} over those of ${this.earlierWords}`);
    svg.append(...cells.map((cell) => this.cell(cell)));
    put(this.paper, svg);
  }

  /** The beat of each of the two recordings that is drawn of a lead; null where it has none to align. */
  beatsFor(lead, beats) {
    const strip = longest(this.now, lead);
    const other = longest(this.earlier, lead);
    const peak = strip && beatToCompare(strip, this.now.rate_hz, beats[0], BEFORE_S, this.after_s);
    let otherPeak = other && beatToCompare(other, this.earlier.rate_hz, beats[1], BEFORE_S, this.after_s);
    if (peak !== null && otherPeak !== null) {
      otherPeak = alike(strip, this.now.rate_hz, peak, other, this.earlier.rate_hz, otherPeak);
    }
    return { lead, now: this.stretch(strip, this.now.rate_hz, peak), earlier: this.stretch(other, this.earlier.rate_hz, otherPeak) };
  }

  /** The samples about a beat, their baseline, and how many millimetres they go above and below it. */
  stretch(strip, rate_hz, peak_s) {
    if (!strip || peak_s === null) return null;
    const first = Math.max(0, Math.ceil((peak_s - BEFORE_S - strip.start_s) * rate_hz));
    const last = Math.min(strip.millivolts.length, Math.floor((peak_s + this.after_s - strip.start_s) * rate_hz));
    const known = Array.from(strip.millivolts.subarray(first, last)).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
    // the median level: both recordings are laid on it, so that a wandering baseline does not part them
    const base = known.length ? known[Math.floor(known.length / 2)] : 0;
    const mm = (value) => Math.max(0, value * this.gain_mm_mv);
    return { strip, rate_hz, peak_s, first, last, base, above: mm((known.at(-1) ?? base) - base), below: mm(base - (known[0] ?? base)) };
  }

  /** Millimetres above and below the baseline that the leads of a row need, so that none is cut. */
  roomFor(cells) {
    const usual = Math.max(30, 3.2 * this.gain_mm_mv);
    const drawn = cells.flatMap(({ now, earlier }) => [now, earlier]).filter(Boolean);
    return {
      above: Math.max(0.6 * usual, ...drawn.map((each) => Math.min(REACH_MAX_MM, each.above) + LABEL_MM)),
      below: Math.max(0.4 * usual, ...drawn.map((each) => Math.min(REACH_MAX_MM, each.below) + AIR_MM)),
    };
  }

  cell(cell) {
    const note = (y, words) => s("text", { class: "note", x: cell.x + 1, y: cell.y + y }, words);
    const group = s("g", { "data-lead": cell.lead },
      s("path", { class: "r-line", d: `M${cell.x + BEFORE_S * SPEED_MM_S} ${cell.y}v${cell.height}` }),
      s("text", { class: "lead", x: cell.x + 1, y: cell.y + 4 }, cell.lead));
    this.trace(group, cell, cell.earlier, "earlier-trace");
    this.trace(group, cell, cell.now, "trace");
    if (!cell.now) group.append(note(8, "no beat to align now"));
    if (!cell.earlier) group.append(note(11.5, "no beat to align earlier"));
    const far = [cell.now, cell.earlier].some((each) => each && Math.max(each.above, each.below) > REACH_MAX_MM);
    if (far) group.append(note(15, `${cell.lead} ${BEYOND}`));
    return group;
  }

  trace(group, cell, stretch, name) {
    if (!stretch) return;
    const { strip, rate_hz, peak_s, first, last, base } = stretch;
    const paths = pathsOf(strip, first, last, {
      x_mm: cell.x + (strip.start_s - peak_s + BEFORE_S) * SPEED_MM_S,
      y_mm: cell.y_mm + base * this.gain_mm_mv,
      mm_per_sample: SPEED_MM_S / rate_hz,
      mm_per_mv: this.gain_mm_mv,
    });
    group.append(s("path", { class: name, d: paths.read }));
    if (paths.bridged) group.append(s("path", { class: "bridged", d: paths.bridged }));
  }
}

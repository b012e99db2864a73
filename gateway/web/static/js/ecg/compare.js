/** Two recordings of one patient, lead over lead, aligned on the R peak. */

import { h, put, s } from "../dom.js";
import { blankPaper } from "./paper.js";
import { pathsOf } from "./paths.js";
import { longest, TWELVE } from "./recording.js";
import { alike, beatsOf, beatToCompare } from "./rpeaks.js";

const BEFORE_S = 0.32;
const SPANS_S = { 0.68: "One beat", 1.8: "Two beats" };
const COLUMNS = 4;
const GAP_MM = 5;
const TOP_MM = 5;

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
    const speed_mm_s = 50;
    const width = (BEFORE_S + this.after_s) * speed_mm_s;
    const height = Math.max(30, 3.2 * this.gain_mm_mv);
    const rows = Math.ceil(TWELVE.length / COLUMNS);
    const svg = blankPaper(COLUMNS * (width + GAP_MM) + GAP_MM, TOP_MM + rows * (height + GAP_MM));
    svg.setAttribute("aria-label", `Twelve leads of ${this.nowWords} over those of ${this.earlierWords}`);
    const beats = [beatsOf(this.now), beatsOf(this.earlier)];
    TWELVE.forEach((lead, at) => {
      const [row, column] = [at % rows, Math.floor(at / rows)];
      const box = { x: GAP_MM + column * (width + GAP_MM), y: TOP_MM + row * (height + GAP_MM), width, height, speed_mm_s };
      svg.append(this.cell(lead, box, beats));
    });
    put(this.paper, svg);
  }

  cell(lead, box, beats) {
    const r_x = box.x + BEFORE_S * box.speed_mm_s;
    const group = s("g", { "data-lead": lead },
      s("path", { class: "r-line", d: `M${r_x} ${box.y}v${box.height}` }),
      s("text", { class: "lead", x: box.x + 1, y: box.y + 4 }, lead));
    const strip = longest(this.now, lead);
    const other = longest(this.earlier, lead);
    const peak = strip && beatToCompare(strip, this.now.rate_hz, beats[0], BEFORE_S, this.after_s);
    let otherPeak = other && beatToCompare(other, this.earlier.rate_hz, beats[1], BEFORE_S, this.after_s);
    if (peak !== null && otherPeak !== null) {
      otherPeak = alike(strip, this.now.rate_hz, peak, other, this.earlier.rate_hz, otherPeak);
    }
    this.trace(group, box, other, this.earlier.rate_hz, otherPeak, "earlier-trace");
    this.trace(group, box, strip, this.now.rate_hz, peak, "trace");
    if (peak === null) group.append(s("text", { class: "note", x: box.x + 1, y: box.y + 8 }, "no beat to align now"));
    if (otherPeak === null) group.append(s("text", { class: "note", x: box.x + 1, y: box.y + 11.5 }, "no beat to align earlier"));
    return group;
  }

  trace(group, box, strip, rate_hz, peak_s, name) {
    if (!strip || peak_s === null) return;
    const first = Math.max(0, Math.ceil((peak_s - BEFORE_S - strip.start_s) * rate_hz));
    const last = Math.min(strip.millivolts.length, Math.floor((peak_s + this.after_s - strip.start_s) * rate_hz));
    const base = baseline(strip, first, last);
    const paths = pathsOf(strip, first, last, {
      x_mm: box.x + (strip.start_s - peak_s + BEFORE_S) * box.speed_mm_s,
      y_mm: box.y + box.height * 0.6 + base * this.gain_mm_mv,
      mm_per_sample: box.speed_mm_s / rate_hz,
      mm_per_mv: this.gain_mm_mv,
    });
    group.append(s("path", { class: name, d: paths.read }));
    if (paths.bridged) group.append(s("path", { class: "bridged", d: paths.bridged }));
  }
}

/** The median level of what is drawn: both recordings are laid on it, so that a wandering baseline does not part them. */
function baseline(strip, first, last) {
  const known = Array.from(strip.millivolts.subarray(first, last)).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return known.length ? known[Math.floor(known.length / 2)] : 0;
}

/** The twelve leads of a page on ECG paper, with the tools to read them. */

import { h, put, s } from "../dom.js";
import { Calipers } from "./calipers.js";
import { drawSheet } from "./paper.js";
import { recordingFrom, sampleAt, SEEN } from "./recording.js";
import { cellAt, GAINS_MM_MV, LAYOUTS, layoutOf, sheetOf, SPEEDS_MM_S } from "./sheet.js";

const ZOOMS = { fit: "Fit the width", true: "True size", 1.5: "1.5 × true size", 2: "2 × true size", 3: "3 × true size" };
const MM_PX = 96 / 25.4; // CSS pixels in a CSS millimetre

/** Draws itself into host. waveform: the waveform endpoint's JSON, or a recording made of it. */
export class EcgViewer {
  constructor(host, waveform, { layout, numbers } = {}) {
    this.host = host;
    this.recording = waveform.strips[0]?.millivolts instanceof Float32Array ? waveform : recordingFrom(waveform);
    this.numbers = numbers ?? new Map(this.recording.findings.map((finding, at) => [finding, at + 1]));
    this.options = { layout: layout ?? layoutOf(this.recording.layout), speed_mm_s: 25, gain_mm_mv: 10 };
    this.zoom = "fit";
    this.calipers = null;
    this.build();
    this.draw();
  }

  build() {
    this.paper = h("div", { class: "ecg-paper", tabindex: 0, role: "region", "aria-label": "ECG paper" });
    this.under = h("span", { class: "under" });
    this.measure = h("output", { class: "caliper-read" });
    this.march = this.toggle("March", false, (on) => this.calipers?.march(on));
    this.march.disabled = true;
    this.caliper = this.toggle("Calipers", false, (on) => this.setCalipers(on));
    put(this.host,
      h("div", { class: "ecg-tools", role: "toolbar", "aria-label": "How the leads are drawn" },
        this.choice("Layout", Object.entries(LAYOUTS).map(([name, { words }]) => [name, words]), this.options.layout,
          (value) => this.set({ layout: value })),
        this.choice("Speed", SPEEDS_MM_S.map((value) => [value, `${value} mm/s`]), 25, (value) => this.set({ speed_mm_s: Number(value) })),
        this.choice("Gain", GAINS_MM_MV.map((value) => [value, `${value} mm/mV`]), 10, (value) => this.set({ gain_mm_mv: Number(value) })),
        this.choice("Size", Object.entries(ZOOMS), this.zoom, (value) => this.setZoom(value)),
        this.toggle("Uncertainty", true, (on) => this.paper.classList.toggle("no-ribbon", !on)),
        this.toggle("Findings", true, (on) => this.paper.classList.toggle("no-marks", !on)),
        this.caliper, this.march),
      this.paper,
      h("p", { class: "ecg-read" }, this.under, this.measure),
      key());
    this.paper.addEventListener("pointermove", (event) => this.readUnder(event));
    this.paper.addEventListener("keydown", (event) => {
      if (event.key === "c" && event.target === this.paper) this.caliper.click();
      if (event.key === "Escape" && this.calipers) this.caliper.click();
    });
  }

  choice(words, values, now, chosen) {
    return h("label", {}, words,
      h("select", { onchange: (event) => chosen(event.target.value) },
        values.map(([value, text]) => h("option", { value, selected: String(value) === String(now) }, text))));
  }

  toggle(words, on, turned) {
    const button = h("button", { type: "button", class: "small", "aria-pressed": on }, words);
    button.setAttribute("aria-pressed", String(on));
    button.addEventListener("click", () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(now));
      turned(now);
    });
    return button;
  }

  /** Changes layout, speed_mm_s or gain_mm_mv and draws anew. */
  set(options) {
    Object.assign(this.options, options);
    this.draw();
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.size();
  }

  size() {
    const fit = this.zoom === "fit";
    this.svg.classList.toggle("sized", !fit);
    const factor = this.zoom === "true" ? 1 : Number(this.zoom);
    if (fit) for (const name of ["width", "height"]) this.svg.removeAttribute(name);
    // words keep a size that can be read when a long paper is made to fit
    this.svg.style.setProperty("--word", fit ? Math.min(2.2, Math.max(1, this.sheet.width_mm / 265)) : 1);
    if (!fit) {
      this.svg.setAttribute("width", this.sheet.width_mm * MM_PX * factor);
      this.svg.setAttribute("height", this.sheet.height_mm * MM_PX * factor);
    }
  }

  draw() {
    const measuring = this.calipers !== null;
    this.calipers?.remove();
    this.calipers = null;
    this.sheet = sheetOf(this.recording, this.options);
    this.svg = drawSheet(this.sheet, this.recording, this.numbers);
    put(this.paper, this.svg);
    this.size();
    if (measuring) this.setCalipers(true);
  }

  setCalipers(on) {
    this.calipers?.remove();
    this.calipers = on ? new Calipers(this.svg, this.sheet, (words) => put(this.measure, words)) : null;
    if (!on) put(this.measure);
    this.march.disabled = !on;
    if (on) this.calipers.march(this.march.getAttribute("aria-pressed") === "true");
    this.paper.classList.toggle("measuring", on);
  }

  readUnder(event) {
    const matrix = this.svg.getScreenCTM();
    if (!matrix) return;
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const cell = cellAt(this.sheet, x, y);
    if (!cell) return;
    const seconds = cell.from_s + (x - cell.x_mm) / this.sheet.speed_mm_s;
    put(this.under, `${cell.label}, ${seconds.toFixed(2)} s: ${valueInWords(cell, this.recording, seconds)}`);
  }

  /** Makes the marks of one finding stand out, by its number; null for none. */
  light(number) {
    for (const mark of this.svg.querySelectorAll(".mark")) mark.classList.toggle("lit", mark.dataset.finding === String(number));
  }
}

function valueInWords(cell, recording, seconds) {
  const sample = cell.strip && sampleAt(cell.strip, recording.rate_hz, seconds);
  if (!sample) return "the page shows nothing here";
  const mv = cell.sign * sample.mv;
  const words = `${mv < 0 ? "−" : ""}${Math.abs(mv).toFixed(2)} mV ± ${(2 * sample.sigma).toFixed(2)}`;
  return sample.seen === SEEN.bridged ? `${words}, bridged` : words;
}

/** What the lines mean. */
function key() {
  const line = (name) => s("svg", { width: 28, height: 10, "aria-hidden": "true" }, s("path", { class: name, d: "M0 5H28" }));
  const ribbon = s("svg", { width: 28, height: 10, "aria-hidden": "true" }, s("rect", { class: "ribbon", y: 1, width: 28, height: 8 }));
  return h("ul", { class: "ecg-key", "aria-label": "What the lines mean" },
    h("li", {}, line("key-trace"), "read"), h("li", {}, line("key-bridged"), "bridged over a short gap"),
    h("li", {}, ribbon, "± 2 σ: where the trace lies with 95 %"), h("li", {}, "blank: the page shows nothing there"));
}

/** Standard ECG paper and the leads on it, as one SVG whose user unit is the millimetre. */

import { s } from "../dom.js";
import { pathsOf } from "./paths.js";
import { BEYOND, samplesOf } from "./sheet.js";

const DISC_MM = 1.7; // half of the disc with a finding's number
const LANE_MM = 3.4;

let papers = 0; // patterns need names of their own where a page shows several papers

/** The SVG of a sheet. numbers: Map from finding to the number that the list of findings gives it. */
export function drawSheet(sheet, recording, numbers = new Map()) {
  const svg = blankPaper(sheet.width_mm, sheet.height_mm);
  svg.setAttribute("aria-label", `Twelve leads, ${sheet.speed_mm_s} mm/s, ${sheet.gain_mm_mv} mm/mV`);
  const marks = s("g", { class: "marks" });
  const traces = s("g", { class: "traces" });
  const words = s("g", { class: "words" });
  svg.append(marks, traces, words);
  const pulses = new Set();
  for (const cell of sheet.cells) {
    if (!pulses.has(cell.row)) traces.append(pulse(sheet, cell.y_mm));
    pulses.add(cell.row);
    drawCell(cell, sheet, recording, { traces, words });
    drawMarks(cell, sheet, recording, numbers, marks);
  }
  words.append(
    s("text", { x: sheet.left_mm, y: sheet.height_mm - 3, class: "scale" },
      `${sheet.speed_mm_s} mm/s · ${sheet.gain_mm_mv} mm/mV · preliminary, digitized from paper${checked(recording)}`),
  );
  return svg;
}

/** An approval is of the traces; the ECG stays preliminary, for nobody has read it. */
const checked = ({ findings }) =>
  findings.some(({ code }) => code === "approved_by_person") ? ", traces checked by a person" : "";

/** Paper of this size without a trace. */
export function blankPaper(width_mm, height_mm) {
  papers += 1;
  const fine = `fine-${papers}`;
  const heavy = `heavy-${papers}`;
  return s("svg", { class: "paper", viewBox: `0 0 ${width_mm} ${height_mm}`, role: "img" },
    s("defs", {},
      s("pattern", { id: fine, width: 1, height: 1, patternUnits: "userSpaceOnUse" },
        s("path", { class: "fine", d: "M1 0H0V1" })),
      s("pattern", { id: heavy, width: 5, height: 5, patternUnits: "userSpaceOnUse" },
        s("path", { class: "heavy", d: "M5 0H0V5" }))),
    s("rect", { class: "ground", width: width_mm, height: height_mm }),
    s("rect", { fill: `url(#${fine})`, width: width_mm, height: height_mm }),
    s("rect", { fill: `url(#${heavy})`, width: width_mm, height: height_mm }));
}

/** The calibration pulse: 1 mV, 5 mm wide, at the left end of a row. */
function pulse(sheet, y_mm) {
  const top = y_mm - sheet.gain_mm_mv;
  return s("path", { class: "pulse", d: `M3 ${y_mm}H5V${top}H10V${y_mm}H12` });
}

function drawCell(cell, sheet, recording, { traces, words }) {
  const label_y = cell.y_mm - Math.min(10, Math.max(6, sheet.gain_mm_mv * 0.8));
  words.append(s("text", { x: cell.x_mm + 1, y: label_y, class: "lead" }, [cell.label, cell.strip?.doubt].filter(Boolean).join(" ")));
  if (cell.column > 0) traces.append(s("path", { class: "border", d: `M${cell.x_mm} ${cell.y_mm - 4}v2m0 4v2` }));
  const told = whyEmpty(cell);
  if (told) words.append(s("text", { x: cell.x_mm + 3, y: cell.y_mm + 1, class: "note" }, told));
  else if (cell.moved) {
    words.append(s("text", { x: cell.x_mm + 1, y: label_y + 3, class: "note" }, `from ${cell.from_s.toFixed(1)} s of the page`));
  }
  if (!cell.strip) return;
  if (cell.beyond) words.append(s("text", { x: cell.x_mm + 1, y: label_y + 6, class: "note beyond" }, `${cell.label} ${BEYOND}`));
  const [first, last] = samplesOf(cell, recording.rate_hz);
  const mm_per_sample = sheet.speed_mm_s / recording.rate_hz;
  const paths = pathsOf(cell.strip, first, last, {
    x_mm: cell.x_mm + (cell.strip.start_s - cell.from_s) * sheet.speed_mm_s,
    y_mm: cell.y_mm,
    mm_per_sample,
    mm_per_mv: cell.sign * sheet.gain_mm_mv,
  });
  traces.append(
    s("g", { "data-lead": cell.lead, "data-rhythm": String(cell.rhythm) },
      s("path", { class: "ribbon", d: paths.ribbon }),
      s("path", { class: "trace", d: paths.read }),
      s("path", { class: "bridged", d: paths.bridged })),
  );
}

function whyEmpty(cell) {
  if (!cell.strip) return "not printed";
  return cell.strip.invalid ? "marked invalid by a person" : "";
}

/** Half of the way to the nearest row: what reaches further would be another lead's. */
function halfOf(cell, sheet) {
  const ways = sheet.cells.map((other) => Math.abs(other.y_mm - cell.y_mm)).filter((way) => way > 0);
  return ways.length ? Math.min(...ways) / 2 : 15;
}

/** Findings of a lead where they are in time; those of the whole lead along its field. */
function drawMarks(cell, sheet, recording, numbers, marks) {
  let lane = 0;
  const half = halfOf(cell, sheet);
  const first = Math.min(8, half - 2 * DISC_MM);
  const lanes = 1 + Math.max(0, Math.floor((half - DISC_MM - first) / LANE_MM)); // as many lie below each other
  for (const finding of recording.findings) {
    if (finding.lead !== cell.lead) continue;
    const from_s = Math.max(finding.start_s ?? cell.from_s, cell.from_s);
    const to_s = Math.min(finding.end_s ?? cell.from_s + cell.seconds, cell.from_s + cell.seconds);
    if (to_s <= from_s) continue;
    const x = cell.x_mm + (from_s - cell.from_s) * sheet.speed_mm_s;
    const width = Math.max(1, (to_s - from_s) * sheet.speed_mm_s);
    const whole = finding.start_s === null;
    const y = cell.y_mm + (whole ? first + LANE_MM * (lane % lanes) : -Math.min(9, half));
    const tall = Math.min(18, 2 * half - DISC_MM);
    const at = x + DISC_MM + (whole ? 2 * DISC_MM * Math.floor(lane / lanes) : 0);
    const number = numbers.get(finding) ?? "";
    marks.append(
      s("g", { class: `mark ${finding.severity}`, "data-finding": number },
        s("title", {}, `${number}. ${finding.text}${finding.detail ? ` ${finding.detail}` : ""}`),
        whole ? s("rect", { class: "line", x, y, width, height: 0.7 }) : s("rect", { class: "area", x, y, width, height: tall }),
        s("circle", { cx: at, cy: y + (whole ? 0.35 : tall), r: DISC_MM }),
        s("text", { x: at, y: y + (whole ? 0.35 : tall), class: "number" }, String(number))),
    );
    if (whole) lane += 1;
  }
}

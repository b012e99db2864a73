/**
 * Where each lead lies on the paper: cells with an origin in millimetres, for every layout that can be chosen.
 *
 * x right, y down, millimetres from the paper's upper left corner; a cell's y is its 0 mV.
 */

import { longest, sharedSeconds, stripFor } from "./recording.js";

const CHEST = ["V1", "V2", "V3", "V4", "V5", "V6"];
const ORDERS = {
  "": ["I", "II", "III", "aVR", "aVL", "aVF", ...CHEST],
  "-cabrera": ["aVL", "I", "-aVR", "II", "aVF", "III", ...CHEST],
};
const GRIDS = { "3x4": "3×4", "4x3": "4×3", "6x2": "6×2", "12x1": "12×1" };

/**
 * What can be chosen, by the names that layouts of pages have: words for a person, rows of leads (a minus: drawn upside
 * down), whether the page's long strips lie below. "+1" stands for however many the page has.
 */
export const LAYOUTS = Object.fromEntries(Object.entries(ORDERS).flatMap(([suffix, leads]) =>
  Object.entries(GRIDS).flatMap(([grid, words]) =>
    (grid === "12x1" ? [""] : ["+1", ""]).map((long) => [grid + long + suffix, {
      words: `${suffix && "Cabrera "}${words}${long && " + rhythm"}`,
      rows: downColumns(leads, parseInt(grid, 10)),
      rhythm: long !== "",
    }]))));

/** Leads run down each column first, as every maker prints them. */
function downColumns(leads, rows) {
  return Array.from({ length: rows }, (_, row) => leads.filter((_, at) => at % rows === row));
}

export const SPEEDS_MM_S = [12.5, 25, 50, 100];
export const GAINS_MM_MV = [2.5, 5, 10, 20, 40];

const LEFT_MM = 15; // calibration pulse and a little air
const RIGHT_MM = 5;
const TOP_MM = 10;
const BOTTOM_MM = 10;
const AIR_MM = 3; // between the deepest trace of a row and the highest of the next

/** As far as paper is made for a trace: 10 mV at the largest gain. What reaches further is said on the paper. */
export const REACH_MAX_MM = 400;

/** What is said of a lead that reaches further. */
export const BEYOND = "goes beyond the paper: choose less gain";

const PITCH_MM = { 3: 30, 4: 30, 5: 25, 6: 20, 7: 20, 12: 15, 13: 15 };

/** The layout as the page was printed; of a page of six leads, the one that shows each over its whole length. */
export function layoutOf(printed) {
  const name = printed.replace(/\+\d+/, "+1");
  return name in LAYOUTS ? name : name.startsWith("6x1") ? "12x1" : "3x4+1";
}

/**
 * Lays a recording out. options: {layout, speed_mm_s, gain_mm_mv}.
 *
 * A cell shows its lead at the page's own time where the lead was printed there; where it was printed elsewhere on the
 * page (a lead printed for 2.5 s, drawn in another column), at the time it was printed, and `moved` says so.
 */
export function sheetOf(recording, { layout, speed_mm_s, gain_mm_mv }) {
  const chosen = LAYOUTS[layout];
  const rows = [...chosen.rows.map((row) => row.map((name) => ({ name, rhythm: false })))];
  if (chosen.rhythm) for (const name of rhythmLeads(recording)) rows.push([{ name, rhythm: true }]);
  const cells = [];
  rows.forEach((row, at) => {
    const seconds = recording.duration_s / row.length;
    row.forEach(({ name, rhythm }, column) => {
      cells.push(cellOf(recording, name, { row: at, column, seconds, rhythm, alone: row.length === 1, speed_mm_s }));
    });
  });
  const height_mm = setBaselines(cells, rows.length, recording.rate_hz, gain_mm_mv);
  const width_mm = Math.ceil((LEFT_MM + recording.duration_s * speed_mm_s + RIGHT_MM) / 5) * 5;
  return { cells, rows: rows.length, width_mm, height_mm, left_mm: LEFT_MM, speed_mm_s, gain_mm_mv, layout };
}

/**
 * The leads of long strips, in the order of the page: those printed a second time, and those whose own short field was
 * not read; else II.
 */
function rhythmLeads(recording) {
  const lengths = recording.strips.map((strip) => strip.millivolts.length).sort((a, b) => a - b);
  const usual = lengths[Math.floor(lengths.length / 2)] ?? 0;
  const long = recording.strips.filter((strip) => strip.rhythm || strip.millivolts.length > 1.5 * usual);
  return long.length ? [...new Set(long.map((strip) => strip.lead))] : ["II"];
}

function cellOf(recording, name, { row, column, seconds, rhythm, alone, speed_mm_s }) {
  const sign = name.startsWith("-") ? -1 : 1;
  const lead = name.replace("-", "");
  const due_s = column * seconds;
  const strip = rhythm || alone ? longest(recording, lead) : stripFor(recording, lead, due_s, seconds);
  let from_s = due_s;
  if (strip && !covers(strip, recording.rate_hz, due_s, seconds)) from_s = strip.start_s;
  return {
    lead, sign, strip, row, column, seconds, rhythm, from_s,
    label: sign < 0 ? `−${lead} (computed)` : lead,
    moved: from_s !== due_s,
    x_mm: LEFT_MM + due_s * speed_mm_s,
    y_mm: 0,
    width_mm: seconds * speed_mm_s,
  };
}

/** Whether a strip fills most of what it can of a cell at the page's own time. */
function covers(strip, rate_hz, from_s, seconds) {
  return sharedSeconds(strip, rate_hz, from_s, seconds) >= 0.8 * Math.min(seconds, strip.millivolts.length / rate_hz);
}

/** First and last (exclusive) sample of a cell within its strip. */
export function samplesOf(cell, rate_hz) {
  const first = Math.round((cell.from_s - cell.strip.start_s) * rate_hz);
  const last = first + Math.round(cell.seconds * rate_hz);
  return [Math.max(0, first), Math.min(cell.strip.millivolts.length, last)];
}

/** Moves every row down until no trace touches the next; baselines lie on heavy lines. Returns the paper's height. */
function setBaselines(cells, rows, rate_hz, gain_mm_mv) {
  const pitch_mm = PITCH_MM[rows] ?? Math.max(15, 120 / rows);
  let y_mm = TOP_MM;
  let below_mm = 0;
  for (let row = 0; row < rows; row += 1) {
    const mine = cells.filter((cell) => cell.row === row);
    const reach = mine.map((cell) => reachOf(cell, rate_hz, gain_mm_mv));
    const above_mm = Math.max(5, ...reach.map((each) => each[0]));
    y_mm += row === 0 ? Math.max(pitch_mm / 2, above_mm) : Math.max(pitch_mm, below_mm + AIR_MM + above_mm);
    y_mm = Math.ceil(y_mm / 5) * 5;
    below_mm = Math.max(5, ...reach.map((each) => each[1]));
    mine.forEach((cell, at) => Object.assign(cell, { y_mm, beyond: Math.max(...reach[at]) >= REACH_MAX_MM }));
  }
  return Math.ceil((y_mm + Math.max(below_mm, pitch_mm / 3) + BOTTOM_MM) / 5) * 5;
}

function reachOf(cell, rate_hz, gain_mm_mv) {
  let highest = 0;
  let lowest = 0;
  if (cell.strip) {
    const [first, last] = samplesOf(cell, rate_hz);
    for (let k = first; k < last; k += 1) {
      const value = cell.sign * cell.strip.millivolts[k];
      if (value > highest) highest = value;
      if (value < lowest) lowest = value;
    }
  }
  return [Math.min(REACH_MAX_MM, highest * gain_mm_mv), Math.min(REACH_MAX_MM, -lowest * gain_mm_mv)];
}

/** The cell under a point of the paper, null beside the leads. */
export function cellAt(sheet, x_mm, y_mm) {
  let found = null;
  for (const cell of sheet.cells) {
    const inside = x_mm >= cell.x_mm && x_mm <= cell.x_mm + cell.width_mm;
    if (inside && (found === null || Math.abs(cell.y_mm - y_mm) < Math.abs(found.y_mm - y_mm))) found = cell;
  }
  return found;
}

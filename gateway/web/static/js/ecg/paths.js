/** Samples as SVG path data. The pen is lifted wherever the page shows nothing; nothing is drawn across a gap. */

import { SEEN } from "./recording.js";

const RIBBON_SIGMAS = 2; // 95 % of what the trace may be
const RIBBON_STEP_MM = 0.1;

/**
 * {read, bridged, ribbon}: path data of a strip's samples first..last-1.
 *
 * at: {x_mm of sample 0, y_mm of 0 mV, mm_per_sample, mm_per_mv} (mm_per_mv negative draws the lead upside down).
 */
export function pathsOf(strip, first, last, at) {
  const x = (k) => at.x_mm + k * at.mm_per_sample;
  const y = (value) => at.y_mm - value * at.mm_per_mv;
  const read = [];
  const bridged = [];
  let pen = null; // the list the last point was drawn into
  const lift = () => {
    if (pen?.at(-1).startsWith("M") && !pen.at(-1).includes("L")) pen.push("h0"); // one sample alone is a dot
    pen = null;
  };
  for (let k = first; k < last; k += 1) {
    if (Number.isNaN(strip.millivolts[k])) {
      lift();
      continue;
    }
    const list = strip.seen[k] === SEEN.bridged ? bridged : read;
    const point = `${x(k).toFixed(2)} ${y(strip.millivolts[k]).toFixed(3)}`;
    if (pen === list) list.push(`L${point}`);
    else if (pen === null) list.push(`M${point}`);
    else {
      // the step between what was read and what was bridged is a bridge
      const before = `${x(k - 1).toFixed(2)} ${y(strip.millivolts[k - 1]).toFixed(3)}`;
      if (list === bridged) bridged.push(`M${before}L${point}`);
      else {
        bridged.push(`L${point}`);
        read.push(`M${point}`);
      }
    }
    pen = list;
  }
  lift();
  return { read: read.join(""), bridged: bridged.join(""), ribbon: ribbonOf(strip, first, last, x, y, at) };
}

function ribbonOf(strip, first, last, x, y, at) {
  const step = Math.max(1, Math.floor(RIBBON_STEP_MM / at.mm_per_sample));
  const parts = [];
  let upper = [];
  let lower = [];
  const close = () => {
    if (upper.length > 1) parts.push(`M${upper.join("L")}L${lower.reverse().join("L")}Z`);
    upper = [];
    lower = [];
  };
  const known = (k) => k < last && !Number.isNaN(strip.millivolts[k]) && !Number.isNaN(strip.sigma_mv[k]);
  for (let k = first; k < last; k += 1) {
    if (!known(k)) {
      close();
      continue;
    }
    if (upper.length && known(k + 1) && (k - first) % step) continue; // the ends of a run are always drawn
    const value = strip.millivolts[k];
    const sigma = strip.sigma_mv[k];
    const across = x(k).toFixed(2);
    upper.push(`${across} ${y(value + RIBBON_SIGMAS * sigma).toFixed(2)}`);
    lower.push(`${across} ${y(value - RIBBON_SIGMAS * sigma).toFixed(2)}`);
  }
  close();
  return parts.join("");
}

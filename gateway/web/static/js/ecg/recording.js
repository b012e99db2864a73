/**
 * What was read of a page, ready to be drawn.
 *
 * Samples are Float32Array in mV; NaN means that the page shows nothing there, zero means that the page shows zero.
 */

export const TWELVE = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/** Per sample: what the page showed there. */
export const SEEN = { nothing: 0, read: 1, bridged: 2 };

/** The waveform endpoint's JSON as a recording; null samples become NaN. */
export function recordingFrom(json) {
  const strips = json.strips.map((strip) => ({
    ...strip,
    millivolts: Float32Array.from(strip.millivolts, nanOf),
    sigma_mv: Float32Array.from(strip.sigma_mv, nanOf),
    seen: Uint8Array.from(strip.seen),
  }));
  const ends = strips.map((strip) => strip.start_s + strip.millivolts.length / json.rate_hz);
  return { ...json, strips, duration_s: Math.max(json.duration_s ?? 0, ...ends, 0.1) };
}

const nanOf = (value) => (value === null ? NaN : value);

/** The longest strip of a lead, the first of equals, null where it was not printed. */
export function longest(recording, lead) {
  return pick(recording, lead, (one, other) => one.millivolts.length > other.millivolts.length);
}

/** The shortest strip of a lead: its own cell where it is printed a second time as a rhythm strip. */
export function shortest(recording, lead) {
  return pick(recording, lead, (one, other) => one.millivolts.length < other.millivolts.length);
}

function pick(recording, lead, better) {
  let found = null;
  for (const strip of recording.strips) {
    if (strip.lead === lead && (found === null || better(strip, found))) found = strip;
  }
  return found;
}

/** Seconds of a strip that the page shows. */
export function shownSeconds(strip, rate_hz) {
  let shown = 0;
  for (const value of strip.millivolts) if (!Number.isNaN(value)) shown += 1;
  return shown / rate_hz;
}

/** The sample at a page time: {mv, sigma, seen}, or null where the strip has none. */
export function sampleAt(strip, rate_hz, seconds) {
  const at = Math.round((seconds - strip.start_s) * rate_hz);
  if (at < 0 || at >= strip.millivolts.length || Number.isNaN(strip.millivolts[at])) return null;
  return { mv: strip.millivolts[at], sigma: strip.sigma_mv[at], seen: strip.seen[at] };
}

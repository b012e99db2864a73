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
  return stripFor(recording, lead, 0, Infinity);
}

/**
 * The strip of a lead that shows most of a stretch of page time, null where the lead was not printed.
 *
 * Of two that show as much the shorter: a lead's own field, where it is printed a second time as a long strip.
 */
export function stripFor(recording, lead, from_s, seconds) {
  let found = null;
  for (const strip of recording.strips) {
    if (strip.lead !== lead) continue;
    const length = strip.millivolts.length;
    const shared_s = sharedSeconds(strip, recording.rate_hz, from_s, seconds);
    const more = found === null || shared_s > found.shared_s + 0.05;
    const asMuch = found !== null && Math.abs(shared_s - found.shared_s) <= 0.05;
    if (more || (asMuch && length < found.strip.millivolts.length)) found = { strip, shared_s };
  }
  return found?.strip ?? null;
}

/** Seconds that a strip and a stretch of page time have in common, 0 where none. */
export function sharedSeconds(strip, rate_hz, from_s, seconds) {
  const end_s = strip.start_s + strip.millivolts.length / rate_hz;
  return Math.max(0, Math.min(from_s + seconds, end_s) - Math.max(from_s, strip.start_s));
}

/** The sample at a page time: {mv, sigma, seen}, or null where the strip has none. */
export function sampleAt(strip, rate_hz, seconds) {
  const at = Math.round((seconds - strip.start_s) * rate_hz);
  if (at < 0 || at >= strip.millivolts.length || Number.isNaN(strip.millivolts[at])) return null;
  return { mv: strip.millivolts[at], sigma: strip.sigma_mv[at], seen: strip.seen[at] };
}

/** Where the hearts beat, for aligning two recordings. Not for measuring: rates come from the gateway. */

const WINDOW_S = 0.1;
const REFRACTORY_S = 0.25;
const PEAK = 0.35;
const LIKENESS_MIN = 0.6; // below it two beats have no shape in common to be laid on one another

/** Page seconds of the QRS complexes, ascending: maxima of the squared slope of all leads together. */
export function beatsOf(recording) {
  const { rate_hz, strips, duration_s } = recording;
  const length = Math.round(duration_s * rate_hz) + 1;
  const total = new Float64Array(length);
  const count = new Float64Array(length);
  for (const strip of strips) {
    const power = slopePower(strip.millivolts, rate_hz);
    const scale = quantile(power, 0.97);
    if (!(scale > 0)) continue;
    const first = Math.round(strip.start_s * rate_hz);
    power.forEach((value, k) => {
      if (Number.isNaN(value) || first + k >= length) return;
      total[first + k] += Math.min(value / scale, 3);
      count[first + k] += 1;
    });
  }
  const energy = total.map((value, k) => (count[k] ? value / count[k] : 0));
  return peaksOf(energy, rate_hz).map((k) => k / rate_hz);
}

/** The squared slope averaged over about one QRS complex; NaN where the page shows nothing. */
function slopePower(millivolts, rate_hz) {
  const reach = Math.max(1, Math.round(0.008 * rate_hz));
  const half = Math.round((WINDOW_S * rate_hz) / 2);
  const n = millivolts.length;
  const sums = new Float64Array(n + 1);
  for (let k = 0; k < n; k += 1) {
    const slope = millivolts[Math.min(n - 1, k + reach)] - millivolts[Math.max(0, k - reach)];
    sums[k + 1] = sums[k] + (Number.isNaN(slope) ? 0 : slope * slope);
  }
  return Array.from(millivolts, (value, k) => {
    if (Number.isNaN(value)) return NaN;
    const [from, to] = [Math.max(0, k - half), Math.min(n, k + half)];
    return (sums[to] - sums[from]) / (to - from);
  });
}

function quantile(values, part) {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return known.length ? known[Math.floor(part * (known.length - 1))] : 0;
}

function peaksOf(energy, rate_hz) {
  const tops = [];
  for (let from = 0; from < energy.length; from += Math.round(1.5 * rate_hz)) {
    tops.push(Math.max(...energy.slice(from, from + Math.round(1.5 * rate_hz))));
  }
  const typical = tops.sort((a, b) => a - b)[Math.floor(tops.length / 2)] ?? 0;
  const apart = Math.round(REFRACTORY_S * rate_hz);
  const peaks = [];
  for (let k = 1; k + 1 < energy.length; k += 1) {
    if (energy[k] < PEAK * typical || energy[k] < energy[k - 1] || energy[k] < energy[k + 1]) continue;
    const before = peaks.at(-1);
    if (before !== undefined && k - before < apart) {
      if (energy[k] > energy[before]) peaks[peaks.length - 1] = k;
    } else peaks.push(k);
  }
  return typical > 0 ? peaks : [];
}

/**
 * The beat of a strip to compare: seconds of its R peak in page time, null where none is wholly shown.
 *
 * The peak is the largest deviation from the strip's median near a beat; the beat whose surroundings the page shows most.
 */
export function beatToCompare(strip, rate_hz, beats, before_s, after_s) {
  const base = quantile(Array.from(strip.millivolts), 0.5);
  let best = null;
  for (const beat of beats) {
    const middle = Math.round((beat - strip.start_s) * rate_hz);
    const reach = Math.round(0.07 * rate_hz);
    let at = null;
    for (let k = Math.max(0, middle - reach); k <= Math.min(strip.millivolts.length - 1, middle + reach); k += 1) {
      const value = Math.abs(strip.millivolts[k] - base);
      if (!Number.isNaN(value) && (at === null || value > Math.abs(strip.millivolts[at] - base))) at = k;
    }
    if (at === null) continue;
    let shown = 0;
    for (let k = at - Math.round(before_s * rate_hz); k < at + Math.round(after_s * rate_hz); k += 1) {
      if (k >= 0 && k < strip.millivolts.length && !Number.isNaN(strip.millivolts[k])) shown += 1;
    }
    if (best === null || shown > best.shown) best = { shown, seconds: strip.start_s + at / rate_hz };
  }
  return best?.seconds ?? null;
}

/**
 * The R peak of another strip that belongs to this one: near one of its own beats, where the two look most alike.
 *
 * Taking its largest deviation alone would lay an R on an S where the two are of about the same height; where nothing
 * is alike, that is all there is to take.
 */
export function alike(strip, rate_hz, peak_s, other, other_rate_hz, other_peak_s) {
  let best = { likeness: -Infinity, seconds: other_peak_s };
  for (let shift = -0.08; shift <= 0.08; shift += 0.002) {
    const likeness = correlation(strip, rate_hz, peak_s, other, other_rate_hz, other_peak_s + shift);
    if (likeness > best.likeness + 1e-9) best = { likeness, seconds: other_peak_s + shift };
  }
  return best.likeness >= LIKENESS_MIN ? best.seconds : other_peak_s;
}

function correlation(strip, rate_hz, at_s, other, other_rate_hz, other_at_s) {
  const pairs = [];
  for (let t = -0.1; t <= 0.1; t += 0.004) {
    const one = strip.millivolts[Math.round((at_s + t - strip.start_s) * rate_hz)];
    const two = other.millivolts[Math.round((other_at_s + t - other.start_s) * other_rate_hz)];
    if (Number.isFinite(one) && Number.isFinite(two)) pairs.push([one, two]);
  }
  if (pairs.length < 20) return -Infinity;
  const mean = (index) => pairs.reduce((sum, pair) => sum + pair[index], 0) / pairs.length;
  const [a, b] = [mean(0), mean(1)];
  let [cross, aa, bb] = [0, 0, 0];
  for (const [one, two] of pairs) {
    cross += (one - a) * (two - b);
    aa += (one - a) ** 2;
    bb += (two - b) ** 2;
  }
  return aa > 0 && bb > 0 ? cross / Math.sqrt(aa * bb) : -Infinity;
}

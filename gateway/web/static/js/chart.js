/** Bars with their numbers; the table that says the same is for those who cannot see them. */

import { h, s } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 170;
const FOOT = 22;
const HEAD = 16;
const SIDE = 8; // words under the first bar are wider than it

/**
 * A bar chart with a hidden table of the same numbers.
 * bars: [{words, parts: [[class, value], …]}], every tick'th words are written below.
 */
export function barChart({ label, bars, names, tick = 1 }) {
  const totals = bars.map((bar) => bar.parts.reduce((sum, [, value]) => sum + value, 0));
  const most = Math.max(1, ...totals);
  const step = WIDTH / Math.max(1, bars.length);
  const scale = (HEIGHT - FOOT - HEAD) / most;
  const svg = s("svg", { viewBox: `${-SIDE} 0 ${WIDTH + 2 * SIDE} ${HEIGHT}`, role: "img", "aria-label": label });
  bars.forEach((bar, at) => {
    let y = HEIGHT - FOOT;
    for (const [name, value] of bar.parts) {
      const height = value * scale;
      y -= height;
      svg.append(s("rect", { class: name, x: at * step + step * 0.12, y, width: step * 0.76, height }));
    }
    if (totals[at]) svg.append(s("text", { class: "value", x: (at + 0.5) * step, y: y - 4, "text-anchor": "middle" }, String(totals[at])));
    if (at % tick === 0) svg.append(s("text", { x: (at + 0.5) * step, y: HEIGHT - 7, "text-anchor": "middle" }, bar.words));
  });
  svg.append(s("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT }));
  return [svg, h("div", { class: "unseen" }, h("table", {},
    h("caption", {}, label),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Range"), names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, bars.map((bar) => h("tr", {}, h("th", { scope: "row" }, bar.words), bar.parts.map(([, value]) => h("td", {}, value)))))))];
}

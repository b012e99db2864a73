/** The gateway's events as they happen, and one call for many of them: a hundred changes in a second are one redraw. */

import { ROOT } from "./api.js";

const SETTLE_MS = 400;

/**
 * Listens to events of these names and calls changed(events) once for all that came close together.
 * told(alive) says whether the line is up. Returns a function that hangs up.
 */
export function listen(names, changed, told = () => {}) {
  const source = new EventSource(`${ROOT}/events`);
  let waiting = [];
  let timer = null;
  const flush = () => {
    const events = waiting;
    waiting = [];
    timer = null;
    changed(events);
  };
  for (const name of names) {
    source.addEventListener(name, (event) => {
      waiting.push({ name, ...JSON.parse(event.data || "{}") });
      timer ??= setTimeout(flush, SETTLE_MS);
    });
  }
  source.addEventListener("open", () => told(true));
  source.addEventListener("error", () => told(false));
  const hangUp = () => {
    clearTimeout(timer);
    source.close();
  };
  addEventListener("pagehide", hangUp);
  return hangUp;
}

/** Shows in an element whether the page is live. */
export function lamp(element) {
  return (alive) => {
    element.textContent = alive ? "Live" : "Reconnecting…";
    element.className = `chip ${alive ? "good" : "warn"}`;
  };
}

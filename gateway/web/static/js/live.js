/**
 * The gateway's events as they happen, and one call for many of them: a hundred changes in a second are one redraw.
 *
 * A page that nobody touches stops asking: a session ends after some minutes without a request, and a screen that
 * refreshes itself would keep it open for whoever comes by. Nor does a page that nobody sees follow: a browser has six
 * connections to a host, and six tabs that follow would leave none for the one in front.
 */

import { ROOT } from "./api.js";

const SETTLE_MS = 400;
const REST_MS = 2000; // between two redraws of a busy gateway's page
const TOUCHES = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

const minutes = Number(document.querySelector('meta[name="session-minutes"]')?.content ?? 30);
let touchedAt = Date.now();

/** Whether somebody has used the page within half the time that a session lasts without a request. */
const inUse = () => Date.now() - touchedAt < (minutes / 2) * 60_000;

/**
 * Keeps a page up to date: calls refresh() when events of these names come, many close together as one, and every so
 * many seconds besides. concerns(event) says which events matter; lamp is where a person sees whether the page is live.
 */
export function follow({ names, refresh, everySeconds = null, concerns = () => true, lamp = null }) {
  let timer = null;
  let source = null;
  const show = (words, kind) => {
    if (lamp) Object.assign(lamp, { textContent: words, className: `chip ${kind}` });
  };
  let drawnAt = 0;
  const draw = () => {
    timer = null;
    drawnAt = Date.now();
    refresh();
  };
  const soon = () => (timer ??= setTimeout(draw, Math.max(SETTLE_MS, drawnAt + REST_MS - Date.now())));
  const connect = () => {
    source = new EventSource(`${ROOT}/events`);
    for (const name of names) {
      source.addEventListener(name, (event) => {
        const told = JSON.parse(event.data || "{}");
        if (told.kind !== "looked" && concerns(told)) soon();
      });
    }
    source.addEventListener("open", () => show("Live", "good"));
    source.addEventListener("error", () => show("Reconnecting…", "warn"));
  };
  const sleep = () => {
    source?.close();
    source = null;
    show("Asleep: touch to wake", "warn");
  };
  const wake = () => {
    if (source) return;
    connect();
    refresh();
  };
  const touched = () => {
    touchedAt = Date.now();
    wake();
  };
  const turned = () => {
    if (document.hidden) sleep();
    else if (inUse()) wake();
  };
  for (const name of TOUCHES) addEventListener(name, touched, { passive: true });
  setInterval(() => source && !inUse() && sleep(), 5000);
  if (everySeconds) setInterval(() => source && !document.hidden && refresh(), everySeconds * 1000);
  document.addEventListener("visibilitychange", turned);
  addEventListener("pagehide", () => source?.close());
  if (document.hidden) sleep();
  else connect();
}

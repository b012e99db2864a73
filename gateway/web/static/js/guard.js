/**
 * Takes a page away as soon as it is not for whoever sits before it: signed out here or elsewhere, the session run out,
 * another person or another role. What it shows is a patient's.
 *
 * It asks who is signed in every some seconds, asleep or not; that question keeps no session alive. A gateway that does
 * not answer for as long as a session lasts says nothing of it any more, so the page goes then, too.
 */

const EVERY_MS = 15_000;
const PATIENCE_MS = 10_000; // a question that nobody answers must not hold a connection
const STALE_MS = 30_000; // a page that comes to the front is hidden until the answer, if the last one is older

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const who = meta("who");
const role = meta("role");
const lasts_ms = Number(meta("session-minutes") || 30) * 60_000;
const others = new BroadcastChannel("cardioscan-session");
let stood = Date.now();
let left = false;

/** Hides everything at once and goes to the sign-in, without the words that a patient was searched by. */
export function leave() {
  if (left) return;
  left = true;
  hide(true);
  sessionStorage.clear();
  const query = new URLSearchParams(location.search);
  for (const name of ["q", "patient", "cursor"]) query.delete(name);
  const back = location.pathname + (query.size ? `?${query}` : "");
  location.replace(`/login?next=${encodeURIComponent(back)}`);
}

const hide = (on) => document.documentElement.classList.toggle("gone", on);

async function look() {
  if (left) return;
  if (Date.now() - stood > STALE_MS && !document.hidden) hide(true);
  let answer = null;
  try {
    answer = await fetch("/api/v1/me", { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    // the gateway does not answer: what stood a moment ago may stand
  }
  if (left) return;
  if (answer?.status === 401) return leave();
  const told = answer?.ok ? await answer.json().catch(() => null) : null;
  if (told) {
    if (told.name !== who || told.role !== role) {
      left = true;
      hide(true);
      return location.reload();
    }
    stood = Date.now();
  }
  if (answer?.status === 403) stood = Date.now(); // signed in, and to choose a password first
  if (Date.now() - stood > lasts_ms) return leave();
  hide(false);
}

if (who) {
  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || look());
  addEventListener("pageshow", (event) => event.persisted && look());
  others.addEventListener("message", look);
} else {
  others.postMessage("signed out"); // the sign-in page is open: other pages had better ask
}

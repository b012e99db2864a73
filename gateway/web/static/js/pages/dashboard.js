/** The dashboard: what flows, what waits, who answers; pause and resume, and parked messages sent again. */

import { get, may, post } from "../api.js";
import { barChart } from "../chart.js";
import { ask } from "../dialog.js";
import { h, keepingFocus, one, put, tell, tried } from "../dom.js";
import { follow } from "../live.js";
import { broken, bytes, chip, count, KINDS, moment, plain, span, STATES } from "../words.js";

const EVERY_S = 15;
const AT_ONCE = 1000; // as many as one action of the API may be about
const chosen = new Set();
const PARKED_ROWS = 100; // as many more as are shown at a time
let parked = [];
let rows = PARKED_ROWS; // as many as a person has asked to see
let cursor = null;
let askedParked = 0;

async function load() {
  const board = await get("/dashboard");
  put(one("#at"), "as of ", moment(board.at, { seconds: true }), ` · version ${board.version}`);
  drawTiles(board);
  keepingFocus(one("#peers"), () => drawPeers(board.destinations));
  drawHours(board.hours);
  drawConfidence(board.confidence, board.confidence_min);
  drawMachine(board);
}

function drawTiles(board) {
  const tile = (number, words, kind = "", href = null) =>
    h(href ? "a" : "div", { class: `tile ${kind}`, href }, h("strong", {}, number), h("span", {}, words));
  const queued = board.destinations.reduce((sum, each) => sum + each.queued, 0);
  const down = board.destinations.filter((each) => each.peer.up === false).length;
  const figure = (number) => number.toLocaleString("en", { maximumFractionDigits: 1 });
  put(one("#tiles"),
    tile(figure(board.pages_per_hour), "pages per hour"),
    tile(figure(board.waiting), board.oldest_waiting_s === null ? "waiting to be read" : `waiting to be read, the oldest for ${span(board.oldest_waiting_s)}`, "", "/?state=received"),
    tile(figure(board.states.held ?? 0), "held for a person", board.states.held ? "warn" : "", "/?state=held"),
    tile(figure(queued), "documents on their way", "", "/?state=digitized"),
    tile(down, down === 1 ? "destination does not answer" : "destinations do not answer", down ? "bad" : ""),
    tile(`${figure(board.disk.free_mb / 1000)} GB`, `free of ${figure(board.disk.total_mb / 1000)} GB`, board.disk.free_mb < 2 * board.disk.reserve_mb ? "bad" : ""));
}

function drawPeers(destinations) {
  if (!destinations.length) return put(one("#peers"), h("p", { class: "hint" }, "No destination is configured."));
  const open = new Set([...document.querySelectorAll("#peers details[open]")].map((each) => each.dataset.of));
  return put(one("#peers"), h("table", {},
    h("caption", { class: "unseen" }, "Destinations, their queues and their last answers"),
    h("thead", {}, h("tr", {}, ["Destination", "Peer", "Waiting", "Head of the queue", "Parked", "Last delivery", "Last answer"].map((words) => h("th", { scope: "col" }, words)),
      may("administrator") && h("th", {}, h("span", { class: "unseen" }, "Actions")))),
    h("tbody", {}, destinations.map((row) => peerRow(row, open.has(row.name))))));
}

function peerRow(row, open) {
  const { peer } = row;
  const state = peer.up === null ? ["Not asked yet", ""] : peer.up ? ["Up", "good"] : ["Down", "bad"];
  return h("tr", {},
    h("td", {}, h("strong", {}, row.name), h("br"), h("small", {}, `${row.kind} ${row.address}`), row.configured ? null : h("p", {}, chip(["not configured any more", "warn"]))),
    h("td", {}, chip(state), row.paused && [" ", chip([`paused by ${row.paused_by || "a person"}`, "warn"])], h("br"),
      h("small", {}, peer.text, peer.since ? [" · since ", moment(peer.since)] : null)),
    h("td", { class: "number" }, row.queued),
    h("td", {}, row.head_age_s === null ? "–" : `${span(row.head_age_s)} old, ${count(row.head_attempts, "attempt")}`, row.head_why && h("p", { class: "answer" }, h("small", {}, row.head_why))),
    h("td", { class: "number" }, row.parked),
    h("td", {}, moment(row.last_delivered_at, { seconds: true }),
      row.last_response && h("details", { class: "beside", open, "data-of": row.name }, h("summary", {}, "Last answer"), h("div", { class: "answer mono" }, h("small", {}, broken(row.last_response))))),
    h("td", { class: "answer mono" }, h("small", {}, broken(row.last_response) || "–")),
    may("administrator") && h("td", {}, h("button", { type: "button", class: "small", onclick: () => pause(row), "aria-label": `${row.paused ? "Resume" : "Pause"} ${row.name}` }, row.paused ? "Resume" : "Pause")));
}

function pause(row) {
  return tried(async () => {
    const act = row.paused ? "resume" : "pause";
    if (!row.paused) {
      const yes = await ask({ title: `Pause ${row.name}?`, words: "Its documents wait in their order until somebody resumes it.", yes: "Pause" });
      if (yes === null) return;
    }
    await post(`/destinations/${encodeURIComponent(row.name)}/${act}`);
    tell(row.paused ? `${row.name} goes on.` : `${row.name} is paused.`);
    await load();
  });
}

function drawHours(hours) {
  const bars = hours.map(({ hour, digitized, held, refused }) => ({
    words: new Date(hour).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
    parts: [["digitized", digitized], ["held", held], ["refused", refused]],
  }));
  const swatch = (name, words) => h("li", {}, h("span", { class: `swatch key-${name}`, "aria-hidden": "true" }), words);
  put(one("#hours"), barChart({ label: "Pages per hour", bars, names: ["digitized", "held", "refused"], tick: 4 }),
    h("ul", { "aria-hidden": "true" }, swatch("digitized", "digitized"), swatch("held", "held"), swatch("refused", "refused")));
}

function drawConfidence(bins, least) {
  const words = ({ low, high }) => `${Math.round(100 * low)}–${Math.round(100 * Math.min(1, high))}`;
  const bars = bins.map((bin) => ({ words: words(bin), parts: [[bin.low >= least ? "digitized" : "held", bin.count]] }));
  put(one("#confidence"), barChart({ label: "Confidence of pages in per cent", bars, names: ["pages"], tick: bins.length > 12 ? 2 : 1 }),
    h("p", { class: "hint" }, `Per cent. A page below ${Number((100 * least).toFixed(2))}\u00a0% waits for a person.`));
}

function drawMachine({ disk, gpus, workers, states }) {
  const facts = [
    ["Jobs", Object.entries(states).map(([state, number]) => `${number.toLocaleString("en")} ${STATES[state]?.[0].toLowerCase() ?? state}`).join(", ")],
    ["Workers", workers.length ? workers.map((worker) => [h("a", { href: `/jobs/${worker.job_id}` }, worker.name), " "]) : "idle"],
    ["Disk", `${bytes(disk.free_mb * 1e6)} free of ${bytes(disk.total_mb * 1e6)}, ${bytes(disk.reserve_mb * 1e6)} kept in reserve`],
    ["GPU", gpus.length ? gpus.map(gpuWords).join("; ") : "none"],
  ];
  put(one("#machine"), h("dl", { class: "facts" }, facts.map(([words, value]) => [h("dt", {}, words), h("dd", {}, value)])));
}

function gpuWords({ name, used_mb, total_mb, busy }) {
  const memory = used_mb === null || total_mb === null ? "" : `, ${bytes(used_mb * 1e6)} of ${bytes(total_mb * 1e6)}`;
  return `${name}${memory}${busy === null ? "" : `, ${Math.round(100 * busy)} % busy`}`;
}

// Parked messages

/** All rows that are shown, or as many more: a row that is gone is not chosen any more, any other stays chosen. */
async function loadParked(more = false) {
  if (more) rows += PARKED_ROWS;
  const mine = ++askedParked;
  const items = [];
  let after = "";
  do {
    const answer = await get("/parked", { after, limit: Math.min(AT_ONCE, rows - items.length) });
    if (mine !== askedParked) return;
    items.push(...answer.items);
    after = answer.next_cursor;
  } while (after !== null && items.length < rows);
  parked = items;
  cursor = after;
  const known = new Set(parked.map((each) => each.delivery_id));
  for (const id of [...chosen]) if (!known.has(id)) chosen.delete(id);
  keepingFocus(one("#parked"), drawParked);
}

function drawParked() {
  put(one("#parked-buttons"), parked.length ? [
    h("button", { type: "button", class: "small", disabled: !chosen.size, onclick: () => resend([...chosen]) }, chosen.size ? `Send ${chosen.size} again` : "Send chosen again"),
    h("button", { type: "button", class: "small", onclick: resendAll }, "Send all again"),
  ] : null);
  if (!parked.length) return put(one("#parked"), h("p", { class: "hint" }, "No message is parked."));
  return put(one("#parked"), h("table", {},
    h("caption", { class: "unseen" }, "Messages that will not go without a person, the oldest first"),
    h("thead", {}, h("tr", {}, h("th", {}, h("span", { class: "unseen" }, "Choose")), ["No.", "Destination", "Document", "Queued", "Attempts", "Reason", "Job"].map((words) => h("th", { scope: "col" }, words)))),
    h("tbody", {}, parked.map((row) => h("tr", {},
      h("td", {}, h("input", { type: "checkbox", "aria-label": `Choose message ${row.delivery_id}`, checked: chosen.has(row.delivery_id), onclick: (event) => choose(row.delivery_id, event.shiftKey) })),
      h("td", {}, row.delivery_id), h("td", {}, row.destination), h("td", {}, KINDS[row.kind] ?? plain(row.kind)), h("td", {}, moment(row.queued_at)),
      h("td", { class: "number" }, row.attempts), h("td", {}, row.why || plain(row.code), row.response && h("p", {}, h("small", { class: "mono" }, row.response))),
      h("td", {}, h("a", { href: `/jobs/${row.job_id}` }, row.job_id.slice(0, 8))))))),
    cursor && h("p", {}, h("button", { type: "button", class: "small", onclick: () => tried(() => loadParked(true)) }, "Show more")),
    h("p", { class: "hint" }, "Hold Shift to choose all from the last one chosen to this one."));
}

let last = null;

function choose(id, range) {
  const ids = parked.map((each) => each.delivery_id);
  const [from, to] = range && last !== null ? [ids.indexOf(last), ids.indexOf(id)].sort((a, b) => a - b) : [ids.indexOf(id), ids.indexOf(id)];
  const on = !chosen.has(id);
  for (const each of ids.slice(from, to + 1)) on ? chosen.add(each) : chosen.delete(each);
  last = id;
  keepingFocus(one("#parked"), drawParked);
}

/** All that are parked as the person asks: these are counted, and what is parked after that is not sent with them. */
function resendAll() {
  return tried(async () => {
    const { items, next_cursor: more } = await get("/parked", { limit: AT_ONCE });
    if (!items.length) return tell("No message is parked any more.");
    return resend(items.map((each) => each.delivery_id), more !== null ? `More are parked: these are the oldest ${items.length}. ` : "These are all that are parked now. ");
  });
}

function resend(ids, which = "") {
  return tried(async () => {
    if ((await ask({ title: `Send ${count(ids.length, "parked message")} again?`, words: `${which}It is written into the audit with your name.`, yes: "Send again" })) === null) return;
    const result = await post("/parked/resend", { ids });
    tell(`${count(result.done.length, "message")} sent again.`);
    if (result.failed.length) tell(`${count(result.failed.length, "message")} left: ${[...new Set(result.failed.map((each) => each.why))].join("; ")}`, "bad");
    chosen.clear();
    await Promise.all([load(), loadParked()]);
  });
}

const reviewer = may("reviewer");
one("#parked-card").hidden = !reviewer;
const refresh = () => tried(() => Promise.all([load(), reviewer && loadParked()]), "page");
refresh();
follow({ names: ["job", "delivery", "dashboard"], refresh, everySeconds: EVERY_S, lamp: one("#lamp") });

/** The worklist: what the address bar asks for, live, with many jobs handled at once. */

import { get, may, post } from "../api.js";
import { midnight } from "../days.js";
import { ask } from "../dialog.js";
import { h, keepingFocus, one, put, tell } from "../dom.js";
import { follow } from "../live.js";
import { confidenceMeter, count, DOORS, moment, personName, plain, stateChip } from "../words.js";

const form = one("#filters");
const body = one("#jobs tbody");
const chosen = new Set();
const FILTERS = ["state", "q", "patient", "door", "sender", "from", "to", "confidence_max", "order"];
const CODES = { retry: "Digitize again", resend: "Send again", "give-up": "Reject" };

let page = { items: [], next_cursor: null, prev_cursor: null };
let fetching = null;
let everything = false; // the bulk action is meant for all that match, not only for the rows chosen

// The address bar

function asked() {
  const address = new URLSearchParams(location.search);
  return Object.fromEntries([...FILTERS, "cursor"].map((name) => [name, address.get(name) ?? ""]));
}

function fillForm() {
  const values = asked();
  for (const name of FILTERS) form.elements[name].value = values[name];
}

function go(values, replace = false) {
  const pairs = Object.entries(values).filter(([, value]) => value);
  const address = pairs.length ? `/?${new URLSearchParams(pairs)}` : "/";
  history[replace ? "replaceState" : "pushState"](null, "", address);
  chooseNone();
  return load();
}

function fromForm() {
  return Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value]));
}

// The list

async function load({ quietly = false } = {}) {
  sessionStorage.setItem("worklist", location.search); // where the job page leads back to
  fetching?.abort();
  fetching = new AbortController();
  const { signal } = fetching;
  try {
    const values = asked();
    page = await get("/jobs", { ...values, from: midnight(values.from), to: midnight(values.to, 1), limit: 50 }, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    put(body, h("tr", {}, h("td", { class: "nothing", colspan: 8 }, error.message)));
    return;
  }
  show(quietly);
}

function show(quietly) {
  const known = new Map([...body.querySelectorAll("tr[data-job]")].map((row) => [row.dataset.job, row.dataset.changed]));
  const rows = page.items.map((job) => {
    const row = rowOf(job);
    row.classList.toggle("fresh", quietly && known.get(job.job_id) !== job.changed_at);
    return row;
  });
  keepingFocus(body, () => put(body, rows.length ? rows : h("tr", {}, h("td", { class: "nothing", colspan: 8 }, nothingWords()))));
  dropGone();
  one("#next").disabled = !page.next_cursor;
  one("#previous").disabled = !page.prev_cursor;
  put(one("#list-words"), rows.length ? `${count(rows.length, "job")} on this page` : "");
  showChosen();
}

function nothingWords() {
  const filtered = Object.entries(asked()).some(([name, value]) => value && name !== "order");
  if (filtered) return "No job matches this filter.";
  return may("reviewer") ? h("span", {}, "No page has come in yet. ", h("a", { href: "/upload" }, "Upload one")) : "No page has come in yet.";
}

function rowOf(job) {
  const words = personName(job.patient_name) || job.patient_id || "Unknown patient";
  const row = h("tr", { "data-job": job.job_id, "data-changed": job.changed_at, class: chosen.has(job.job_id) ? "chosen" : "" },
    h("td", { class: "choose" }, may("reviewer") && h("input", {
      type: "checkbox", checked: chosen.has(job.job_id), "aria-label": `Choose ${words}, ${job.job_id.slice(0, 8)}`, onchange: () => choose(job.job_id),
    })),
    h("td", {}, moment(job.received_at)),
    h("td", {}, stateChip(job.state)),
    h("td", { class: "patient" },
      h("a", { href: `/jobs/${job.job_id}` }, h("strong", {}, words)),
      h("small", {}, [words !== job.patient_id && job.patient_id, job.accession_number].filter(Boolean).join(" · "))),
    h("td", {}, DOORS[job.door] ?? job.door, " ", h("small", {}, [job.sender, job.file_name].filter(Boolean).join(" · "))),
    h("td", { class: "number" }, job.pages || "–"),
    h("td", {}, confidenceMeter(job.confidence)),
    h("td", { class: "why" }, job.why || plain(job.code) || deliveriesWords(job), job.corrected && h("small", {}, " Corrected by a person.")));
  return row;
}

function deliveriesWords({ state, deliveries: { queued, delivered, parked } }) {
  if (state === "received") return "Waits to be digitized.";
  const parts = [
    delivered && `${count(delivered, "document")} delivered`, queued && `${delivered ? queued : count(queued, "document")} waiting`, parked && `${parked} parked`,
  ].filter(Boolean);
  return parts.length ? `${parts.join(", ")}.` : "Nothing to send.";
}

// Choosing, and what to do with many

function choose(id) {
  everything = false;
  if (!chosen.delete(id)) chosen.add(id);
  const row = body.querySelector(`tr[data-job="${id}"]`);
  row?.classList.toggle("chosen", chosen.has(id));
  const box = row?.querySelector("input");
  if (box) box.checked = chosen.has(id);
  showChosen();
}

/** Nothing is done to a job that is not to be seen: what has left the list is not chosen any more, and that is told. */
function dropGone() {
  const gone = [...chosen].filter((id) => !page.items.some((job) => job.job_id === id));
  for (const id of gone) chosen.delete(id);
  if (!chosen.size) everything = false;
  if (gone.length) tell(`${count(gone.length, "chosen job")} left this list and ${gone.length === 1 ? "is" : "are"} not chosen any more.`);
}

function chooseNone() {
  everything = false;
  for (const id of [...chosen]) choose(id);
}

function showChosen() {
  const bar = one("#bulk");
  bar.hidden = !chosen.size;
  one("#choose-all").hidden = !may("reviewer");
  one("#choose-all").checked = page.items.length > 0 && page.items.every((job) => chosen.has(job.job_id));
  one("#bulk-all").setAttribute("aria-pressed", String(everything));
  put(one("#bulk-words"), everything ? "All jobs that match the filter" : `${count(chosen.size, "job")} chosen`);
}

function filterBody() {
  const { from, to, confidence_max, order, cursor, ...rest } = asked();
  const values = Object.fromEntries(Object.entries(rest).filter(([, value]) => value));
  if (from) values.received_from = midnight(from);
  if (to) values.received_to = midnight(to, 1);
  if (confidence_max) values.confidence_max = Number(confidence_max);
  return values;
}

/** Says how many jobs it is about and asks; then it is done to just these, and not to what has come in since. */
async function bulk(action) {
  const reject = action === "give-up";
  const { ids, more } = everything ? await post("/jobs/bulk/matching", filterBody()) : { ids: [...chosen], more: false };
  if (!ids.length) return tell("No job matches this filter any more.");
  const comment = await ask({
    title: `${CODES[action]}: ${count(ids.length, "job")}?`,
    words: [
      everything && (more ? `More jobs match the filter: these are the oldest ${ids.length}.` : "These are all that match the filter."),
      everything && ids.length > page.items.length && `Only ${page.items.length} of them are on this screen.`,
      reject && "They end as refused.", "It is written into the audit with your name.",
    ].filter(Boolean).join(" "),
    yes: CODES[action], danger: reject, comment: reject ? "Why" : null, needed: reject,
  });
  if (comment === null) return;
  const result = await post("/jobs/bulk", { action, comment, ids });
  tell(`${CODES[action]}: ${result.done.length} of ${count(ids.length, "job")} done${more ? ", more match: do it again" : ""}.`);
  const whys = new Map();
  for (const { why } of result.failed) whys.set(why, (whys.get(why) ?? 0) + 1);
  if (whys.size) {
    const told = [...whys].sort((a, b) => b[1] - a[1]).slice(0, 4).map(([why, times]) => `${times} × ${why}`);
    tell(`${count(result.failed.length, "job")} left as they were: ${told.join("; ")}${whys.size > 4 ? "; and others" : ""}.`, "bad");
  }
  chooseNone();
  await load({ quietly: true });
}

// Keys

function key(event) {
  const row = event.target.closest("tr[data-job]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const to = (other) => other?.querySelector("a")?.focus();
  const acts = {
    j: () => to(row.nextElementSibling),
    ArrowDown: () => to(row.nextElementSibling),
    k: () => to(row.previousElementSibling),
    ArrowUp: () => to(row.previousElementSibling),
    x: () => may("reviewer") && choose(row.dataset.job),
    n: () => one("#next").click(),
    p: () => one("#previous").click(),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

/** From anywhere on the page but where somebody types. */
function anywhere(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog")) return;
  if (event.key === "/") one("#q").focus();
  else if (event.key === "?") one("#keys").showModal();
  else return;
  event.preventDefault();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(fromForm());
});
form.addEventListener("reset", () => setTimeout(() => go(fromForm())));
for (const field of form.querySelectorAll('select, input[type="radio"], input[type="date"]')) {
  field.addEventListener("change", () => go(fromForm()));
}
one("#next").addEventListener("click", () => go({ ...asked(), cursor: page.next_cursor }));
one("#previous").addEventListener("click", () => go({ ...asked(), cursor: page.prev_cursor }));
one("#choose-all").addEventListener("change", (event) => {
  const want = event.target.checked;
  for (const job of page.items) if (chosen.has(job.job_id) !== want) choose(job.job_id);
});
one("#bulk-none").addEventListener("click", chooseNone);
one("#bulk-all").addEventListener("click", () => {
  everything = !everything;
  showChosen();
});
for (const button of document.querySelectorAll("[data-bulk]")) button.addEventListener("click", () => bulk(button.dataset.bulk));
one("#keys-button").addEventListener("click", () => one("#keys").showModal());
body.addEventListener("keydown", key);
addEventListener("keydown", anywhere);
addEventListener("popstate", () => {
  fillForm();
  load();
});

fillForm();
load();
follow({ names: ["job", "delivery"], refresh: () => load({ quietly: true }), everySeconds: 60, lamp: one("#lamp") });

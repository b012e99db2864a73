/** Upload: a progress bar for every file, its result or the reason, and what becomes of its page afterwards. */

import { csrf, get, refusal, ROOT } from "../api.js";
import { h, one, put } from "../dom.js";
import { follow } from "../live.js";
import { bytes, count, plain, stateChip } from "../words.js";

const AT_ONCE = 2;
const ENDED = ["delivered", "held", "refused"];
const drop = one("#drop");
const input = one("#files");
const waiting = [];
const watched = new Map(); // job id to the place where its state is told
let running = 0;
const tally = { sent: 0, taken: 0, refused: 0 };

function add(files) {
  one("#sent").hidden = false;
  for (const file of files) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const what = h("span", { class: "what" }, bar);
    const result = h("span", { class: "what" }, "Waits.");
    one("#list").append(
      h("li", {}, h("span", { class: "name" }, file.name), h("span", { class: "size" }, bytes(file.size)), what, result));
    waiting.push({ file, bar, what, result });
    tally.sent += 1;
  }
  tellTally();
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    const entry = waiting.shift();
    put(entry.result, "Uploading…");
    send(entry)
      .then((item) => settled(entry, item))
      .catch((error) => refused(entry, error.message))
      .finally(() => {
        running -= 1;
        tellTally();
        next();
      });
  }
}

/** One file in one request, so that it has a progress of its own. fetch() tells none of what it sends. */
function send({ file, bar }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("files", file, file.name);
    request.open("POST", `${ROOT}/uploads`);
    request.responseType = "json";
    request.setRequestHeader("X-CSRF-Token", csrf());
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.addEventListener("load", () => {
      const ok = request.status >= 200 && request.status < 300;
      const item = request.response?.items?.[0];
      if (item) resolve(item);
      else reject(ok ? new Error("The gateway said nothing about this file.") : refusal(request.status, request.response));
    });
    request.addEventListener("error", () => reject(new Error("The line broke off. Nothing was taken; send it again.")));
    request.send(form);
  });
}

function settled(entry, item) {
  if (!item.accepted) return refused(entry, item.why || plain(item.code));
  tally.taken += 1;
  const state = h("span", {}, stateChip("received"));
  put(entry.what, state);
  put(entry.result, h("a", { href: `/jobs/${item.job_id}` }, "Open the job"),
    item.duplicate ? " These very bytes were here before: it is the same job." : " Safe on disk; it is digitized next.");
  watched.set(item.job_id, { state, result: entry.result });
  return look(item.job_id);
}

function refused(entry, why) {
  tally.refused += 1;
  put(entry.what, h("span", { class: "chip bad" }, "Not taken"));
  put(entry.result, why);
}

function tellTally() {
  const { sent, taken, refused: not } = tally;
  put(one("#sent-words"), `${count(sent, "file")}, ${taken} taken, ${not} not taken`);
}

/** Fetches what became of a job that was handed in here. */
async function look(id) {
  const place = watched.get(id);
  if (!place) return;
  const job = await get(`/jobs/${id}/state`);
  put(place.state, stateChip(job.state));
  const words = { delivered: "Delivered.", held: `Held: ${job.why || plain(job.code)}`, refused: `Refused: ${job.why || plain(job.code)}` };
  if (words[job.state]) put(place.result, h("a", { href: `/jobs/${id}` }, job.state === "held" ? "Review it" : "Open the job"), ` ${words[job.state]}`);
  if (ENDED.includes(job.state)) watched.delete(id);
}

one("#choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, (event) => {
    if (name === "dragleave" && event.relatedTarget) return;
    event.preventDefault();
    drop.classList.remove("over");
  });
}
addEventListener("drop", (event) => add(event.dataTransfer.files));
// leaving drops what has not gone yet, be it by a link to a job; not asked once the session has ended and the page is gone
addEventListener("beforeunload", (event) => {
  if ((running || waiting.length) && !document.documentElement.classList.contains("gone")) event.preventDefault();
});
follow({
  names: ["job", "delivery"],
  refresh: () => [...watched.keys()].forEach(look),
  concerns: (event) => watched.has(event.job_id),
});

/** One job: its page beside its leads, review, and all that was done with it; it follows what happens while it is open. */

import { get, post, ROOT } from "../api.js";
import { ask } from "../dialog.js";
import { h, keepingFocus, one, put, tell, tried } from "../dom.js";
import { recordingFrom } from "../ecg/recording.js";
import { EcgViewer } from "../ecg/viewer.js";
import { ImageViewer } from "../image/viewer.js";
import { drawEarlier } from "../job/earlier.js";
import { drawHeader, drawPicker } from "../job/header.js";
import { drawFindings, drawMeasured } from "../job/reading.js";
import { drawReview } from "../job/review.js";
import { drawDeliveries, drawDocuments, drawHistory } from "../job/traffic.js";
import { follow } from "../live.js";

const id = one("#job").dataset.job;
const picture = new ImageViewer(one("#picture"), { label: "the page" });
const drawn = {}; // what each part was last drawn from, so that a form in use is not taken away
let job = null;
let number = Number(new URLSearchParams(location.search).get("page")) || null;
let flat = false;
let viewer = null;
let recording = null;

async function load() {
  let history;
  [job, history] = await Promise.all([get(`/jobs/${id}`), get(`/jobs/${id}/audit`)]);
  if (!job.page_list.some((page) => page.number === number)) {
    number = (job.page_list.find((page) => page.read) ?? job.page_list[0])?.number ?? 1;
  }
  const page = job.page_list.find((each) => each.number === number) ?? null;
  const entries = history.items ?? history;
  keepingFocus(one("#header"), () => drawHeader(one("#header"), job, headButtons()));
  keepingFocus(one("#page-picker"), () => drawPicker(one("#page-picker"), job, number, choosePage));
  await anew("deliveries", [job.delivery_list, job.allowed_actions], () => drawDeliveries(one("#deliveries"), job, entries, load));
  drawHistory(one("#history"), entries);
  await anew("picture", [number, flat, page?.rectified, page?.made_by, page?.review.given], () => drawPicture(page));
  await anew("leads", [number, page, job.stands], () => drawLeads(page));
  await anew("review", [number, job.stands, job.state, job.allowed_actions, job.unopened, page?.review, page?.verdict], () => drawReview(one("#review"), job, page, picture, showPage, done));
  await anew("documents", [number, job.state, page?.review, job.delivery_list.length], () => drawDocuments(one("#documents"), id, number));
  await anew("earlier", [number, job.earlier, job.order.patient_id, page?.read], () => drawEarlier(one("#earlier"), job, recording));
}

/** Draws a part only if what it is drawn from has changed or it failed before, and lets that spoil no other part. */
async function anew(part, from, draw) {
  const now = JSON.stringify(from);
  if (drawn[part] === now) return;
  drawn[part] = now;
  await tried(async () => {
    try {
      await draw();
    } catch (error) {
      delete drawn[part];
      throw error;
    }
  }, part);
}

function headButtons() {
  const allows = (action) => job.allowed_actions.includes(action);
  const act = (action, title, words) => tried(async () => {
    if ((await ask({ title, words: "It is written into the audit with your name.", yes: words })) === null) return;
    await post(`/jobs/${id}/${action}`);
    await done(`${words}: done.`);
  });
  return [
    allows("retry") && h("button", { type: "button", onclick: () => act("retry", "Digitize this page again?", "Digitize again") }, "Digitize again"),
    allows("resend") && h("button", { type: "button", onclick: () => act("resend", "Send its documents again?", "Send again") }, "Send again"),
    (allows("approve") || allows("identify") || allows("correct")) && h("a", { class: "button", href: "#review" }, "Review"),
  ];
}

async function done(words) {
  tell(words);
  await load();
}

function choosePage(which) {
  number = which;
  const address = new URL(location.href);
  address.searchParams.set("page", which);
  history.replaceState(null, "", address);
  tried(load, "page");
}

/** Another page, for somebody who is further down: brings its traces into view. */
function showPage(which) {
  choosePage(which);
  one("#leads-title").focus();
}

function drawPicture(page) {
  const base = `${ROOT}/jobs/${id}/pages/${number}`;
  const rectified = Boolean(page?.rectified);
  if (!rectified) flat = false;
  one("#show-rectified").disabled = !rectified;
  one("#show-source").setAttribute("aria-pressed", String(!flat));
  one("#show-rectified").setAttribute("aria-pressed", String(flat));
  if (flat) picture.show(`${base}/rectified`);
  else picture.show(`${base}/image?width=1200`, `${base}/image?width=4000`);
}

async function drawLeads(page) {
  const host = one("#leads");
  viewer = null;
  recording = null;
  drawMeasured(one("#measured"), page);
  drawFindings(one("#findings"), page?.findings ?? [], (which) => viewer?.light(which));
  if (!page?.read) {
    put(one("#leads-words"));
    return put(host, h("p", { class: "hint" }, job.state === "received" ? "The page waits to be digitized." : page?.why || "No leads were read on this page."));
  }
  recording = recordingFrom(await get(`/jobs/${id}/pages/${number}/waveform`));
  job.unopened = job.unopened.filter((each) => each !== number); // it was not yet open when the job was asked for
  viewer = new EcgViewer(host, recording);
  return put(one("#leads-words"), `printed as ${recording.layout}, ${recording.rate_hz} samples per second`);
}

for (const [button, value] of [["#show-source", false], ["#show-rectified", true]]) {
  one(button).addEventListener("click", () => {
    flat = value;
    picture.fit();
    anew("picture", [number, flat], () => drawPicture(job?.page_list.find((each) => each.number === number)));
  });
}
one("#wide").addEventListener("click", (event) => {
  const wide = one(".workspace").classList.toggle("wide");
  event.target.setAttribute("aria-pressed", String(wide));
});
one("#back").href = `/${sessionStorage.getItem("worklist") ?? ""}`;

load().catch((error) => put(one("#header"), h("h1", {}, "Job"), h("p", { class: "message bad" }, error.message)));
follow({ names: ["job", "delivery"], refresh: () => tried(load, "page"), concerns: (event) => event.job_id === id, lamp: one("#lamp") });

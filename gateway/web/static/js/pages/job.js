/** One job: its page beside its leads, review, and all that was done with it; it follows what happens while it is open. */

import { get, post, ROOT } from "../api.js";
import { ask } from "../dialog.js";
import { h, keepingFocus, one, put, tell, tried } from "../dom.js";
import { recordingFrom } from "../ecg/recording.js";
import { EcgViewer } from "../ecg/viewer.js";
import { ImageViewer } from "../image/viewer.js";
import { Drafts } from "../job/drafts.js";
import { drawEarlier } from "../job/earlier.js";
import { drawHeader, drawPicker } from "../job/header.js";
import { drawFindings, drawMeasured, outdatedWords } from "../job/reading.js";
import { drawReview } from "../job/review.js";
import { drawDeliveries, drawDocuments, drawHistory } from "../job/traffic.js";
import { follow } from "../live.js";

const id = one("#job").dataset.job;
const NOT_FETCHED = "The leads of this page could not be fetched.";
const picture = new ImageViewer(one("#picture"), { label: "the page" });
const drafts = new Drafts();
const drawn = {}; // what each part was last drawn from, so that a form in use is not taken away, and when that is done
let asked = 0; // how many times the job was asked for, and which of these answers is on the page
let shown = 0;
let job = null;
let number = Number(new URLSearchParams(location.search).get("page")) || null;
let flat = false;
let viewer = null;
let recording = null;

async function load() {
  const mine = ++asked;
  const [told, history] = await Promise.all([get(`/jobs/${id}`), get(`/jobs/${id}/audit`)]);
  if (mine < shown) return; // a later answer was here first
  shown = mine;
  job = told;
  if (!job.page_list.some((page) => page.number === number)) {
    number = (job.page_list.find((page) => page.read) ?? job.page_list[0])?.number ?? 1;
  }
  const which = number;
  const page = job.page_list.find((each) => each.number === which) ?? null;
  const entries = history.items ?? history;
  keepingFocus(one("#header"), () => drawHeader(one("#header"), job, headButtons()));
  keepingFocus(one("#page-picker"), () => drawPicker(one("#page-picker"), job, which, choosePage));
  drawHistory(one("#history"), entries);
  const parts = [
    ["deliveries", () => [job.delivery_list, job.allowed_actions], () => drawDeliveries(one("#deliveries"), job, entries, load)],
    ["picture", () => pictureFrom(page, which), () => drawPicture(page, which)],
    ["leads", () => [which, page, job.revision], (wanted) => drawLeads(page, wanted)],
    ["review", () => [which, job.revision, job.state, job.allowed_actions, job.unopened, page?.review, page?.verdict], (wanted) => drawReview(one("#review"), job, page, { picture, drafts, choose: showPage, done, wanted })],
    ["documents", () => [which, job.state, page?.review, page?.outdated, job.delivery_list.length], (wanted) => fetched("#documents", wanted, (host) => drawDocuments(host, job, page))],
    ["earlier", () => [which, job.earlier, job.order, page?.read, page?.outdated], (wanted) => fetched("#earlier", wanted, (host) => drawEarlier(host, job, recording))],
  ];
  for (const [part, from, draw] of parts) {
    await anew(part, from(), draw);
    if (mine !== shown || which !== number) return;
  }
}

/**
 * Draws a part only if what it is drawn from has changed or it failed before, and lets that spoil no other part.
 * wanted() says whether it still is what the part is to show: what was fetched for another page may come late.
 */
function anew(part, from, draw) {
  const now = JSON.stringify(from);
  if (drawn[part]?.now === now) return drawn[part].done;
  const mine = { now };
  const wanted = () => drawn[part] === mine;
  drawn[part] = mine;
  mine.done = tried(async () => {
    try {
      await draw(wanted);
    } catch (error) {
      if (!wanted()) return;
      delete drawn[part];
      throw error;
    }
  }, part);
  return mine.done;
}

/** Draws a part that is fetched first: aside, and into the page only if it is still wanted then. */
async function fetched(host, wanted, draw) {
  const aside = h("div");
  await draw(aside);
  if (wanted()) put(one(host), aside);
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
  clearLeads("Fetching…");
  tried(async () => {
    try {
      await load();
    } catch (error) {
      if (!drawn.leads) clearLeads(NOT_FETCHED);
      throw error;
    }
  }, "page");
}

/** Takes the leads and what was read with them off the page, whichever page they are of. */
function clearLeads(words) {
  delete drawn.leads;
  viewer = null;
  recording = null;
  for (const part of ["#leads-words", "#findings", "#measured"]) put(one(part));
  put(one("#leads"), h("p", { class: "hint" }, words));
}

/** Another page, for somebody who is further down: brings its traces into view. */
function showPage(which) {
  choosePage(which);
  one("#leads-title").focus();
}

/** What the picture is drawn from: laid flat it has the traces on it, so it is another with every reading. */
function pictureFrom(page, which) {
  return [which, flat, page?.rectified, flat && [page?.read, page?.made_by, page?.review, job?.revision, job?.state]];
}

function drawPicture(page, which) {
  const base = `${ROOT}/jobs/${id}/pages/${which}`;
  const rectified = Boolean(page?.rectified);
  if (!rectified) flat = false;
  one("#show-rectified").disabled = !rectified;
  one("#show-source").setAttribute("aria-pressed", String(!flat));
  one("#show-rectified").setAttribute("aria-pressed", String(flat));
  picture.flat = flat;
  picture.outdated(flat && job?.state === "received" && "being digitized again");
  if (flat) picture.show(`${base}/rectified?reading=${encodeURIComponent(job.revision)}`);
  else picture.show(`${base}/image?width=1200`, `${base}/image?width=4000`);
}

async function drawLeads(page, wanted) {
  const host = one("#leads");
  viewer = null;
  recording = null;
  put(one("#leads-words"));
  drawMeasured(one("#measured"), page);
  drawFindings(one("#findings"), page, (which) => viewer?.light(which));
  if (!page?.read) {
    return put(host, h("p", { class: "hint" }, job.state === "received" ? "The page waits to be digitized." : page?.why || "No leads were read on this page."));
  }
  put(host, h("p", { class: "hint" }, "Fetching…"));
  let waveform;
  try {
    waveform = recordingFrom(await get(`/jobs/${id}/pages/${page.number}/waveform`));
  } catch (error) {
    if (wanted()) put(host, h("p", { class: "hint" }, NOT_FETCHED));
    throw error;
  }
  if (!wanted()) return null;
  recording = { ...waveform, outdated: page.outdated };
  job.unopened = job.unopened.filter((each) => each !== page.number); // it was not yet open when the job was asked for
  const paper = h("div");
  put(host, outdatedWords(page), paper);
  viewer = new EcgViewer(paper, recording);
  return put(one("#leads-words"), `printed as ${recording.layout}, ${recording.rate_hz} samples per second`);
}

for (const [button, value] of [["#show-source", false], ["#show-rectified", true]]) {
  one(button).addEventListener("click", () => {
    flat = value;
    picture.fit();
    const page = job?.page_list.find((each) => each.number === number);
    anew("picture", pictureFrom(page, number), () => drawPicture(page, number));
  });
}
one("#wide").addEventListener("click", (event) => {
  const wide = one(".workspace").classList.toggle("wide");
  event.target.setAttribute("aria-pressed", String(wide));
});
one("#back").href = `/${sessionStorage.getItem("worklist") ?? ""}`;

load().catch((error) => put(one("#header"), h("h1", {}, "Job"), h("p", { class: "message bad" }, error.message)));
follow({ names: ["job", "delivery"], refresh: () => tried(load, "page"), concerns: (event) => event.job_id === id, lamp: one("#lamp") });

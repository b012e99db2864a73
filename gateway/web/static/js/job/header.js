/** Who and what a job is, how it stands, and why. */

import { h, put } from "../dom.js";
import {
  bytes, confidenceMeter, DOORS, dicomTime, moment, personName, plain, recordedWords, SEXES, stateChip, VERDICTS,
} from "../words.js";

/** Draws the head of the page. buttons: what can be done with the whole job. */
export function drawHeader(host, job, buttons) {
  const { order } = job;
  const name = personName(order.name) || order.patient_id || "Unknown patient";
  const about = [
    name !== order.patient_id && order.patient_id && `Id ${order.patient_id}`,
    order.birth_date && `born ${dicomTime(order.birth_date)}`,
    SEXES[order.sex],
  ].filter(Boolean);
  put(host,
    h("div", { class: "job-head" },
      h("div", {},
        h("h1", {}, name, stateChip(job.state), job.corrected && h("span", { class: "chip info" }, "Corrected")),
        h("p", { class: "sub" }, about.join(" · ") || (order.patient_id ? "Neither name nor birth date is known." : "Nobody has said whose ECG this is.")),
        h("div", { class: "buttons" }, buttons)),
      facts([
        ["Recorded", recordedWords(order.acquired_at) || "not known"],
        ["Accession", order.accession_number],
        ["Received", moment(job.received_at)],
        ["Came from", [DOORS[job.door], job.sender, job.sender_address].filter(Boolean).join(" · ")],
      ]),
      facts([
        ["Confidence", confidenceMeter(job.confidence)],
        ["File", [job.file_name, job.media_type, bytes(job.size_bytes)].filter(Boolean).join(" · ")],
        ["Referring", personName(order.referring_physician)],
        ["Order", [order.placer_order_number, order.filler_order_number].filter(Boolean).join(" / ")],
        ["SHA-256", h("code", { title: job.sha256 }, `${job.sha256.slice(0, 16)}…`)],
      ])),
    reasons(job),
    remarks(job));
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return h("dl", { class: "facts" }, shown.map(([words, value]) => [h("dt", {}, words), h("dd", {}, value)]));
}

function reasons(job) {
  if (!["held", "refused"].includes(job.state)) return null;
  const told = job.reasons.length ? job.reasons : [{ text: job.why || plain(job.code), page: null }];
  return h("div", { class: `message ${job.state === "held" ? "warn" : "bad"}` },
    h("p", {}, h("strong", {}, job.state === "held" ? "Held: a person must look." : "Refused: nothing more is sent.")),
    h("ul", {}, told.map((reason) => h("li", {}, reason.page && job.page_list.length > 1 ? `Page ${reason.page}: ` : "", reason.text))));
}

/** What people wrote when they did something, for whoever looks next. */
function remarks(job) {
  if (!job.remarks.length) return null;
  return h("ul", { class: "message remarks", "aria-label": "What people wrote" }, job.remarks.map((remark) =>
    h("li", {}, h("strong", {}, remark.actor), ` (${plain(remark.action)}, `, moment(remark.at), `): ${remark.text}`)));
}

/** Buttons for the pages of a document; nothing where it has one. */
export function drawPicker(host, job, number, choose) {
  host.hidden = job.page_list.length < 2;
  if (host.hidden) return;
  host.setAttribute("role", "group");
  host.setAttribute("aria-label", "Page of the document");
  host.className = "page-picker";
  put(host, job.page_list.map((page) =>
    h("button", { type: "button", class: "small", "aria-pressed": String(page.number === number), onclick: () => choose(page.number) },
      `Page ${page.number}: ${VERDICTS[page.verdict] ?? plain(page.verdict)}`)));
}

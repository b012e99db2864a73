/** What was sent where with every answer, the documents to have, and the audit trail of a job. */

import { fetchFile, fetchText, get, may, post, ROOT } from "../api.js";
import { ask } from "../dialog.js";
import { h, put, tell, tried } from "../dom.js";
import { broken, chip, count, DELIVERY_STATES, KINDS, moment, plain, whoWords } from "../words.js";
import { outdatedWords } from "./reading.js";

/** The outbox rows of a job. done() is called after one was sent again. */
export function drawDeliveries(host, job, history, done) {
  if (!job.delivery_list.length) return put(host, h("p", { class: "hint" }, "Nothing was made to be sent yet."));
  const resend = async (row) => {
    const yes = await ask({ title: `Send to ${row.destination} again?`, words: "All documents of this job that were made for it go there once more. It is written into the audit with your name.", yes: "Send again" });
    if (yes === null) return;
    await post(`/jobs/${job.job_id}/resend`, { destination: row.destination });
    tell(`Sent again to ${row.destination}.`);
    done();
  };
  const rows = job.delivery_list.map((row) =>
    h("tr", {},
      h("td", {}, h("strong", {}, row.destination)),
      h("td", {}, KINDS[row.kind] ?? plain(row.kind), job.page_list.length > 1 ? `, page ${row.page}` : ""),
      h("td", {}, chip(DELIVERY_STATES[row.state]), row.superseded && h("p", { class: "hint" }, "of an earlier reading, not what stands now")),
      h("td", {}, row.delivered_at ? moment(row.delivered_at, { seconds: true }) : row.state === "queued" ? ["due ", moment(row.due_at, { seconds: true })] : "–"),
      h("td", {}, attemptsOf(row, history)),
      h("td", {}, row.why && h("p", {}, row.why), row.response && h("pre", { class: "attempt mono" }, broken(row.response))),
      may("reviewer") && job.allowed_actions.includes("resend")
        ? h("td", {}, !row.superseded && h("button", { type: "button", class: "small", onclick: () => resend(row) }, `Send to ${row.destination} again`))
        : null));
  return put(host, h("table", {},
    h("caption", { class: "unseen" }, "Documents and how far each has come"),
    h("thead", {}, h("tr", {}, ["Destination", "Document", "State", "When", "Attempts", "Answer"].map((words) => h("th", { scope: "col" }, words)),
      may("reviewer") && job.allowed_actions.includes("resend") ? h("th", { scope: "col" }, h("span", { class: "unseen" }, "Action")) : null)),
    h("tbody", {}, rows)));
}

/** Every try of a delivery as the audit tells it, each with all that it tells of the receiver's answer. */
function attemptsOf(row, history) {
  const tries = history.filter(({ kind, detail }) =>
    ["delivered", "postponed", "parked", "answered_later"].includes(kind) && (detail.delivery === row.delivery_id || detail.delivery_id === row.delivery_id || detail.name === row.name) &&
    (detail.destination === undefined || detail.destination === row.destination));
  const sent = tries.filter(({ kind }) => kind !== "answered_later").length;
  if (!tries.length) return String(row.attempts);
  return h("details", {},
    h("summary", {}, count(Math.max(row.attempts, sent), "attempt")),
    h("ol", {}, tries.map(({ at, kind, detail }) => h("li", {}, moment(at, { seconds: true }), ` ${plain(kind)}`, tryWords(detail)))));
}

/** What is of one try alone: ": code ack ae, answer AE 207". The row says which document it was, and hashes say nothing. */
function tryWords({ code, ...detail }) {
  const rest = Object.entries(detail).filter(([name]) => !OF_THE_ROW.has(name) && !name.endsWith("_sha256"));
  const words = [code && plain(code), detailWords(Object.fromEntries(rest))].filter(Boolean).join(", ");
  return words && `: ${words}`;
}

const OF_THE_ROW = new Set(["delivery", "delivery_id", "destination", "kind", "name", "sha256", "attempts", "page"]);

/** Documents of a page, to view and to have; none while it is digitized again, for they would be of what was read before. */
export async function drawDocuments(host, { job_id, state }, page) {
  if (page?.outdated) return put(host, outdatedWords(page));
  if (page?.read && state === "received") return put(host, h("p", { class: "hint" }, "This page is being digitized again; its documents come with what is read then."));
  if (state === "refused") return put(host, h("p", { class: "hint" }, "This job was refused: nothing of it is handed out."));
  const { items } = await get(`/jobs/${job_id}/documents`);
  const mine = items.filter((item) => item.page === page?.number);
  if (!mine.length && state === "received") return put(host, h("p", { class: "hint" }, "The page waits to be digitized; its documents come with what is read."));
  if (!mine.length) return put(host, h("p", { class: "hint" }, "No document can be made of this page."));
  const view = h("div", {});
  const rows = mine.map((item) => {
    const path = `/jobs/${job_id}/documents/${item.kind}`;
    return h("tr", {},
      h("td", {}, h("strong", {}, KINDS[item.kind] ?? plain(item.kind))),
      h("td", {}, item.file_name),
      h("td", {}, [...new Set(item.sent_to)].join(", ")),
      h("td", {}, h("div", { class: "buttons" },
        h("button", { type: "button", class: "small", onclick: () => tried(() => show(view, item, path)) }, "View"),
        h("a", { class: "button small", href: `${ROOT}${path}?page=${item.page}`, download: item.file_name, onclick: (event) => save(event, item, path) }, "Download"))));
  });
  return put(host,
    h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, "Documents of this page"),
      h("thead", {}, h("tr", {}, ["Document", "File", "Goes to"].map((words) => h("th", { scope: "col" }, words)), h("th", {}, h("span", { class: "unseen" }, "Actions")))),
      h("tbody", {}, rows))),
    view);
}

/** As a file, or the reason why there is none: of a link that fails a browser says no more than that it failed. */
async function save(event, item, path) {
  const { currentTarget: link } = event;
  event.preventDefault();
  if (link.ariaBusy === "true") return; // the first of a kind takes the gateway seconds
  link.ariaBusy = "true";
  await tried(async () => {
    const { bytes, name } = await fetchFile(path, { page: item.page });
    const address = URL.createObjectURL(bytes);
    h("a", { href: address, download: name || item.file_name }).click();
    setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
  });
  link.ariaBusy = null;
}

const KEPT_MS = 60_000; // how long the bytes are there for the browser to write, which it tells nobody about

/** In this page: a tab of its own would outlive the session, with the patient in it. */
async function show(host, item, path) {
  wanted.set(host, item);
  const shown = await (item.kind === "pdf" ? picture(item, path) : text(item, path));
  if (wanted.get(host) !== item) return null; // another was asked for meanwhile, and is there or comes
  put(host,
    h("div", { class: "head" }, h("h3", {}, KINDS[item.kind] ?? item.kind),
      h("button", { type: "button", class: "small", onclick: () => put(host) }, "Close")),
    shown);
  return host.scrollIntoView({ block: "nearest" });
}

const wanted = new WeakMap(); // the place where documents are shown, to the one asked for last

/** The document's text; of a file that is none, what the gateway reads in it, field by field. */
async function text(item, path) {
  const words = await fetchText(`${path}/text`, { page: item.page });
  return h("pre", { class: "document mono", tabindex: 0, "aria-label": `Text of ${item.file_name}` }, laidOut(words, item.media_type));
}

/** The report as a picture that the gateway draws: a browser's own viewer of PDF would be a page of its own. */
async function picture(item, path) {
  const { bytes } = await fetchFile(`${path}/picture`, { page: item.page });
  const address = URL.createObjectURL(bytes);
  const image = h("img", { class: "document", alt: `The PDF report ${item.file_name}`, src: address });
  return image.decode().then(() => image, () => {
    throw new Error("The report could not be drawn.");
  }).finally(() => URL.revokeObjectURL(address));
}

const SHOWN_MAX = 200_000;

/** Text for the eye: HL7 v2 with a line per segment, XML with a line per element. */
function laidOut(text, media_type) {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}\n… (${text.length - SHOWN_MAX} more characters: download the file)` : text;
  if (/hl7/.test(media_type) || cut.startsWith("MSH|")) return broken(cut);
  if (!/xml/.test(media_type) || cut.includes("\n  <")) return cut;
  let depth = 0;
  return cut.replaceAll("><", ">\n<").split("\n").map((line) => {
    if (/^<\//.test(line)) depth -= 1;
    const laid = "  ".repeat(Math.max(0, depth)) + line;
    if (/^<[^/?!]/.test(line) && !/\/>$/.test(line) && !/<\//.test(line)) depth += 1;
    return laid;
  }).join("\n");
}

/** The audit entries of a job, the oldest first; one person's looks in a row are one line. */
export function drawHistory(host, entries) {
  if (!entries.length) return put(host, h("p", { class: "hint" }, "The audit holds nothing about this job."));
  return put(host, h("table", { class: "history" },
    h("caption", { class: "unseen" }, "What happened to this job"),
    h("thead", {}, h("tr", {}, ["No.", "When", "What", "Who", "Detail"].map((words, at) => h("th", { scope: "col", class: at ? "" : "number" }, words)))),
    h("tbody", {}, together(entries).map(({ entry, last, times }) =>
      h("tr", {},
        h("td", { class: "number" }, times > 1 ? `${entry.seq}…${last.seq}` : entry.seq),
        h("td", {}, moment(last.at, { seconds: true })),
        h("td", {}, plain(entry.kind), times > 1 ? ` ×${times}` : ""),
        h("td", { title: entry.actor }, whoWords(entry.actor)),
        h("td", {}, h("small", {}, detailWords(times > 1 ? {} : entry.detail))))))));
}

function together(entries) {
  const lines = [];
  for (const entry of entries) {
    const before = lines.at(-1);
    if (before && entry.kind === "looked" && before.entry.kind === "looked" && before.entry.actor === entry.actor) {
      before.last = entry;
      before.times += 1;
    } else lines.push({ entry, last: entry, times: 1 });
  }
  return lines;
}

/** "destination pacs, code peer_down": an audit entry's detail. Jobs of a list, up to a thousand, are folded away. */
export function detailWords({ jobs, ...detail }) {
  const words = Object.entries(detail)
    .filter(([, value]) => value !== "" && value !== null)
    .map(([name, value]) => `${plain(name)} ${/^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 12)}…` : value}`)
    .join(", ");
  if (!jobs) return words;
  const ids = jobs.split(" ");
  return [words, h("details", {}, h("summary", {}, count(ids.length, "job")),
    ids.map((id) => [h("a", { class: "mono", href: `/jobs/${id}`, title: id }, id.slice(0, 8)), " "]))];
}

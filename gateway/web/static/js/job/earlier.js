/**
 * Other recordings of the patient's id, and the one on the page laid over one of them.
 *
 * One id may have been given to two people: what is known to be of another stands apart and is laid over nothing.
 */

import { get } from "../api.js";
import { h, put } from "../dom.js";
import { Comparison } from "../ecg/compare.js";
import { recordingFrom } from "../ecg/recording.js";
import { confidenceMeter, dicomTime, moment, personName, recordedWords, SEXES, stateChip } from "../words.js";

/** Draws the list and, once one is chosen, the comparison. recording: of the page in view, null where nothing was read. */
export async function drawEarlier(host, job, recording) {
  if (!job.order.patient_id) return put(host, h("p", { class: "hint" }, "Nobody has said whose ECG this is, so nothing can be compared."));
  const { items } = await get(`/jobs/${job.job_id}/earlier`);
  if (!items.length) return put(host, h("p", { class: "hint" }, "No other recording of this patient is known here."));
  const paper = h("div", { class: "comparison" });
  const choose = async (item, button) => {
    for (const other of host.querySelectorAll("button[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
    put(paper, h("p", { class: "hint" }, "Fetching…"));
    try {
      const waveform = await get(`/jobs/${item.job_id}/pages/${item.page}/waveform`);
      new Comparison(paper, recording, recordingFrom(waveform), {
        nowWords: `this one${recording.outdated ? " as read before the correction" : ""}, ${whoWords(job.order)}, recorded ${recordedWords(job.order.acquired_at) || "at a time not known"}`,
        earlierWords: `the other, ${whoWords(item)}, recorded ${recordedWords(item.acquired_at) || "at a time not known"}`,
      });
    } catch (error) {
      put(paper, h("p", { class: "message bad" }, error.message));
    }
  };
  const rowOf = (item) => {
    const button = !item.contradicts.length && h("button", { type: "button", class: "small", "aria-pressed": "false", disabled: !recording, onclick: () => choose(item, button) }, "Compare");
    const told = (known, words) => h("td", {}, item.contradicts.includes(known) ? h("strong", {}, words) : words);
    return h("tr", {},
      told("name", personName(item.name) || "not known"), told("birth_date", dicomTime(item.birth_date) || "not known"), told("sex", SEXES[item.sex] ?? "not known"),
      h("td", {}, recordedWords(item.acquired_at) || "not known"), h("td", {}, moment(item.received_at)), h("td", {}, stateChip(item.state)),
      h("td", {}, item.layout), h("td", {}, confidenceMeter(item.confidence)), h("td", {}, item.accession_number),
      h("td", {}, h("div", { class: "buttons" }, button, h("a", { class: "button small", href: `/jobs/${item.job_id}` }, "Open"))));
  };
  const table = (caption, rows) => h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, ["Name", "Born", "Sex", "Recorded", "Received", "State", "Layout", "Confidence", "Accession"].map((words) => h("th", { scope: "col" }, words)),
      h("th", {}, h("span", { class: "unseen" }, "Actions")))),
    h("tbody", {}, rows.map(rowOf))));
  const same = items.filter((item) => !item.contradicts.length);
  const others = items.filter((item) => item.contradicts.length);
  const apart = [...new Set(others.flatMap((item) => item.contradicts))].map((each) => CONTRADICTS[each] ?? each);
  return put(host,
    same.length ? table("Other recordings of this patient", same) : h("p", { class: "hint" }, "No other recording of this patient is known here."),
    paper,
    others.length > 0 && h("div", { class: "another" },
      h("p", { class: "message warn" }, h("strong", {}, "The same id, perhaps another person. "),
        `What is known of these contradicts this recording (${apart.join(", ")}), so they are not compared. Find out whose they are.`),
      table("Recordings of the same id that may be another person's", others)));
}

const CONTRADICTS = { name: "the name", birth_date: "the birth date", sex: "the sex" };

const whoWords = (whose) => [
  personName(whose.name) || "no name known", whose.birth_date && `born ${dicomTime(whose.birth_date)}`, SEXES[whose.sex],
].filter(Boolean).join(", ");

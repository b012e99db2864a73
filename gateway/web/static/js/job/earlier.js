/** The patient's other recordings, and the one on the page laid over one of them. */

import { get } from "../api.js";
import { h, put } from "../dom.js";
import { Comparison } from "../ecg/compare.js";
import { recordingFrom } from "../ecg/recording.js";
import { confidenceMeter, dicomTime, moment, stateChip } from "../words.js";

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
        nowWords: `this one, ${dicomTime(job.order.acquired_at) || "without a date"}`,
        earlierWords: `the other, ${dicomTime(item.acquired_at) || "without a date"}`,
      });
    } catch (error) {
      put(paper, h("p", { class: "message bad" }, error.message));
    }
  };
  const rows = items.map((item) => {
    const button = h("button", { type: "button", class: "small", "aria-pressed": "false", disabled: !recording, onclick: () => choose(item, button) }, "Compare");
    return h("tr", {},
      h("td", {}, dicomTime(item.acquired_at) || "not known"), h("td", {}, moment(item.received_at)), h("td", {}, stateChip(item.state)),
      h("td", {}, item.layout), h("td", {}, confidenceMeter(item.confidence)), h("td", {}, item.accession_number),
      h("td", {}, h("div", { class: "buttons" }, button, h("a", { class: "button small", href: `/jobs/${item.job_id}` }, "Open"))));
  });
  return put(host,
    h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, "Other recordings of this patient"),
      h("thead", {}, h("tr", {}, ["Recorded", "Received", "State", "Layout", "Confidence", "Accession"].map((words) => h("th", { scope: "col" }, words)),
        h("th", {}, h("span", { class: "unseen" }, "Actions")))),
      h("tbody", {}, rows))),
    paper);
}

/** What a person must see before they decide: whose ECG it is, what was read, and where it goes. */

import { h } from "../dom.js";
import { chip, dicomTime, KNOWN, personName, recordedWords, SEVERITIES, SEXES } from "../words.js";

const UNKNOWN = h("span", { class: "hint" }, "not known");

/** Whose an ECG is and when it was recorded; what is not known is said to be so. */
export function whoseFacts(order) {
  return facts([
    ["Patient", personName(order.name)],
    ["Born", dicomTime(order.birth_date)],
    ["Sex", SEXES[order.sex]],
    ["Patient id", order.patient_id],
    ["Issuer of the id", order.issuer],
    ["Recorded", recordedWords(order.acquired_at)],
    ["Accession", order.accession_number],
  ]);
}

/** What becomes of a job, as a sentence. onward: as the API tells it, null where nothing was read yet. */
export function onwardWords(onward, again = false) {
  if (!onward) return h("p", { class: "message info" }, "Nothing was read of it yet, so nobody can say where it goes.");
  const names = onward.destinations.join(", ");
  if (onward.action === "send") {
    const first = again ? "It is read again, and if it is read as surely as before " : "It ";
    return h("p", { class: "message warn" }, first, h("strong", {}, `goes to ${names || "no destination"}`), again ? " without a further look." : ".");
  }
  const words = onward.action === "hold" ? "As it is read now, it waits for a person after this" : "The rules refuse it after this";
  return h("p", { class: "message info" }, `${words}: ${onward.why}.`);
}

/** What was read of each page that goes out: names, scales, and what a reader should know of it. */
export function readingFacts(pages) {
  return pages.filter((page) => page.read).map((page) => {
    const open = page.findings.filter(({ severity }) => severity !== "info");
    return h("div", { class: "sure-page" },
      pages.length > 1 && h("h3", {}, `Page ${page.number}`),
      facts([
        ["Layout", page.layout],
        ["Leads", page.leads.join(" ")],
        ["Not believed", page.review.invalid_leads.join(" ") || "none"],
        ["Speed", scale(page.speed_mm_s, "mm/s")],
        ["Gain", scale(page.gain_mm_mv, "mm/mV")],
        ...(page.chest_gain_mm_mv ? [["Gain of the chest leads", scale(page.chest_gain_mm_mv, "mm/mV")]] : []),
        ["Warnings", open.length ? h("ul", {}, open.map(warning)) : "none"],
      ]));
  });
}

const warning = ({ severity, lead, text, code }) => h("li", {}, chip(SEVERITIES[severity]), " ", lead && h("strong", {}, `${lead}: `), text || code);

const scale = (value, unit) => value && `${Number(value.value.toFixed(2))} ${unit}, ${KNOWN[value.known] ?? value.known}`;

const facts = (rows) => h("dl", { class: "facts" }, rows.map(([words, value]) => [h("dt", {}, words), h("dd", {}, value || UNKNOWN.cloneNode(true))]));

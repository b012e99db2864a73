/** What was read of one page: findings, measurements, scales. */

import { h, put } from "../dom.js";
import { chip, confidenceMeter, KNOWN, moment, plain, SEVERITIES } from "../words.js";

/** What stands over all that is shown of a reading which a person has corrected since; null where none has. */
export const outdatedWords = (page) =>
  (page?.outdated ? h("p", { class: "message warn" }, "Reading before the correction; being digitized again.") : null);

/** The list of a page's findings; numbers are those on the paper. lit(number) is called while one is pointed at, lit(null) after. */
export function drawFindings(host, page, lit) {
  const findings = page?.findings ?? [];
  if (!findings.length) return put(host, outdatedWords(page), h("p", { class: "hint" }, "Nothing was found that a reader should know."));
  const item = (finding, at) => {
    const where = [finding.lead, seconds(finding)].filter(Boolean).join(", ");
    const show = () => lit(at + 1);
    const hide = () => lit(null);
    return h("li", { onpointerenter: show, onpointerleave: hide },
      finding.lead
        ? h("button", { type: "button", onfocus: show, onblur: hide, "aria-label": `Show finding ${at + 1} on the paper` }, at + 1)
        : h("span", {}, `${at + 1}.`),
      chip(SEVERITIES[finding.severity]),
      h("span", {}, where && h("strong", {}, `${where}: `), finding.text || plain(finding.code),
        finding.detail && h("small", { class: "hint" }, ` ${finding.detail}`)));
  };
  return put(host, outdatedWords(page), h("ol", { class: "findings" }, findings.map(item)));
}

function seconds({ start_s, end_s }) {
  if (start_s === null) return "";
  return end_s === null ? `at ${start_s.toFixed(2)} s` : `${start_s.toFixed(2)}–${end_s.toFixed(2)} s`;
}

/** Measurements and scales of a page of the job. */
export function drawMeasured(host, page) {
  if (!page?.read) return put(host, h("p", { class: "hint" }, "Nothing was read on this page."));
  const rows = [
    ...page.measurements.map((each) => [each.meaning, measurement(each)]),
    ...page.not_measured.map((each) => [each.meaning, h("span", { class: "hint" }, `not given: ${each.text}`)]),
    ["Layout as printed", page.layout],
    ["Speed", scale(page.speed_mm_s, "mm/s")],
    ["Gain", scale(page.gain_mm_mv, "mm/mV")],
    ["Gain of the chest leads", scale(page.chest_gain_mm_mv, "mm/mV")],
    ["Duration", page.duration_s === null ? "" : `${page.duration_s.toFixed(2)} s`],
    ["Leads", page.leads.join(" ")],
    ["Kind of image", plain(page.source)],
    ["Confidence", confidenceMeter(page.confidence)],
    ["Digitized by", page.made_by.version && `version ${page.made_by.version}`],
    ["Corrected by", page.review.corrected_by],
    ["Marked invalid", page.review.invalid_leads.length ? `${page.review.invalid_leads.join(" ")} by ${page.review.invalid_by}` : ""],
    ["Approved by", page.review.approved_by && [page.review.approved_by, page.review.approved_at && [", ", moment(page.review.approved_at, { seconds: true })]]],
    ["Approved again by", page.review.approved_again_by],
    ["Left out by", page.review.left_out_by],
  ];
  const unmeasured = !page.measurements.length && h("p", { class: "hint" }, "No measurement was sure enough to be told.");
  return put(host, outdatedWords(page), unmeasured, h("dl", { class: "facts" },
    rows.filter(([, value]) => value).map(([words, value]) => [h("dt", {}, words), h("dd", {}, value)])));
}

/** A measured value with its standard error and the beats it is the median of. */
function measurement({ value, error, unit, beats }) {
  const about = error === null ? "" : ` ± ${number(error)}`;
  return [`${number(value)}${about} ${unit}`, beats > 0 && h("small", { class: "hint" }, ` ${beats} beats`)];
}

const number = (value) => (Number.isInteger(value) ? value : value.toFixed(Math.abs(value) < 10 ? 2 : 0));

function scale(value, unit) {
  return value ? `${value.value.toFixed(value.value % 1 ? 2 : 0)} ${unit}, ${KNOWN[value.known] ?? value.known}` : "";
}

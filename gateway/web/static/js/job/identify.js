/** Says whose ECG a held job is, with a search of what the gateway knows. */

import { get, post } from "../api.js";
import { h, put, tried } from "../dom.js";
import { count, dicomTime, personName } from "../words.js";
import { aboutReading } from "./steps.js";

const FIELDS = [
  ["patient_id", "Patient id", ""],
  ["issuer", "Issuer of the id", ""],
  ["name", "Name", "Family^Given"],
  ["birth_date", "Born", "YYYYMMDD"],
  ["sex", "Sex", ""],
  ["acquired_at", "Recorded at", "YYYYMMDDHHMMSS, as much as is known"],
  ["accession_number", "Accession", ""],
  ["placer_order_number", "Placer order", ""],
  ["visit_number", "Visit", ""],
  ["referring_physician", "Referring", "Family^Given"],
];
const SEXES = [["", "not known"], ["F", "female"], ["M", "male"], ["O", "other"]];

export function identifyForm(job, done) {
  const field = ([name, words, hint]) => {
    const id = `identify-${name}`;
    const value = job.order[name] ?? "";
    const input = name === "sex"
      ? h("select", { id, name }, SEXES.map(([code, text]) => h("option", { value: code, selected: code === value }, text)))
      : h("input", { id, name, maxlength: 64, autocomplete: "off", value });
    return h("div", { class: "field" }, h("label", { for: id }, words), input, hint && h("small", {}, hint));
  };
  const several = job.page_list.length > 1;
  const reading = aboutReading(job);
  const form = h("form", {},
    searchOf((order) => FIELDS.forEach(([name]) => order[name] && (form.elements[name].value = order[name]))),
    h("div", { class: "fields" }, FIELDS.map(field)),
    several && h("p", {}, h("label", { class: "check" }, h("input", { type: "checkbox", name: "all_pages" }),
      `All ${count(job.page_list.length, "page")} of this document are of this one patient.`)),
    reading.length > 0 && h("p", { class: "hint" }, "The page still waits for an approval after this: ", reading.map(({ text }) => text).join(" ")),
    h("button", { class: "main" }, reading.length ? "This is whose it is: digitize again" : "This is whose it is: digitize and send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = Object.fromEntries(FIELDS.map(([name]) => [name, form.elements[name].value.trim()]));
    tried(async () => {
      await post(`/jobs/${job.job_id}/identify`, { ...values, all_pages: several ? form.elements.all_pages.checked : false, seen: job.stands });
      done(`Identified. The page is done again with this patient${reading.length ? "; then it waits for an approval" : ""}.`);
    });
  });
  return form;
}

/** A search over orders and patients the gateway has met; use(order) takes one over. */
function searchOf(use) {
  const found = h("ul", { class: "found", "aria-label": "Orders and patients found" });
  const told = h("span", { class: "hint", role: "status" });
  const input = h("input", { id: "identify-search", type: "search", maxlength: 200, autocomplete: "off" });
  const look = () => tried(async () => {
    if (!input.value.trim()) return;
    const items = await ordersLike(input.value.trim());
    put(told, items.length ? `${count(items.length, "match", "matches")}` : "Nothing known matches.");
    put(found, items.map((order) => h("li", {},
      h("span", {}, h("strong", {}, personName(order.name) || order.patient_id), ` ${orderWords(order)}`),
      h("button", { type: "button", class: "small", onclick: () => use(order) }, "Use"))));
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    look();
  });
  return [
    h("div", { class: "fields" },
      h("div", { class: "field wide" }, h("label", { for: "identify-search" }, "Search orders and patients known here"), input),
      h("div", { class: "field" }, h("span", { "aria-hidden": "true" }, "\u00a0"), h("button", { type: "button", onclick: look }, "Search"))),
    told, found,
  ];
}

function orderWords(order) {
  return [order.patient_id, order.birth_date && `born ${dicomTime(order.birth_date)}`, order.accession_number,
    order.acquired_at && `recorded ${dicomTime(order.acquired_at)}`].filter(Boolean).join(" · ");
}

/** Patients and orders of jobs that match, each once. What belongs to one recording alone is not taken over. */
async function ordersLike(words) {
  const { items } = await get("/jobs", { q: words, limit: 50 });
  const known = new Map();
  for (const { patient_id, patient_name: name, birth_date, accession_number } of items) {
    if (patient_id) known.set(`${patient_id} ${accession_number}`, { patient_id, name, birth_date, accession_number });
  }
  return [...known.values()];
}

/**
 * Says whose ECG a held job is, with a search of worklists, feeds and earlier ECGs.
 *
 * What is in the form is what will stand, never one patient's beside another's: an order that is taken over fills every
 * field or empties it, and another id empties what the person has not typed.
 */

import { get, post } from "../api.js";
import { ask } from "../dialog.js";
import { h, put, settled, tried } from "../dom.js";
import { chip, count, dicomTime, moment, personName, SEXES } from "../words.js";
import { aboutReading } from "./steps.js";
import { onwardWords, whoseFacts } from "./sure.js";

const FIELDS = [
  ["patient_id", "Patient id", ""],
  ["issuer", "Issuer of the id", ""],
  ["name", "Name", "Family, Given, or Family^Given^Middle"],
  ["birth_date", "Born", "1960-02-01, 01.02.1960 or 19600201"],
  ["sex", "Sex", ""],
  ["acquired_at", "Recorded at", "2025-03-11 04:29 or 11.03.2025 04:29, as much as is known"],
  ["accession_number", "Accession", ""],
  ["placer_order_number", "Placer order", ""],
  ["filler_order_number", "Filler order", ""],
  ["visit_number", "Visit", ""],
  ["referring_physician", "Referring", "Family, Given, or Family^Given^Middle"],
  ["study_id", "Study ID", ""],
  ["study_uid", "Study UID", "the study that what is sent belongs to"],
];
const IDENTIFIES = ["patient_id", "issuer"];
const PATIENT = [...IDENTIFIES, "name", "birth_date", "sex"];
const OF_THE_PAGE = "acquired_at"; // whoever it is of, it was recorded then
const STUDY = ["study_id", "study_uid"];
const OF_A_REQUEST = FIELDS.filter(([name]) => !PATIENT.includes(name) && name !== OF_THE_PAGE);
const REQUEST = OF_A_REQUEST.map(([name]) => name);
const SEX_CHOICES = [["", "not known"], ["F", "female"], ["M", "male"], ["O", "other"]];
const CONTRADICTED = { name: "name", birth_date: "birth date", sex: "sex" };
const SOURCES = { // who told, what its moment is of
  worklist: ["worklist", "scheduled"],
  feed: ["feed", "due or told of"],
  earlier: ["an earlier ECG", "which came"],
};

export function identifyForm(job, done) {
  const field = ([name, words, hint]) => {
    const id = `identify-${name}`;
    const value = job.order[name] ?? "";
    const input = name === "sex"
      ? h("select", { id, name }, SEX_CHOICES.map(([code, text]) => h("option", { value: code, selected: code === value }, text)))
      : h("input", { id, name, maxlength: 64, autocomplete: "off", value });
    const needed = job.reasons.some(({ code, page }) => code === `no_${name}` && page === null);
    const undated = name === OF_THE_PAGE && !value && !needed;
    const why = needed ? "Needed: nothing else tells it." : undated && "Nothing else tells it: most documents cannot be made without.";
    const below = [why && h("strong", {}, why), why && hint && " ", hint].filter(Boolean);
    if (needed) input.setAttribute("aria-required", "true");
    if (below.length) input.setAttribute("aria-describedby", `${id}-hint`);
    return h("div", { class: "field" }, h("label", { for: id }, words), input, below.length > 0 && h("small", { id: `${id}-hint` }, below));
  };
  const several = job.page_list.length > 1;
  const reading = aboutReading(job);
  const stays = h("p", { class: "hint", role: "status" });
  const taken = h("p", { class: "taken", role: "status" });
  const known = Object.fromEntries(FIELDS.map(([name]) => [name, job.order[name] ?? ""]));
  let filled = known; // what the fields were filled with last, by the job or by an order taken over
  const emptied = new Set(); // names of fields that another id has emptied
  const value = (name) => form.elements[name].value.trim();
  const names = FIELDS.map(([name]) => name).filter((name) => name !== OF_THE_PAGE);
  /** Whether the form names another than the job does. */
  const another = () => filled !== known || isAnother();
  const isAnother = () => names.some((name) => PATIENT.includes(name) && filled[name]) &&
    (value("patient_id") !== filled.patient_id || (value("issuer") !== filled.issuer && !emptied.has("issuer")));
  const use = ({ order, sources }) => {
    filled = { ...Object.fromEntries(names.map((name) => [name, order[name] ?? ""])), [OF_THE_PAGE]: known[OF_THE_PAGE] };
    // a page that came with a request of this very patient keeps it, where nobody tells of another, and so its study
    for (const group of isSame(order) ? [REQUEST, STUDY] : []) {
      if (!group.some((name) => filled[name])) for (const name of group) filled[name] = known[name];
    }
    emptied.clear();
    for (const name of names) {
      form.elements[name].value = filled[name];
      unmark(form.elements[name]);
    }
    const request = requestWords(filled);
    put(taken, `Taken over from ${sourcesText(sources)}: ${whoWords(order)}${request.length ? `, with ${request.join(", ")}` : ", and no request"}.`);
    tellWhatStays();
  };
  /** Whether an order is of the job's own patient: the same id, and no word of either that the other lacks or denies. */
  const isSame = (order) => known.patient_id && PATIENT.every((name) => !known[name] || known[name] === order[name]);
  const typed = ({ target: { name } }) => {
    emptied.delete(name);
    put(taken);
    unmark(form.elements[name]);
    if (IDENTIFIES.includes(name)) {
      const other = isAnother();
      for (const each of names.filter((each) => each !== name && each !== "patient_id")) {
        if (other && filled[each] && value(each) === filled[each]) {
          form.elements[each].value = "";
          emptied.add(each);
        } else if (!other && emptied.delete(each)) form.elements[each].value = filled[each];
      }
    }
    tellWhatStays();
  };
  const tellWhatStays = () => {
    const kept = FIELDS.filter(([name]) => known[name] && !value(name) && (name === OF_THE_PAGE || !another()));
    put(stays, kept.length > 0 && `An empty field changes nothing. This stays: ${kept.map(([name, words]) => `${words} ${known[name]}`).join(", ")}.`);
  };
  const form = h("form", {},
    searchOf(use), taken,
    h("div", { class: "fields", oninput: typed }, FIELDS.map(field)), stays,
    several && h("p", {}, h("label", { class: "check" }, h("input", { type: "checkbox", name: "all_pages" }),
      `All ${count(job.page_list.length, "page")} of this document are of this one patient.`)),
    reading.length > 0 && h("p", { class: "hint" }, "The page still waits for an approval after this: ", [...new Set(reading.map(({ text }) => text))].join(" ")),
    h("button", { class: "main" }, reading.length ? "This is whose it is: digitize again…" : "This is whose it is: digitize and send…"));
  let asking = false; // a second press of a key asks nothing a second time
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (asking) return;
    const other = another();
    const said = FIELDS.map(([name]) => [name, value(name)]).filter(([name, text]) => text && (text !== known[name] || (other && name !== OF_THE_PAGE)));
    const afresh = other && names.some((name) => known[name] && value(name) !== known[name]);
    for (const [name] of FIELDS) unmark(form.elements[name]);
    settled("action");
    asking = true;
    tried(async () => {
      const body = { ...Object.fromEntries(said), afresh, all_pages: several ? form.elements.all_pages.checked : false, revision: job.revision };
      try {
        if (!(await isSure(job.job_id, body))) return;
        await post(`/jobs/${job.job_id}/identify`, body);
      } catch (error) {
        if (!marked(form, error)) throw error;
        return;
      } finally {
        asking = false;
      }
      done(`Identified. The page is done again with this patient${reading.length ? "; then it waits for an approval" : ""}.`);
    });
  });
  return form;
}

/** Shows whose it would be, as it would be filed, and where it would go; whether the person then agrees. */
async function isSure(job_id, body) {
  const { order, onward, candidates, unanswered } = await post(`/jobs/${job_id}/identify/preview`, body);
  const others = candidates.filter(({ contradicts }) => contradicts.length);
  const request = requestWords({ ...order, accession_number: "" });
  const answer = await ask({
    title: "File this ECG under this patient?", yes: "File under this patient", careful: true,
    words: body.all_pages ? "All pages of this document." : "",
    boxes: others.map((each) => `It is this patient although ${sourcesText(each.sources)} ${each.sources.length > 1 ? "know" : "knows"} another ${each.contradicts.map((key) => CONTRADICTED[key]).join(" and ")} under this id.`),
    about: [whoseFacts(order), request.length > 0 && h("p", {}, `With ${request.join(", ")}.`), candidateFacts(candidates), unanswered.map(silentWords), onwardWords(onward, true)],
  });
  if (answer !== null) body.even_so = others; // of these the person was told, and of no others
  return answer !== null;
}

/** Who is known here under the id that was typed. */
function candidateFacts(candidates) {
  if (!candidates.length) return false;
  return [
    h("p", {}, "Known here under this patient id:"),
    h("ul", { class: "known" }, candidates.map(({ contradicts, sources, ...patient }) => h("li", { class: contradicts.length ? "wrong" : "" },
      [personName(patient.name) || "no name", ...aboutWords({ ...patient, patient_id: "", issuer: "" })].join(", "), ` (${sourcesText(sources)})`))),
  ];
}

/** Whether an error is of one field: then it is told under that field, which gets the focus. */
function marked(form, { code, message }) {
  const [, name, why] = (code === "not_lawful" && /^(\w+): (.*)$/s.exec(message)) || [];
  if (!FIELDS.some(([each]) => each === name)) return false;
  const input = form.elements[name];
  const id = `${input.id}-wrong`;
  input.after(h("p", { id, class: "wrong" }, `${why[0].toUpperCase()}${why.slice(1)}.`));
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", [id, input.getAttribute("aria-describedby")].filter(Boolean).join(" "));
  input.focus();
  return true;
}

function unmark(input) {
  const wrong = document.getElementById(`${input.id}-wrong`);
  if (!wrong) return;
  wrong.remove();
  input.removeAttribute("aria-invalid");
  input.setAttribute("aria-describedby", input.getAttribute("aria-describedby").split(" ").filter((id) => id !== wrong.id).join(" "));
}

/** A search over orders and patients that somebody knows; use(match) takes one over. */
function searchOf(use) {
  const found = h("ul", { class: "found", "aria-label": "Orders and patients found" });
  const told = h("p", { class: "hint" });
  const silent = h("div", { class: "silent" });
  let asking = null; // the search under way: what is shown is always found by the words in the box
  const forget = () => {
    asking?.abort();
    asking = null;
    for (const each of [found, told, silent]) put(each);
  };
  const input = h("input", { id: "identify-search", type: "search", maxlength: 200, autocomplete: "off", "aria-describedby": "identify-search-hint", oninput: forget });
  const look = () => tried(async () => {
    const q = input.value.trim();
    forget();
    if (!q) return;
    const mine = (asking = new AbortController());
    put(told, "Asking…");
    try {
      const { items, unanswered } = await get("/orders", { q }, mine.signal);
      if (asking !== mine) return;
      put(told, items.length ? `${count(items.length, "match", "matches")}.` : "Nothing known matches.");
      put(silent, unanswered.map(silentWords));
      put(found, items.map((match, at) => lineOf(match, use, likenessOf(match, items.slice(0, at)))));
    } catch (error) {
      if (asking !== mine) return; // nobody waits for it any more
      put(told);
      throw error;
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    look();
  });
  return [
    h("div", { class: "fields" },
      h("div", { class: "field wide" }, h("label", { for: "identify-search" }, "Search orders and patients known here"), input,
        h("small", { id: "identify-search-hint" }, "a patient id, an accession number, or how a name begins")),
      h("div", { class: "field" }, h("span", { "aria-hidden": "true" }, "\u00a0"), h("button", { type: "button", onclick: look }, "Search"))),
    h("div", { role: "status" }, told, silent), found,
  ];
}

/** What is to be said of a match that is much like one above it: two lines may be one patient, or two of one name. */
function likenessOf({ order }, above) {
  const alike = above.find((other) => ["name", "birth_date"].every((name) => order[name] && order[name] === other.order[name]))?.order;
  if (!alike) return "";
  const sameId = alike.patient_id === order.patient_id && (!alike.issuer || !order.issuer || alike.issuer === order.issuer);
  return sameId ? "Perhaps the same patient as above, told by another." : "Same name and birth date as above, another number: make sure which of them it is.";
}

function lineOf(match, use, likeness) {
  const { order, sources, at, what } = match;
  const name = personName(order.name) || order.patient_id || "no name";
  return h("li", {},
    h("div", {},
      h("strong", {}, name), ` ${[...aboutWords(order), ...requestWords({ ...order, study_uid: "" })].join(" · ")}`,
      h("small", {}, `${sourcesText(sources)}${what ? `: ${what}` : ""}`, at && [`, ${SOURCES[sources[0].source][1]} `, moment(at)]),
      likeness && h("p", { class: "likeness" }, likeness)),
    h("button", { type: "button", class: "small", "aria-label": `Use ${name}`, onclick: () => use(match) }, "Use"));
}

/** "worklist ris and an earlier ECG". */
const sourcesText = (sources) => sources.map(({ source, name }) => [SOURCES[source][0], name].filter(Boolean).join(" ")).join(" and ");

const whoWords = (order) => [personName(order.name), order.patient_id].filter(Boolean).join(" ") || "a patient without name and id";

function silentWords({ name, code, why }) {
  const part = ["too_many", "failed"].includes(code);
  return h("p", {}, chip([part ? "Not all" : "No answer", "warn"]), ` Worklist ${name} ${part ? "did not tell all" : "did not answer"}: ${why}.`);
}

function aboutWords(order) {
  return [order.patient_id, order.issuer && `of ${order.issuer}`, order.birth_date && `born ${dicomTime(order.birth_date)}`, SEXES[order.sex]].filter(Boolean);
}

/** What belongs to a request, each with its name: "accession N-1". */
function requestWords(order) {
  return OF_A_REQUEST.filter(([name]) => order[name]).map(([name, words]) =>
    `${words[0].toLowerCase()}${words.slice(1)} ${name === "referring_physician" ? personName(order[name]) : order[name]}`);
}

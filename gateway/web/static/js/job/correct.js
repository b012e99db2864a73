/** Corrects layout, lead names, scales or orientation of a page, and has it digitized again. */

import { post } from "../api.js";
import { h, put, tried } from "../dom.js";
import { TWELVE } from "../ecg/recording.js";
import { LAYOUTS } from "../ecg/sheet.js";

const TURNS = [
  ["", "as the gateway finds it"],
  [0, "the picture is upright"],
  [1, "turned a quarter to the left"],
  [2, "upside down"],
  [3, "turned a quarter to the right"],
  [4, "mirrored, upright"],
  [5, "mirrored, then a quarter to the left"],
  [6, "mirrored, upside down"],
  [7, "mirrored, then a quarter to the right"],
];
const SPEEDS = [12.5, 25, 50, 100];
const GAINS = [2.5, 5, 10, 20, 40];

export function correctForm(job, page, layouts, picture, done) {
  const correction = page.review.correction ?? {};
  const select = (name, words, options, value) => h("div", { class: "field" },
    h("label", { for: `correct-${name}` }, words),
    h("select", { id: `correct-${name}`, name }, options.map(([code, text]) => h("option", { value: code, selected: String(code) === String(value ?? "") }, text))));
  const scales = (values, unit) => [["", "as measured"], ...values.map((value) => [value, `${value} ${unit}`])];
  const names = h("div", { class: "lead-rows" });
  const missing = h("p", { class: "wrong" });
  const turned = h("small", { role: "status" });
  const form = h("form", {},
    h("div", { class: "fields" },
      select("orientation", "The picture as received is", TURNS, correction.orientation),
      h("div", { class: "field" }, h("span", { "aria-hidden": "true" }, "\u00a0"),
        h("button", { type: "button", onclick: takeTurn }, "Take the turn of the picture"), turned),
      select("layout", "Layout", [["", `as the gateway finds it${page.layout && ` (${layoutWords(page.layout)})`}`], ...Object.keys(layouts).map((name) => [name, layoutWords(name)])], correction.layout),
      select("speed_mm_s", "Speed", scales(SPEEDS, "mm/s"), correction.speed_mm_s),
      select("gain_mm_mv", "Gain", scales(GAINS, "mm/mV"), correction.gain_mm_mv),
      select("chest_gain_mm_mv", "Gain of the chest leads", scales(GAINS, "mm/mV"), correction.chest_gain_mm_mv)),
    h("fieldset", {}, h("legend", {}, "Lead names, in reading order"), names, h("div", { role: "status" }, missing)),
    h("div", { class: "field" }, h("label", { for: "correct-comment" }, "Comment"), h("textarea", { id: "correct-comment", name: "comment", maxlength: 1000 })),
    h("button", { class: "main" }, "Digitize again with this"));

  function takeTurn() {
    // laid flat, the page stands upright whichever way it came
    put(turned, picture.flat && "This is the page laid flat. Choose “As received”, turn that until it is upright, and take its turn.");
    if (picture.flat) return;
    // turned to the right until it stands upright: so it came turned as much to the left
    form.elements.orientation.value = String(((picture.degrees ?? 0) / 90) % 4);
  }

  /** A name given twice leaves another lead without one: that is seen before it is sent. */
  function tellMissing() {
    const chosen = new Set([...names.querySelectorAll("select")].map((select) => select.value));
    const without = chosen.size ? [...new Set(layouts[form.elements.layout.value])].filter((lead) => !chosen.has(lead)) : [];
    put(missing, without.length > 0 && `No field is named ${without.join(", ")}: each lead of the layout must be named once, only long strips repeat one.`);
  }

  function showNames() {
    const layout = form.elements.layout.value || page.layout;
    const found = !form.elements.layout.value; // nobody has chosen one: the names are those that were read
    put(missing);
    const usual = layouts[layout];
    if (!usual) return put(names, h("p", { class: "hint" }, "Choose a layout to change the names of its leads."));
    const told = found ? page.leads : correction.layout === layout ? correction.leads : [];
    const before = told?.length === usual.length ? told : usual;
    const hint = h("p", { class: "hint" }, found
      ? `As the gateway read them. Changing one also says that the layout is ${layoutWords(layout)}, and all are sent as shown.`
      : "Sent as shown, whatever is printed on the page.");
    return put(names, hint, rowsOf(layout, usual.length).map(({ words, from, to }) =>
      h("div", { class: "row" }, h("span", {}, words), before.slice(from, to).map((lead, at) =>
        h("select", { name: "lead", "aria-label": `${words}, segment ${at + 1}` }, TWELVE.map((name) => h("option", { value: name, selected: name === lead }, name)))))));
  }

  form.elements.layout.addEventListener("change", showNames);
  names.addEventListener("change", () => {
    // a name is one of a layout's: who says the one says the other
    if (!form.elements.layout.value) form.elements.layout.value = page.layout;
    tellMissing();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tried(async () => {
      await post(`/jobs/${job.job_id}/correct`, { page: page.number, comment: form.elements.comment.value.trim(), revision: job.revision, ...correctionOf(form) });
      done("Corrected. The page is digitized again.");
    });
  });
  showNames();
  return form;
}

/**
 * What the form says; null and [] leave it to the digitizer.
 *
 * Names beside a layout that a person chose are sent even where they are its usual ones: that is what was said.
 */
function correctionOf(form) {
  const number = (name) => (form.elements[name].value === "" ? null : Number(form.elements[name].value));
  const layout = form.elements.layout.value || null;
  const leads = [...form.querySelectorAll('select[name="lead"]')].map((select) => select.value);
  return {
    orientation: number("orientation"), layout, leads: layout === null ? [] : leads,
    speed_mm_s: number("speed_mm_s"), gain_mm_mv: number("gain_mm_mv"), chest_gain_mm_mv: number("chest_gain_mm_mv"),
  };
}

/** A layout as the viewer calls it and by its own name: "3×4 + rhythm, 3x4+1". */
const layoutWords = (name) => [LAYOUTS[name]?.words, name].filter(Boolean).join(", ");

/** The printed rows of a layout's segments: "3x4+1" has three rows of four and one long strip. */
function rowsOf(layout, segments) {
  const [, rows, columns] = (/^(\d+)x(\d+)/.exec(layout) ?? [null, 1, segments]).map(Number);
  const found = [];
  for (let row = 0; row < rows; row += 1) found.push({ words: `Row ${row + 1}`, from: row * columns, to: (row + 1) * columns });
  for (let from = rows * columns; from < segments; from += 1) found.push({ words: "Long strip", from, to: from + 1 });
  return found;
}

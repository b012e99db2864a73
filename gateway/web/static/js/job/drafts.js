/** Forms that outlive a redraw: what somebody has typed is never emptied because the page draws itself anew. */

import { h, put } from "../dom.js";

const CHANGED = "This job has changed since you began to type here. What you typed is kept: look at the page again before you send it.";

/** The forms of one job, by name; those of a page have its number in theirs. */
export class Drafts {
  constructor() {
    this.kept = new Map();
  }

  /**
   * The form of a name, folded away under words: the very one that is there while it is drawn from the same, else a new
   * one with what was typed into the old. from: what is in the form before anybody types. make(job, done) makes it; the
   * job that it is given is kept up to date, so that what it sends is of the job on the page.
   */
  folded(name, { words, open, from, job, make, done }) {
    const now = JSON.stringify(from);
    const before = this.kept.get(name);
    const typed = before ? typedInto(before) : [];
    if (typed.length && before.job.revision !== job.revision) before.changed = true;
    const same = before?.now === now;
    const entry = same ? Object.assign(before, { job: Object.assign(before.job, job) }) : this.made(name, { words, open: before?.details.open ?? open, now, job, make, done });
    if (!same) type(entry.form, typed);
    entry.changed = Boolean(before?.changed && typed.length);
    put(entry.told, entry.changed && h("p", { class: "message warn" }, CHANGED));
    return entry.details;
  }

  made(name, { words, open, now, job, make, done }) {
    const mine = { ...job };
    const told = h("div", { role: "status" });
    const form = make(mine, (said) => {
      this.kept.delete(name); // it was sent: the next one begins with what the job says then
      return done(said);
    });
    const entry = { now, job: mine, form, told, details: h("details", { open }, h("summary", {}, words), told, form) };
    entry.begun = new Map(valuesOf(form));
    this.kept.set(name, entry);
    return entry;
  }
}

/** Every field of a form with a name for it that is its own: [name, value]. */
function valuesOf(form) {
  return fieldsOf(form).map(([name, field]) => [name, field.type === "checkbox" ? field.checked : field.value]);
}

function fieldsOf(form) {
  const times = new Map();
  return [...form.elements].filter((field) => field.matches("input, select, textarea")).map((field) => {
    const name = `${field.name || field.id} ${field.type === "checkbox" ? field.value : ""}`;
    times.set(name, (times.get(name) ?? 0) + 1);
    return [`${name} ${times.get(name)}`, field];
  });
}

const typedInto = ({ form, begun }) => valuesOf(form).filter(([name, value]) => begun.get(name) !== value);

/** Types into a form as a person would; fields that come with what another one says are filled once they are there. */
function type(form, typed) {
  for (const event of ["change", null]) {
    const fields = new Map(fieldsOf(form));
    const changed = typed.filter(([name]) => fields.has(name)).map(([name, value]) => {
      const field = fields.get(name);
      field[field.type === "checkbox" ? "checked" : "value"] = value;
      return field;
    });
    if (event) for (const field of changed) for (const each of ["input", event]) field.dispatchEvent(new Event(each, { bubbles: true }));
  }
}

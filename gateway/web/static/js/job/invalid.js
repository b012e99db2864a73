/** Marks leads of a page that must not be believed. */

import { post } from "../api.js";
import { h, tried } from "../dom.js";
import { TWELVE } from "../ecg/recording.js";

export function invalidForm(job, page, done) {
  const box = (lead) => h("label", { class: "check" },
    h("input", { type: "checkbox", name: "lead", value: lead, checked: page.review.invalid_leads.includes(lead) }), lead);
  const form = h("form", {},
    h("p", { class: "hint" }, "A marked lead is sent as not measured, and the audit says who marked it."),
    h("div", { class: "boxes", role: "group", "aria-label": "Leads to mark invalid" }, TWELVE.map(box)),
    h("div", { class: "field" }, h("label", { for: "invalid-comment" }, "Comment"), h("textarea", { id: "invalid-comment", name: "comment", maxlength: 1000 })),
    h("button", { class: "main" }, "Mark these leads"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const leads = [...form.querySelectorAll('input[name="lead"]:checked')].map((each) => each.value);
    tried(async () => {
      await post(`/jobs/${job.job_id}/invalid-leads`, { page: page.number, leads, comment: form.elements.comment.value.trim(), revision: job.revision });
      done(leads.length ? `Marked invalid: ${leads.join(" ")}.` : "No lead is marked invalid now.");
    });
  });
  return form;
}

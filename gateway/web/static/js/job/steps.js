/** In which order a held job is dealt with, and which of its reasons are left after each step. */

import { h } from "../dom.js";
import { count } from "../words.js";

/** Reasons that only the word whose ECG it is takes away. */
export const aboutPerson = (job) => job.reasons.filter(({ code, page }) => page === null && code.startsWith("no_"));

/** Reasons that an approval, or a better reading, takes away. */
export const aboutReading = (job) => job.reasons.filter(({ page }) => page !== null);

/** The order of the steps; nothing where one step is all there is. */
export function stepsOf(job, allows) {
  const who = aboutPerson(job);
  const reading = aboutReading(job);
  const read = job.page_list.filter((page) => page.read).length;
  const steps = [
    who.length && allows("identify") && step("Say whose ECG this is.", who,
      reading.length ? "The page is then done again, and waits for step 2." : "The page is then done again and goes out."),
    (reading.length || allows("approve")) && step(
      read > 1 ? `Open each of the ${count(read, "page")} and look at the traces. An approval lets all of them out.` : "Look at the traces beside the page.",
      reading, "If they are wrong, correct how the page is read, or mark the leads that must not be believed.",
      job.page_list.length > 1),
    allows("approve") && step("Approve what was read.", [],
      who.length ? "Approved without step 1, it stays held." : "It then goes to its destinations."),
  ].filter(Boolean);
  if (steps.length < 2) return null;
  return h("ol", { class: "steps", "aria-label": "What is to be done, in this order" }, steps);
}

function step(words, reasons, after, several = false) {
  return h("li", {}, h("strong", {}, words), " ", after,
    reasons.length > 0 && h("ul", {}, reasons.map(({ text, page }) => h("li", {}, several && page !== null ? `Page ${page}: ` : "", text))));
}

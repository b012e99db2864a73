/** What a reviewer can do to a job: say whose it is, have it read again with corrections, mark leads, decide. */

import { get, post } from "../api.js";
import { ask } from "../dialog.js";
import { h, put, tried } from "../dom.js";
import { correctForm } from "./correct.js";
import { identifyForm } from "./identify.js";
import { invalidForm } from "./invalid.js";
import { aboutPerson, aboutReading, stepsOf } from "./steps.js";
import { onwardWords, readingFacts, whoseFacts } from "./sure.js";

const ABOUT_PERSON = /patient|acquired|identity|date|all_pages/;

/**
 * Draws the forms that the API allows this person now, with what was typed into them. page: of the job, in view.
 * picture: its viewer. drafts: the forms so far. choose(number) shows another page; done(words) is called after an
 * action went through; wanted() says whether this still is what is to be drawn.
 */
export async function drawReview(host, job, page, { picture, drafts, choose, done, wanted }) {
  const allows = (action) => job.allowed_actions.includes(action);
  const { layouts } = allows("correct") && page ? await get("/layouts") : { layouts: null };
  if (!wanted()) return null;
  const forms = [];
  const add = (name, words, from, make, open = false) => forms.push(drafts.folded(name, { words, open, from, job, make, done }));
  const held = host.contains(document.activeElement) ? document.activeElement : null; // what is put in anew loses the focus
  if (allows("identify")) {
    add("identify", "Whose ECG is this?", [job.order, job.page_list.length, aboutReading(job), aboutPerson(job)], identifyForm, !job.order.patient_id || ABOUT_PERSON.test(job.code));
  }
  if (layouts) {
    add(`correct ${page.number}`, "Correct how the page is read, and digitize it again", [page.review.correction, page.layout, page.leads],
      (mine, sent) => correctForm(mine, page, layouts, picture, sent));
  }
  if (allows("invalid-leads") && page?.read) {
    add(`invalid ${page.number}`, "Leads that must not be believed", page.review.invalid_leads, (mine, sent) => invalidForm(mine, page, sent));
  }
  const decides = allows("approve") || allows("give-up");
  if (!forms.length && !decides) {
    put(host, job.state === "received" && job.page_list.some((each) => each.read) && doneAgain());
    if (held) host.querySelector("h2")?.focus({ preventScroll: true });
    return host;
  }
  put(host,
    h("section", { class: "card review", "aria-labelledby": "review-title" },
      h("h2", { id: "review-title" }, "Review"),
      stepsOf(job, allows),
      forms,
      decides && decide(job, allows, choose, done)));
  const again = host.contains(held) ? held : held?.id && document.getElementById(held.id); // the form may be a new one
  if (again) again.focus({ preventScroll: true });
  return host;
}

/** In place of the forms while a page that was read is read once more, so that who sent one sees what came of it. */
const doneAgain = () => h("section", { class: "card", "aria-labelledby": "review-title" },
  h("h2", { id: "review-title", tabindex: -1 }, "Review"),
  h("p", { class: "message info" }, "It is being read again. If it still waits for a person after that, its forms come back here; else it goes on."));

function decide(job, allows, choose, done) {
  let asking = false;
  const approve = async () => {
    if (asking) return;
    asking = true;
    await approved().finally(() => { asking = false; });
  };
  const approved = async () => {
    const left = aboutPerson(job).map(({ text }) => text);
    const { job_id, revision, unread, order, page_list } = job; // all that is shown and said here is of one moment
    const onward = await get(`/jobs/${job_id}/onward`);
    const comment = await ask({
      title: "Approve this reading?", about: [whoseFacts(order), readingFacts(page_list), onwardWords(onward)], yes: "Approve", comment: "Comment (may be empty)",
      boxes: unread.map((number) => `It may go without page ${number}, which could not be read.`),
      words: `${left.length ? `It stays held after this: ${left.join(" ")}` : "What was read goes on to its destinations."} What you changed, and that you approved it, is in the audit and in what is sent.`,
    });
    if (comment === null) return;
    await post(`/jobs/${job_id}/approve`, { comment, leave_out: unread, revision });
    done(left.length ? `Approved. It still waits: ${left.join(" ")}` : "Approved. The gateway goes on with it.");
  };
  const reject = async () => {
    const comment = await ask({
      title: "Reject this page?", yes: "Reject", danger: true, comment: "Why", needed: true,
      words: "Nothing is sent, and the job ends as refused.",
    });
    if (comment === null) return;
    await post(`/jobs/${job.job_id}/give-up`, { comment, revision: job.revision });
    done("Rejected.");
  };
  const waits = allows("approve") && job.unopened.length > 0;
  return h("div", { class: "decide" },
    waits && toOpen(job, choose),
    h("div", { class: "buttons" },
      allows("approve") && h("button", {
        type: "button", class: "main", disabled: waits, "aria-describedby": waits && "to-open", onclick: () => tried(approve),
      }, "Approve…"),
      allows("give-up") && h("button", { type: "button", class: "danger", onclick: () => tried(reject) }, "Reject…")));
}

/** The pages that an approval would let out and that this person has not been shown as they are read now. */
function toOpen(job, choose) {
  const read = job.page_list.filter((page) => page.read).length;
  const link = (number) => h("a", {
    href: `/jobs/${job.job_id}?page=${number}`,
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(number);
    },
  }, `page ${number}`);
  return h("p", { id: "to-open", class: "message info" },
    read > 1 ? `An approval lets ${read} pages out. ` : "An approval is of what was shown. ",
    "Before you approve, open ", job.unopened.map((number, at) => [at > 0 && ", ", link(number)]), ".");
}

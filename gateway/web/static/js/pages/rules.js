/** Rules: those in force, what they say of a page, and what a changed configuration would have done. */

import { get, post, postFile } from "../api.js";
import { dayBefore, midnight } from "../days.js";
import { h, one, put, tell, tried } from "../dom.js";
import { chip, count, moment, personName, plain } from "../words.js";

const ACTIONS = { send: ["Send", "good"], hold: ["Hold", "warn"], refuse: ["Refuse", "bad"] };
const OTHERWISE = { hold: "waits for a person", send_all: "goes to every destination" };

async function load() {
  const rules = await get("/rules");
  const first = rules.match === "first";
  const rows = rules.rules.map((rule, at) => h("tr", {},
    h("td", {}, at + 1),
    h("td", {}, h("strong", {}, rule.name)),
    h("td", {}, rule.conditions.length
      ? h("ul", { class: "trace-list" }, rule.conditions.map(({ field, test }) => h("li", {}, h("code", {}, field), ` ${test}`)))
      : "always"),
    h("td", { class: "arrow" }, chip(ACTIONS[rule.action])),
    h("td", {}, rule.action === "send" ? rule.send.join(", ") || "nowhere" : rule.why)));
  put(one("#force"),
    h("p", {}, first ? "The first rule that holds decides alone." : "Every rule that holds counts; a hold wins over a refusal, a refusal over sends.",
      ` Where none holds, the page ${OTHERWISE[rules.otherwise]}.`),
    h("p", {}, `Before any rule, a page waits for a person below a confidence of ${Number((100 * rules.confidence_min).toFixed(2))}\u00a0%`,
      rules.require.length ? ` or without ${rules.require.map(plain).join(", ")}.` : "."),
    rows.length
      ? h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, "Rules in their order"),
        h("thead", {}, h("tr", {}, ["No.", "Rule", "When", "Then", "Where or why"].map((words) => h("th", { scope: "col" }, words)))), h("tbody", {}, rows)))
      : h("p", {}, `There are no rules: every recording goes to every destination (${rules.destinations.join(", ") || "none is configured"}).`));
}

async function offerJobs() {
  const { items } = await get("/jobs", { limit: 30 });
  put(one("#jobs-known"), items.map((job) =>
    h("option", { value: job.job_id }, `${personName(job.patient_name) || job.patient_id || "unknown"}, ${job.state}, ${new Date(job.received_at).toLocaleString("en-GB")}`)));
}

one("#explain").addEventListener("submit", (event) => {
  event.preventDefault();
  const { job, page } = event.target.elements;
  explained("Asking the rules…", async () => decision(await post("/rules/explain", { job_id: job.value.trim(), page: Number(page.value) })));
});

let asked = 0;

/** Shows what comes of the last question, also where the one before is answered after it. */
function explained(words, ask) {
  const mine = ++asked;
  const show = (...children) => mine === asked && put(one("#explained"), ...children);
  tried(async () => {
    show(h("p", { class: "hint" }, words));
    try {
      show(await ask());
    } catch (error) {
      show();
      throw error;
    }
  });
}

function explainFile(files) {
  if (files.length !== 1) return files.length && tell("One file at a time: each is read for itself.", "bad");
  const [file] = files;
  explained(`Reading ${file.name}: this takes some seconds, longer while the gateway has pages of its own to read…`,
    async () => fileDecision(await postFile("/rules/explain/file", file)));
}

function fileDecision({ file_name, refused, pages }) {
  return [
    h("h3", {}, file_name),
    refused && h("div", { class: "message bad" }, h("p", {}, chip(ACTIONS.refuse), ` ${refused}`)),
    !refused && pages.flatMap(({ page, decision: made, why }) => [
      pages.length > 1 && h("h4", {}, `Page ${page}`),
      made ? decision(made) : h("p", { class: "message" }, `Nothing was read: ${why}`),
    ]),
  ];
}

const drop = one("#drop");
const chosen = one("#explain-file");
one("#choose").addEventListener("click", () => chosen.click());
chosen.addEventListener("change", () => {
  explainFile(chosen.files);
  chosen.value = "";
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    if (!event.dataTransfer.types.includes("Files") || event.target.matches?.("input[type=file]")) return;
    event.preventDefault(); // beside the place, too: a browser would show the file instead of this page
    const over = drop.contains(name === "dragleave" ? event.relatedTarget : event.target);
    drop.classList.toggle("over", over && name !== "drop");
    if (over && name === "drop") explainFile(event.dataTransfer.files);
  });
}
addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  explainFile(event.clipboardData.files);
});

/** What becomes of the page comes first: its document goes out whole or waits whole, whatever its own rules say. */
function decision(decided) {
  const { disposition, held_before: held } = decided;
  const alone = held.length > 0 || disposition.action !== decided.action || disposition.why !== decided.why;
  return [
    h("div", { class: `message ${ACTIONS[disposition.action][1]}` },
      h("p", {}, held.length ? [chip(ACTIONS.hold), " Before any rule, a person must look:"] : outcome(disposition)),
      held.length > 0 && h("ul", {}, held.map((why) => h("li", {}, why))),
      alone && h("p", {}, "By the rules for this page alone: ", outcome(decided))),
    decided.trace.length > 0 && h("ol", {}, decided.trace.map((rule) => h("li", {},
      h("strong", {}, rule.rule), " ", chip(rule.counted ? ["decides", "good"] : rule.approved ? ["would hold it, but it was approved", "info"] : rule.holds ? ["holds, but an earlier rule decided", "info"] : ["does not hold", ""]),
      rule.conditions.length
        ? h("ul", { class: "trace-list" }, rule.conditions.map((each) => h("li", { class: each.holds ? "holds" : "fails" },
          h("span", { class: "unseen" }, each.holds ? "holds: " : "fails: "), h("code", {}, each.field), ` ${each.test}; it is ${each.value}`)))
        : h("p", { class: "hint" }, "It has no condition, so it always holds.")))),
  ];
}

const outcome = ({ action, destinations, why }) => [
  chip(ACTIONS[action]), action === "send" ? ` to ${destinations.join(", ") || "nowhere"}: ` : " ", why,
];

one("#replay-file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) one("#replay-text").value = await file.text();
});

one("#replay").addEventListener("submit", (event) => {
  event.preventDefault();
  const { text, from, to } = event.target.elements;
  const asked = { config_text: text.value, received_from: midnight(from.value), received_to: midnight(to.value, 1) };
  replay(asked, { pages: 0, changed: [] });
});

/** Tries a stretch of time, as much at once as the gateway gives; before: what newer pages gave. */
function replay(asked, before) {
  tried(async () => {
    put(one("#replayed"), h("p", { class: "hint" }, "Replaying…"));
    const result = await post("/rules/replay", asked).catch((error) => {
      put(one("#replayed"), before.pages > 0 && replayed(before));
      throw error;
    });
    const all = { ...result, pages: before.pages + result.pages, changed: [...before.changed, ...result.changed] };
    put(one("#replayed"), replayed(all), result.more && h("div", { class: "buttons" },
      h("button", { type: "button", onclick: () => replay({ ...asked, received_to: result.next_to }, all) }, "Replay the pages before these")));
    if (!result.problems.length) tell(`${count(all.pages, "page")} replayed.`);
  });
}

function replayed(result) {
  if (result.problems?.length) {
    return h("div", { class: "message bad" }, h("p", {}, "This configuration cannot be used:"), h("ul", {}, result.problems.map((each) => h("li", {}, each))));
  }
  const summary = `${count(result.pages, "page")} tried, ${count(result.changed.length, "would", "would")} be treated otherwise.${result.more ? " The time holds further pages." : ""}`;
  if (!result.changed.length) return h("p", { class: "message good" }, summary);
  const short = ({ action, destinations, why }) => [chip(ACTIONS[action]), " ", action === "send" ? destinations.join(", ") || "nowhere" : why];
  return [
    h("p", { class: "message info" }, summary),
    h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, "Pages that would be treated otherwise"),
      h("thead", {}, h("tr", {}, ["Received", "Job", "Now", "Then"].map((words) => h("th", { scope: "col" }, words)))),
      h("tbody", {}, result.changed.map((row) => h("tr", {},
        h("td", {}, moment(row.received_at)), h("td", {}, h("a", { href: `/jobs/${row.job_id}?page=${row.page}` }, `${row.job_id.slice(0, 8)}, page ${row.page}`)),
        h("td", {}, short(row.now)), h("td", {}, short(row.then))))))),
  ];
}

one("#replay-from").value = dayBefore(1);
one("#replay-to").value = dayBefore();
tried(load, "page");
tried(offerJobs);

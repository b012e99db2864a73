/** The audit: searched by what the address bar says, verified, handed out. */

import { get, post } from "../api.js";
import { midnight } from "../days.js";
import { h, one, put, tried } from "../dom.js";
import { detailWords } from "../job/traffic.js";
import { count, moment, plain, STATES, whoWords } from "../words.js";

const FILTERS = ["kind", "actor", "job_id", "from", "to"];
const form = one("#filters");
const body = one("#entries tbody");
let cursor = null;

const asked = () => Object.fromEntries([...FILTERS, "before"].map((name) => [name, new URLSearchParams(location.search).get(name) ?? ""]));

function go(values) {
  const pairs = Object.entries(values).filter(([, value]) => value);
  history.pushState(null, "", pairs.length ? `/audit?${new URLSearchParams(pairs)}` : "/audit");
  return tried(load, "page");
}

async function load() {
  const values = asked();
  const { items, next_cursor } = await get("/audit", { ...values, from: midnight(values.from), to: midnight(values.to, 1), limit: 100 });
  cursor = next_cursor;
  one("#older").disabled = cursor === null;
  one("#newest").disabled = !asked().before;
  put(body, items.length ? items.map(rowOf) : h("tr", {}, h("td", { class: "nothing", colspan: 7 }, cursor === null ? "No entry matches." : "No entry matches so far back; go on to older ones.")));
}

function rowOf(entry) {
  return h("tr", {},
    h("td", { class: "number" }, entry.seq),
    h("td", {}, moment(entry.at, { seconds: true })),
    h("td", {}, plain(entry.kind)),
    h("td", {}, entry.job_id ? h("a", { class: "mono", href: `/jobs/${entry.job_id}` }, entry.job_id.slice(0, 8)) : ""),
    h("td", { title: entry.actor }, whoWords(entry.actor)),
    h("td", {}, h("small", {}, detailWords(entry.detail))),
    h("td", {}, h("code", { title: entry.hash }, entry.hash.slice(0, 10))));
}

async function verify() {
  const button = one("#verify");
  button.disabled = true;
  put(one("#verdict"), h("p", { class: "message" }, "Recomputing the chain and every object…"));
  try {
    put(one("#verdict"), verdict(await post("/audit/verify")));
  } catch (error) {
    put(one("#verdict"), h("p", { class: "message bad" }, error.message));
  } finally {
    button.disabled = false;
  }
}

function verdict(found) {
  const states = Object.entries(found.jobs).map(([state, number]) => `${number} ${STATES[state]?.[0].toLowerCase() ?? state}`).join(", ");
  return h("div", { class: `message ${found.ok ? "good" : "bad"}` },
    h("p", {}, h("strong", {}, found.ok ? "The chain holds. " : "The chain does not hold. "),
      `${count(found.rows, "entry", "entries")} and ${count(found.objects, "object")} in ${found.seconds.toFixed(1)} s. Jobs: ${states || "none"}.`),
    h("p", {}, "Head ", h("code", {}, found.head_hash)),
    found.first_bad_seq !== null && h("p", {}, `The first entry that is wrong is number ${found.first_bad_seq}.`),
    found.problems.length > 0 && h("ul", {}, found.problems.map((each) => h("li", {}, each))),
    found.unfinished.length > 0 && h("p", {}, `${count(found.unfinished.length, "job")} still on the way.`));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()])));
});
form.addEventListener("reset", () => go({}));
one("#older").addEventListener("click", () => go({ ...asked(), before: cursor }));
one("#newest").addEventListener("click", () => go({ ...asked(), before: "" }));
one("#verify").addEventListener("click", verify);
addEventListener("popstate", () => {
  for (const name of FILTERS) form.elements[name].value = asked()[name];
  tried(load, "page");
});
for (const name of FILTERS) form.elements[name].value = asked()[name];
tried(load, "page");

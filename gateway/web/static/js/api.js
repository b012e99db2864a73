/** The gateway's own API: one door for every request, and its failures in words. */

import { leave } from "./guard.js";

export const ROOT = "/api/v1";

/** What the API refused. status: of HTTP, 0 where the gateway did not answer. code: short and stable. message: for a person. */
export class ApiError extends Error {
  constructor(status, code, why) {
    super(why);
    this.status = status;
    this.code = code;
  }
}

/** The token that proves a change was asked for by our own page. */
export function csrf() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

export const role = () => document.querySelector('meta[name="role"]')?.content ?? "";

const RANK = { viewer: 1, reviewer: 2, administrator: 3 };

/** Whether the person who is signed in has at least this role. The server decides; this only spares useless buttons. */
export const may = (least) => (RANK[role()] ?? 0) >= RANK[least];

/** GET as JSON. Query values that are empty are left out. */
export function get(path, query = {}, signal = undefined) {
  return ask("GET", path + search(query), undefined, signal);
}

/** GET as text; a failure is told as of any other answer. */
export function fetchText(path, query = {}) {
  return ask("GET", path + search(query), undefined, undefined, (answer) => answer.text());
}

/** GET as a file: its bytes, and the name that the gateway gives it now; a failure is told as of any other answer. */
export function fetchFile(path, query = {}) {
  return ask("GET", path + search(query), undefined, undefined, async (answer) => ({
    bytes: await answer.blob(),
    name: /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "",
  }));
}

/** POST as JSON, answered as JSON. */
export function post(path, body = {}) {
  return ask("POST", path, body);
}

/** POST of one file, answered as JSON. */
export function postFile(path, file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return ask("POST", path, form);
}

/** "?a=1&b=2" of what is not empty, or "". */
export function search(query) {
  const pairs = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return pairs.length ? "?" + new URLSearchParams(pairs) : "";
}

async function ask(method, path, body, signal, read = jsonOf) {
  const headers = { Accept: "application/json" };
  const isForm = body instanceof FormData; // its type and boundary are the browser's to tell
  if (method !== "GET") headers["X-CSRF-Token"] = csrf();
  if (method !== "GET" && !isForm) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, signal, body: body === undefined || isForm ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "no_answer", "The gateway does not answer. Is it running?");
  }
  if (answer.status === 401) leave();
  const told = await bodyOf(answer, answer.ok ? read : jsonOf);
  if (!answer.ok) throw refusal(answer.status, told);
  return told;
}

const jsonOf = (answer) => answer.json();

/** What an answer holds; of a refusal that has no JSON, null. A good answer that breaks off is none. */
async function bodyOf(answer, read) {
  try {
    return await read(answer);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (answer.ok) throw new ApiError(0, "no_answer", "The answer of the gateway broke off.");
    return null;
  }
}

/** The error of an answer that was no success, whichever form its body has. */
export function refusal(status, told) {
  if (Array.isArray(told?.detail)) {
    const words = told.detail.map((each) => `${each.loc?.slice(1).join(".")}: ${each.msg}`).join("; ");
    return new ApiError(status, "not_valid", words || "The request was not valid.");
  }
  const inner = typeof told?.detail === "object" && told.detail !== null ? told.detail : told;
  const why = inner?.why ?? inner?.error?.why ?? (typeof told?.detail === "string" ? told.detail : null);
  return new ApiError(status, inner?.code ?? "", why ?? `The gateway answered ${status}.`);
}

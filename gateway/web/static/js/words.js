/** Codes, times and numbers in words for people. */

import { h, s } from "./dom.js";

export const STATES = {
  received: ["Received", "info", "its bytes are safe and it waits to be digitized"],
  digitized: ["Digitized", "info", "its documents are on their way"],
  delivered: ["Delivered", "good", "every destination accepted it"],
  held: ["Held", "warn", "a person must look"],
  refused: ["Refused", "bad", "it could not be read, or a rule or a person refused it"],
};

export const DELIVERY_STATES = {
  queued: ["Waiting", "info"],
  delivered: ["Delivered", "good"],
  parked: ["Parked", "bad"],
  withdrawn: ["Withdrawn", ""],
};

export const VERDICTS = { digitized: "digitized", not_an_ecg: "not an ECG", unreadable: "unreadable", held: "held" };
export const DOORS = { dicom: "DICOM", fax: "Fax", web: "Upload" };
export const KINDS = {
  dicom_waveform: "DICOM 12-lead ECG waveform",
  aecg: "HL7 annotated ECG (aECG)",
  hl7v2: "HL7 v2 ORU^R01",
  pdf: "PDF report",
  dicom_pdf: "PDF report in a DICOM object",
  csv: "CSV samples",
  wfdb: "WFDB record",
  edf: "EDF+ file",
  npz: "NumPy archive",
};

export const SEVERITIES = { info: ["Note", "info"], warning: ["Warning", "warn"], error: ["Stops delivery", "bad"] };

export const KNOWN = {
  person: "told by a person",
  grid: "measured on the grid",
  pulse: "from the calibration pulse",
  text: "printed on the page",
  dpi: "from the file's resolution",
  assumed: "assumed",
};

/** How our codes read where nothing better is known: "no_patient_id" is "no patient id". */
export const plain = (code) => String(code ?? "").replaceAll("_", " ");

/** Who did something, for a person: "11304.0" is one of the gateway's worker processes, "" the gateway itself. */
export const whoWords = (actor) => (/^\d+\.\d+$/.test(actor ?? "") ? "worker" : actor || "gateway");

/** Text whose lines end as HL7's do, with ends that every browser breaks a line at. */
export const broken = (text) => text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").trimEnd();

/** A state as a chip: words and colour. */
export function chip([words, kind] = ["", ""]) {
  return h("span", { class: `chip ${kind ?? ""}` }, words);
}

export const stateChip = (state) => chip(STATES[state] ?? [plain(state), ""]);

const DAY = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "2-digit", day: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A moment in local time, "22.11.2026 14:30"; machines read the whole of it. */
export function moment(text, { seconds = false } = {}) {
  if (!text) return h("span", { class: "hint" }, "never");
  const at = new Date(text);
  const day = DAY.format(at).split("/").reverse().join("-");
  return h("time", { datetime: text, title: text },
    h("span", { class: "whole" }, day), " ", h("span", { class: "whole" }, (seconds ? SECOND : MINUTE).format(at)));
}

/** How far this browser's clock is from UTC now: "UTC+01:00". */
export function zone() {
  const minutes = -new Date().getTimezoneOffset();
  const two = (number) => String(number).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

/** "3 min", "2 h", "5 d": how long something lasts. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A DICOM person name, Family^Given^Middle^Prefix^Suffix, as people write it: "Family, Given Middle". */
export function personName(pn) {
  const [family, given, middle, prefix, suffix] = (pn ?? "").split("=")[0].split("^");
  const first = [prefix, given, middle, suffix].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ");
}

/** A DICOM date or time of any length, "20240131143000+0100" as "2024-01-31 14:30 UTC+01:00". */
export function dicomTime(text) {
  const found = DICOM_TIME.exec(text ?? "");
  if (!found) return text ?? "";
  const [, year, month, day, hour, minute, sign, hours, minutes] = found;
  const date = [year, month, day].filter(Boolean).join("-");
  if (!hour) return date;
  return `${date} ${hour}:${minute ?? "00"}${sign ? ` UTC${sign === "-" ? "−" : "+"}${hours}:${minutes}` : ""}`;
}

/** When an ECG was recorded. A time without a zone is that of the device's clock, which may be any. */
export function recordedWords(text) {
  const [, , , , hour, , sign] = DICOM_TIME.exec(text ?? "") ?? [];
  return `${dicomTime(text)}${hour && !sign ? " by the device's clock" : ""}`;
}

const DICOM_TIME = /^(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:\d{2}(?:\.\d+)?)?(?:([+-])(\d{2})(\d{2}))?/;

export const SEXES = { M: "male", F: "female", O: "other" };

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const power = size < 1e6 ? 1 : size < 1e9 ? 2 : 3;
  return `${(size / 1000 ** power).toFixed(power - 1)} ${["kB", "MB", "GB"][power - 1]}`;
}

export const percent = (part) => (part === null || part === undefined ? "–" : `${Math.round(100 * part)}\u00a0%`);

export const count = (number, words, many = `${words}s`) => `${number.toLocaleString("en")} ${number === 1 ? words : many}`;

/** A confidence as a bar and a number. */
export function confidenceMeter(confidence) {
  if (confidence === null || confidence === undefined) return h("span", { class: "hint" }, "–");
  const floored = Math.floor(Number((100 * confidence).toFixed(6))) / 100; // 0.897 is not the 90 % it misses
  const kind = confidence >= 0.9 ? "much" : confidence >= 0.7 ? "some" : "little";
  return h("span", { class: "meter" },
    s("svg", { width: 66, height: 9, "aria-hidden": "true" },
      s("rect", { class: "ground", width: 66, height: 9, rx: 4 }),
      s("rect", { class: kind, width: 66 * confidence, height: 9, rx: 4 })),
    h("span", {}, percent(floored)));
}

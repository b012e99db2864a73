/** What every page does: says aloud when the gateway broke off, lets forms that ask first ask first, tells whose times it shows. */

import { put, tell } from "./dom.js";
import "./guard.js";
import { moment, zone } from "./words.js";

addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "ApiError" || event.reason?.status !== undefined) {
    tell(event.reason.message, "bad");
    event.preventDefault();
  }
});

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.ask)) event.preventDefault();
  });
}

// The server writes its times in UTC; who reads them here does so by one clock.
for (const time of document.querySelectorAll("time[data-utc]")) time.replaceWith(moment(time.dateTime));
const told = document.getElementById("zone");
if (told) put(told, `Times are those of this browser: ${zone()}.`);

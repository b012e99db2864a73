/** What every page does: says aloud when the gateway broke off, and lets forms that ask first ask first. */

import { tell } from "./dom.js";
import "./guard.js";

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

/** Asks before something is done that others will see, with room for a comment. */

import { h } from "./dom.js";

/**
 * Resolves to the comment ("" where none was asked for) once the person agrees, to null when not.
 * comment: words of the field, null for none. needed: an empty comment is no answer. boxes: words that must each be ticked.
 * about: what else is shown between the words and the buttons. careful: Cancel has the focus, so that no key pressed once
 * too often agrees.
 */
export function ask({ title, words, yes = "Yes", danger = false, comment = null, needed = false, boxes = [], about = [], careful = false }) {
  return new Promise((resolve) => {
    const field = comment && h("textarea", { id: "ask-comment", maxlength: 1000, required: needed });
    const dialog = h("dialog", { "aria-labelledby": "ask-title" },
      h("form", { method: "dialog" },
        h("h2", { id: "ask-title" }, title),
        words && h("p", {}, words),
        about,
        boxes.map((each) => h("p", {}, h("label", { class: "check" }, h("input", { type: "checkbox", required: true }), each))),
        field && h("div", { class: "field" }, h("label", { for: "ask-comment" }, comment), field),
        h("div", { class: "buttons" },
          h("button", { value: "yes", class: danger ? "danger" : "main" }, yes),
          h("button", { value: "no", formnovalidate: true, autofocus: careful }, "Cancel"))));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? (field?.value.trim() ?? "") : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

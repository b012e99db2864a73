/**
 * Elements from words: text is always text, never markup, so that nothing a sender wrote can become a part of the page.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes: on… are listeners, null and false are left out, true is an empty attribute. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, by the same rules. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts these children in place of what an element held. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Draws a part of the page anew and gives the focus back to what is the same thing in it now. */
export function keepingFocus(host, draw) {
  const held = host.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  draw();
  if (held) [...host.querySelectorAll("a, button, input, select, summary")].find((each) => nameOf(each) === held)?.focus();
}

const nameOf = (element) =>
  `${element.tagName} ${element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.textContent}`;

/** The first element that a selector names; an Error where the page has none, since page and script belong together. */
export function one(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A short message at the edge of the page, read out by screen readers, gone after a while.
 *
 * Errors stay until closed, or until something of what they are about goes well: an action of a person, or else a part
 * of the page that draws itself. One that is there already is not told again.
 */
export function tell(words, kind = "good", about = "action") {
  if (kind === "good") settled(about);
  if ([...document.querySelectorAll("#told .bad")].some((each) => each.dataset.words === words)) return;
  const message = h("div", { class: `message ${kind}` }, words, " ");
  Object.assign(message.dataset, { about, words });
  if (kind === "bad") message.append(h("button", { type: "button", class: "small", onclick: () => message.remove() }, "Close"));
  else setTimeout(() => message.remove(), 6000);
  one("#told").append(message);
}

/** Takes away the errors of something that went well now. */
export function settled(about) {
  for (const each of document.querySelectorAll("#told .bad")) if (each.dataset.about === about) each.remove();
}

/**
 * Does something and tells its failure, whatever the gateway refused it for. about: the part of the page that is drawn;
 * an action's errors go when an action says that it was done, since who thinks better of it has mended nothing.
 */
export async function tried(act, about = "action") {
  try {
    await act();
    if (about !== "action") settled(about);
  } catch (error) {
    tell(error.message, "bad", about);
  }
}

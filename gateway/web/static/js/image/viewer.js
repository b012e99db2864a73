/** A picture of a page to zoom, pan and turn: by wheel, drag, two fingers, buttons or keys. */

import { h, put } from "../dom.js";

const ZOOM_MIN = 0.2;
const ZOOM_MAX = 16;
const ZOOM_STEP = 1.25;
const PAN_PX = 60;
const AGAIN_AFTER_MS = [5_000, 15_000, 45_000]; // a gateway that is busy has said so; then it is for a person to ask again

/** Shows the picture at url in host. wide: the address of the same picture with more pixels, fetched once it is zoomed in. */
export class ImageViewer {
  constructor(host, { label }) {
    this.host = host;
    this.pointers = new Map();
    this.image = h("img", { alt: label, draggable: "false" });
    this.frame = h("div", { class: "picture", tabindex: 0, role: "region", "aria-label": `${label}: arrow keys move, + and − zoom, R turns, 0 fits` }, this.image);
    const button = (words, title, act) => h("button", { type: "button", class: "small", title, "aria-label": title, onclick: act }, words);
    this.told = h("output", { class: "hint" });
    this.again = button("Try again", "Fetch this picture again", () => this.fetch());
    this.again.hidden = true;
    put(host,
      h("div", { class: "picture-tools", role: "toolbar", "aria-label": `View of ${label}` },
        button("+", "Zoom in", () => this.zoomBy(ZOOM_STEP)),
        button("−", "Zoom out", () => this.zoomBy(1 / ZOOM_STEP)),
        button("Fit", "Fit the whole page", () => this.fit()),
        button("⟲", "Turn left", () => this.turn(-90)),
        button("⟳", "Turn right", () => this.turn(90)),
        this.told, this.again),
      this.frame);
    this.listen();
    this.fit();
  }

  /** Shows another picture; the view stays where it is unless fit is asked for. */
  show(url, wide = null) {
    this.wide = wide;
    this.tries = 0;
    this.fetch(url);
  }

  /** Asks for a picture, without an address for the same one again. */
  fetch(url = this.url) {
    clearTimeout(this.waiting);
    this.url = url;
    this.failed(false);
    this.image.src = url;
  }

  failed(on) {
    this.broken = on;
    this.frame.classList.toggle("failed", on);
    this.image.hidden = on;
    this.again.hidden = !on;
  }

  /** Dims a picture that something newer is being made of, and says so; false for one that stands. */
  outdated(words) {
    this.frame.classList.toggle("outdated", Boolean(words));
    this.about = words || "";
    this.apply();
  }

  listen() {
    const { frame } = this;
    this.image.addEventListener("error", () => {
      this.failed(true);
      this.apply();
      if (this.tries < AGAIN_AFTER_MS.length) this.waiting = setTimeout(() => this.fetch(), AGAIN_AFTER_MS[this.tries]);
      this.tries += 1;
    });
    this.image.addEventListener("load", () => {
      this.tries = 0;
      this.apply();
    });
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * 0.0015), event);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    frame.addEventListener("dblclick", () => this.fit());
    frame.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      ArrowLeft: () => this.pan(PAN_PX, 0),
      ArrowRight: () => this.pan(-PAN_PX, 0),
      ArrowUp: () => this.pan(0, PAN_PX),
      ArrowDown: () => this.pan(0, -PAN_PX),
      "+": () => this.zoomBy(ZOOM_STEP),
      "=": () => this.zoomBy(ZOOM_STEP),
      "-": () => this.zoomBy(1 / ZOOM_STEP),
      0: () => this.fit(),
      r: () => this.turn(90),
      R: () => this.turn(-90),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const [other] = [...this.pointers.values()].filter((each) => each.pointerId !== event.pointerId);
    if (other) {
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      if (apart(before) > 0) this.zoomBy(apart(event) / apart(before), middle);
    } else this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    this.pointers.set(event.pointerId, event);
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.apply();
  }

  turn(degrees) {
    this.degrees = ((this.degrees ?? 0) + degrees + 360) % 360;
    this.apply();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.apply();
  }

  /** Zooms about a point of the screen, else about the middle of the frame. */
  zoomBy(factor, at = null) {
    const zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, this.zoom * factor));
    const box = this.frame.getBoundingClientRect();
    const x = at ? at.clientX - box.left - box.width / 2 : 0;
    const y = at ? at.clientY - box.top - box.height / 2 : 0;
    this.x = x - ((x - this.x) * zoom) / this.zoom;
    this.y = y - ((y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.apply();
    if (this.zoom > 1.4 && this.wide) {
      this.fetch(this.wide);
      this.wide = null;
    }
  }

  apply() {
    const turned = (this.degrees ?? 0) % 180 !== 0;
    const { naturalWidth: w, naturalHeight: t } = this.image;
    const box = this.frame.getBoundingClientRect();
    // the picture is laid out to fit as it stands; turned by a quarter it may stick out, so it is made smaller
    const fits = turned && w && box.width ? Math.min(box.width / w, box.height / t) : 1;
    const shrink = turned && w && box.width ? Math.min(box.width / t, box.height / w) / fits : 1;
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) rotate(${this.degrees ?? 0}deg) scale(${this.zoom * shrink})`;
    if (this.broken) return put(this.told, "This picture could not be fetched.");
    return put(this.told, `${Math.round(this.zoom * 100)} %`, this.degrees ? `, turned ${this.degrees}°` : "", this.about ? `, ${this.about}` : "");
  }
}

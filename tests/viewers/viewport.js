// A page with one ECGViewport of cornerstone, which OHIF shows waveforms with, and what it has drawn.
import { Enums, RenderingEngine, init } from "@cornerstonejs/core";
import { registerDefaultProviders, utilities } from "@cornerstonejs/metadata";

const ONE_MILLIVOLT = 1000; // the viewport takes samples as they are stored: whole microvolts

// What is written on a canvas cannot be read back from it, so it is kept while it is written.
const texts = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
  const at = this.getTransform().transformPoint(new DOMPoint(x, y));
  const width = this.measureText(text).width * this.getTransform().a;
  texts.push({ text, x: at.x, y: at.y, width });
  return fillText.call(this, text, x, y, ...rest);
};

let viewport;
let files = 0;

async function open() {
  await init();
  registerDefaultProviders();
  const element = document.createElement("div");
  element.style.cssText = "position: fixed; inset: 0;";
  document.body.append(element);
  const engine = new RenderingEngine("engine");
  engine.enableElement({ viewportId: "ecg", type: Enums.ViewportType.ECG, element });
  viewport = engine.getViewport("ecg");
}

// Shows a DICOM file (base64). Returns, in CSS pixels: the canvas's size, the texts on it, and for every row where the
// viewport itself places the first sample and the end of the last, 0 mV and 1 mV.
window.show = async (base64) => {
  if (!viewport) await open();
  const name = `ecg:${files++}`;
  const file = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  await utilities.addDicomPart10Instance(name, file);
  texts.length = 0;
  await viewport.setEcg(name);
  const { numberOfSamples, samplingFrequency, channels } = viewport.getWaveformData();
  const rows = channels.map((channel, number) => {
    const [left, zero] = viewport.worldToCanvas([0, 0, number]);
    const [right, one] = viewport.worldToCanvas([numberOfSamples, ONE_MILLIVOLT, number]);
    return { microvolts: [...channel.data], left, right, zero, one };
  });
  const { clientWidth, clientHeight } = viewport.canvas;
  return { width: clientWidth, height: clientHeight, rate: Number(samplingFrequency), texts, rows };
};

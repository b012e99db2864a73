// The reading half of ecg-dicom-web-viewer. Its drawing half writes the twelve names in their usual order, whatever they
// are, so what counts is in which order the leads come out of this one.
import { ReadECG } from "ecg-dicom-web-viewer";

// Reads a DICOM file (base64). Returns the leads in the order they are drawn, in millivolts.
window.read = (base64) => {
  const file = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  const reader = new ReadECG(file.buffer, "", { speed: 25, amplitude: 10, applyLowPassFilter: false });
  const { leads, samplingFrequency } = reader.getWaveform();
  return {
    names: leads.map((lead) => lead.source),
    millivolts: leads.map((lead) => [...lead.signal]),
    rate: Number(samplingFrequency),
  };
};

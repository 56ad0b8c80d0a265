/** What is shown, as a file: a picture, a table, or a NumPy archive. */
import type { Picture } from "./scalogram.ts";
import { FINAL } from "./scalogram.ts";

export function save(name: string, content: BlobPart | Blob, type: string): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** One line per time and frequency; masked values are marked. */
export function csv(picture: Picture, fs: number): string {
  const width = picture.samples.length;
  const lines = ["sample,time_s,frequency_hz,value,phase_rad,level,masked"];
  const text = (value: number) => (Number.isNaN(value) ? "" : String(value));
  for (let x = 0; x < width; x++) {
    const sample = picture.samples[x]!;
    for (let row = 0; row < picture.freqs.length; row++) {
      const at = row * width + x;
      const value = picture.values[at]!;
      if (Number.isNaN(value)) continue;
      const masked = picture.state[at] === FINAL ? 0 : 1;
      lines.push(
        `${sample},${sample / fs},${picture.freqs[row]},${value},${text(picture.phase[at]!)},` +
          `${text(picture.signif[row]!)},${masked}`,
      );
    }
  }
  return lines.join("\n") + "\n";
}

/** Arrays for `numpy.load`: samples, times_s, freqs_hz, values, phase, mask, signif. */
export function npz(picture: Picture, fs: number): Blob {
  const shape = [picture.freqs.length, picture.samples.length];
  const mask = Uint8Array.from(picture.state, (state) => (state === FINAL ? 0 : 1));
  return zip({
    "samples.npy": npy("<i8", [shape[1]!], BigInt64Array.from(picture.samples, BigInt)),
    "times_s.npy": npy("<f8", [shape[1]!], picture.samples.map((sample) => sample / fs)),
    "freqs_hz.npy": npy("<f8", [shape[0]!], Float64Array.from(picture.freqs)),
    "values.npy": npy("<f8", shape, picture.values),
    "phase.npy": npy("<f8", shape, picture.phase),
    "mask.npy": npy("|b1", shape, mask),
    "signif.npy": npy("<f8", [shape[0]!], picture.signif),
  });
}

/** The format of numpy.lib.format, version 1.0. */
function npy(dtype: string, shape: number[], data: ArrayBufferView): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  let header = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${tuple}, }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length);
  return bytes;
}

/** A zip archive without compression. */
function zip(files: Record<string, Uint8Array>): Blob {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [name, data] of Object.entries(files)) {
    const encoded = new TextEncoder().encode(name);
    const common = fields([20, 2], [0, 2], [0, 2], [0, 2], [0x21, 2], [crc32(data), 4], [data.length, 4], [data.length, 4], [encoded.length, 2], [0, 2]);
    parts.push(fields([0x04034b50, 4]), common, encoded, data);
    directory.push(fields([0x02014b50, 4], [20, 2]), common, fields([0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), encoded);
    offset += 30 + encoded.length + data.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const n = Object.keys(files).length;
  const end = fields([0x06054b50, 4], [0, 2], [0, 2], [n, 2], [n, 2], [size, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...directory, end] as BlobPart[], { type: "application/zip" });
}

function fields(...values: [value: number, bytes: number][]): Uint8Array {
  return Uint8Array.from(values.flatMap(([value, n]) => Array.from({ length: n }, (_, i) => (value >>> (8 * i)) & 255)));
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The canvases in an element as they are on the screen; some of them are shown only within `clip`. */
export function screenshot(element: HTMLElement, clipped: HTMLCanvasElement[], clip: DOMRect): HTMLCanvasElement {
  const ratio = devicePixelRatio || 1;
  const box = element.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, box.width, box.height);
  context.imageSmoothingEnabled = false;
  for (const each of element.querySelectorAll("canvas")) {
    const at = each.getBoundingClientRect();
    context.save();
    if (clipped.includes(each)) {
      context.beginPath();
      context.rect(clip.left - box.left, clip.top - box.top, clip.width, clip.height);
      context.clip();
    }
    context.drawImage(each, at.left - box.left, at.top - box.top, at.width, at.height);
    context.restore();
  }
  return canvas;
}

/** How a quantity is shown: its name, its colours, its numbers. */
import type { Analysis } from "./client.ts";
import { CIVIDIS } from "./cividis.ts";
import type { Picture } from "./scalogram.ts";
import { FINAL } from "./scalogram.ts";

/** RGBA of each of the 256 colours, as the bytes of an ImageData have it. */
const OPAQUE = new Uint32Array(256);
const FADED = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  const rgb = [0, 2, 4].map((at) => parseInt(CIVIDIS.slice(6 * i + at, 6 * i + at + 2), 16));
  OPAQUE[i] = new Uint32Array(new Uint8Array([...rgb, 255]).buffer)[0]!;
  FADED[i] = new Uint32Array(new Uint8Array([...rgb, 110]).buffer)[0]!;
}

export interface Scale {
  low: number;
  high: number;
}

export class Quantity {
  readonly label: string;
  /** Whether colours are of the logarithm. */
  readonly log: boolean;
  private readonly fixed: Scale | null;

  constructor(analysis: Analysis) {
    const q = analysis.quantity;
    this.log = q === "power" || q === "amplitude" || q === "complex";
    this.fixed = q === "coherence" ? { low: 0, high: 1 } : q === "phase" ? { low: -Math.PI, high: Math.PI } : null;
    const of = analysis.op === "xwt" ? "Cross-" : "";
    const labels: Partial<Record<typeof q, string>> = { coherence: "Coherence R²", phase: "Phase, rad", complex: `${of}amplitude` };
    this.label = labels[q] ?? of + q;
    this.label = this.label[0]!.toUpperCase() + this.label.slice(1);
  }

  /** Range of the colours; for those without a fixed one, that of the picture without its tails. */
  scale(shown: () => Picture, before: Scale | null): Scale {
    if (this.fixed) return this.fixed;
    const picture = shown();
    const stride = Math.max(1, Math.floor(picture.values.length / 4000));
    const values: number[] = [];
    for (let i = 0; i < picture.values.length; i += stride) {
      const value = picture.values[i]!;
      if (picture.state[i] === FINAL && value > 0) values.push(Math.log10(value));
    }
    if (values.length < 16) return before ?? { low: 0, high: 1 };
    values.sort((a, b) => a - b);
    const high = values[Math.floor(values.length * 0.99)]!;
    const low = Math.max(values[Math.floor(values.length * 0.05)]!, high - 4);
    const width = Math.max(high - low, 0.1);
    // Small changes keep the colours, so that the picture does not flicker.
    const near = before && Math.abs(before.high - high) + Math.abs(before.low - low) < 0.25 * width;
    return near ? before : { low, high: low + width };
  }

  /** Position of a value on the colour bar, 0 to 1. */
  position(value: number, { low, high }: Scale): number {
    const x = this.log ? Math.log10(Math.max(value, 1e-300)) : value;
    return Math.min(Math.max((x - low) / (high - low), 0), 1);
  }

  pixel(value: number, state: number, scale: Scale): number {
    if (Number.isNaN(value)) return 0;
    return (state === FINAL ? OPAQUE : FADED)[Math.round(255 * this.position(value, scale))]!;
  }

  ends({ low, high }: Scale): [number, number] {
    return this.log ? [10 ** low, 10 ** high] : [low, high];
  }
}

export function colourBar(canvas: HTMLCanvasElement): void {
  canvas.width = 256;
  canvas.height = 1;
  const image = new ImageData(256, 1);
  new Uint32Array(image.data.buffer).set(OPAQUE);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** The scalogram as pixels: one for each coefficient of the octave with the finest step.
 *
 * A small canvas in main memory, scaled by the style sheet: new columns are put at its end, and it
 * is shifted by drawing it on itself. In Chromium without a GPU an update takes 0.4 ms; scaling by
 * canvas or WebGL takes ten to a thousand times as long.
 */
import type { Rows } from "./overlay.ts";
import type { Quantity, Scale } from "./quantity.ts";
import type { Block, Scalogram } from "./scalogram.ts";

/** Where time is dense, a pixel stands for several columns. */
const MAX_COLUMNS = 2048;

export class PictureCanvas {
  /** Samples per column. */
  step = 1;
  /** Column 0 is at sample `first * step`. */
  first = 0;
  private readonly context: CanvasRenderingContext2D;
  private rows = 0;
  private columns = 0;
  private stale = true;
  /** What the style has now. */
  private width = "";
  private place = "";

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d", { willReadFrequently: true })!;
  }

  /** Paint everything again at the next draw. */
  invalidate(): void {
    this.stale = true;
  }

  /** Show the samples from `start` to `stop`. */
  draw(scalogram: Scalogram, start: number, stop: number, fresh: Block[], quantity: Quantity, scale: Scale): void {
    if (scalogram.isEmpty) {
      this.clear();
      return;
    }
    const rows = scalogram.freqs.length;
    let step = scalogram.step;
    while ((stop - start) / step > MAX_COLUMNS) step *= 2;
    const columns = Math.ceil((stop - start) / step) + 1;
    const first = Math.floor(start / step);
    if (this.stale || rows !== this.rows || step !== this.step || columns !== this.columns) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      Object.assign(this, { rows, columns, step, first, stale: false });
      this.paint(scalogram, 0, columns, quantity, scale);
    } else {
      this.shift(first - this.first, scalogram, quantity, scale);
      for (const block of fresh) this.paintBlock(scalogram, block, quantity, scale);
    }
    // Columns stand for the samples around their own: half a step to each side.
    const width = `${(100 * columns * step) / (stop - start)}%`;
    if (width !== this.width) this.canvas.style.width = this.width = width;
    // In parts of its own width. Unlike its place, it does not make the browser lay the page out.
    this.canvas.style.translate = `${(100 * ((first - 0.5) * step - start)) / (columns * step)}%`;
    this.canvas.dataset.first = String(first * step);
    this.canvas.dataset.step = String(step);
  }

  /** Let these rows fill the height. */
  show({ first, count }: Rows): void {
    const height = 100 / count;
    const place = `${height * this.rows}% ${-height * first}%`;
    if (place === this.place) return;
    this.place = place;
    [this.canvas.style.height, this.canvas.style.top] = place.split(" ") as [string, string];
  }

  clear(): void {
    this.canvas.width = this.canvas.height = 1;
    this.stale = true;
  }

  private shift(by: number, scalogram: Scalogram, quantity: Quantity, scale: Scale): void {
    if (by === 0) return;
    this.first += by;
    if (Math.abs(by) >= this.columns) {
      this.paint(scalogram, 0, this.columns, quantity, scale);
      return;
    }
    this.context.globalCompositeOperation = "copy";
    this.context.drawImage(this.canvas, -by, 0);
    if (by > 0) this.paint(scalogram, this.columns - by, by, quantity, scale);
    else this.paint(scalogram, 0, -by, quantity, scale);
  }

  private paintBlock(scalogram: Scalogram, block: Block, quantity: Quantity, scale: Scale): void {
    const from = Math.floor((block.first - block.step / 2) / this.step) - this.first;
    const to = Math.ceil((block.first + block.step * (block.n - 0.5)) / this.step) - this.first + 1;
    const left = Math.max(from, 0);
    const right = Math.min(to, this.columns);
    if (left < right) this.paint(scalogram, left, right - left, quantity, scale, ...scalogram.rowsOf(block.octave));
  }

  private paint(
    scalogram: Scalogram,
    left: number,
    width: number,
    quantity: Quantity,
    scale: Scale,
    top = 0,
    height = this.rows,
  ): void {
    const samples = Float64Array.from({ length: width }, (_, i) => (this.first + left + i) * this.step);
    const picture = scalogram.resample(samples, top, height);
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = quantity.pixel(picture.values[i]!, picture.state[i]!, scale);
    }
    this.context.putImageData(image, left, top);
  }
}

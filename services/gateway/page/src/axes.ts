/** The axes of the scalogram: frequencies to its left, times below it.
 *
 * Each has a canvas as small as it is: times change at every draw, frequencies hardly ever.
 */
import { colour } from "./dom.ts";
import { clock, logTicks, number, ticks } from "./format.ts";
import { Overlay, type Frame, type Rows } from "./overlay.ts";

export class Axes {
  private readonly frequencies: Overlay;
  private readonly times: Overlay;
  /** What the frequencies were drawn for. */
  private drawnFor = "";

  constructor(frequencies: HTMLCanvasElement, times: HTMLCanvasElement) {
    this.frequencies = new Overlay(frequencies);
    this.times = new Overlay(times);
  }

  /** Colours have changed. */
  restyle(): void {
    this.drawnFor = "";
  }

  clear(): void {
    this.frequencies.fit();
    this.times.fit();
    this.drawnFor = "";
  }

  draw(frame: Frame, freqs: number[], rows: Rows, fs: number, start: number, stop: number): void {
    const { width, height } = this.frequencies.size;
    const drawnFor = [width, height, frame.height, devicePixelRatio, rows.first, rows.count, ...freqs].join();
    if (drawnFor !== this.drawnFor) this.drawFrequencies(frame, freqs, rows);
    this.drawnFor = drawnFor;
    this.drawTimes(frame, fs, start, stop);
  }

  private drawFrequencies({ left, top, height }: Frame, freqs: number[], rows: Rows): void {
    const { context } = this.frequencies;
    this.frequencies.fit();
    context.fillStyle = colour("--line");
    context.fillRect(left - 1, top, 1, height);
    context.fillStyle = colour("--muted");
    context.textBaseline = "middle";
    context.textAlign = "right";
    const shown = freqs.slice(rows.first, rows.first + rows.count);
    let last = Infinity;
    for (const [hz, place] of ticksOf(freqs, shown, rows)) {
      const y = top + place * height;
      if (Math.abs(y - last) < 15) continue;
      last = y;
      context.fillText(number(hz), left - 8, y);
      context.fillRect(left - 5, Math.round(y), 5, 1);
    }
    context.save();
    context.translate(10, top + height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText("Frequency, Hz", 0, 0);
    context.restore();
  }

  private drawTimes({ left, width }: Frame, fs: number, start: number, stop: number): void {
    const { context } = this.times;
    this.times.fit();
    context.fillStyle = colour("--line");
    context.fillRect(left - 1, 0, width + 1, 1);
    context.fillStyle = colour("--muted");
    context.textBaseline = "top";
    context.textAlign = "center";
    const times = ticks(start / fs, stop / fs, width / 90);
    const decimals = times.length > 1 && times[1]! - times[0]! < 1 ? (times[1]! - times[0]! < 0.1 ? 2 : 1) : 0;
    for (const time of times) {
      const x = left + ((time * fs - start) / (stop - start)) * width;
      context.fillRect(Math.round(x), 0, 1, 5);
      const text = clock(time, decimals);
      const half = context.measureText(text).width / 2;
      if (x - half > left - 14 && x + half < left + width + 4) context.fillText(text, x, 8);
    }
  }
}

/** Frequencies with their distance from the top in parts of the height: round ones, or of bands the mean of each. */
function ticksOf(freqs: number[], shown: number[], rows: Rows): [hz: number, place: number][] {
  const placeOf = (row: number) => (row + 0.5 - rows.first) / rows.count;
  const voice = Math.log(freqs[0]! / freqs.at(-1)!) / Math.max(freqs.length - 1, 1);
  const rowOf = (hz: number) => Math.log(freqs[0]! / hz) / voice;
  const isEven = voice > 0 && freqs.every((hz, row) => Math.abs(rowOf(hz) - row) < 0.1);
  if (!isEven) return freqs.map((hz, row) => [hz, placeOf(row)] as [number, number]).slice(rows.first, rows.first + rows.count);
  return logTicks(shown.at(-1)!, shown[0]!).reverse().map((hz) => [hz, placeOf(rowOf(hz))]);
}

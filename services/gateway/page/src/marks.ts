/** What lies on the scalogram: hatching, the contour of the level, and phase arrows.
 *
 * Drawing them costs more than all else. Their canvas moves with the picture, and only what new results
 * change is drawn again: columns have fixed places in time, so that what is drawn stays right.
 */
import { colour } from "./dom.ts";
import { Overlay, type Frame, type Rows } from "./overlay.ts";
import { ABSENT, cropped, FINAL, MASKED, type Block, type Picture, type Scalogram } from "./scalogram.ts";

const ARROW_SPACING_PX = 34;
const ARROW_PX = 11;
/** Columns of the marks are this far apart; finer contours cannot be told from this. */
export const COLUMN_PX = 3;
/** While no results come, the marks move with the picture up to so far. */
const MAX_SHIFT_PX = 16;
/** What is drawn of a value reaches so far: half an arrow, and its outline. */
const REACH_PX = ARROW_PX / 2 + 3;
const TILE_PX = 8;

/** A part of the canvas: columns and rows, the ends excluded. */
interface Region {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** What is shown, and where. */
export interface Shown {
  frame: Frame;
  rows: Rows;
  start: number;
  stop: number;
  following: boolean;
  hasArrows: boolean;
}

export class Marks {
  private readonly overlay: Overlay;
  /** What the canvas was drawn for; empty if all of it has to be drawn. */
  private drawnFor = "";
  /** Column 0 begins at sample `first * pitch`. */
  private first = 0;
  private pitch = 1;
  private columns = 0;
  private shown!: Shown;
  private readonly patterns = new Map<string, CanvasPattern>();

  constructor(readonly canvas: HTMLCanvasElement) {
    this.overlay = new Overlay(canvas);
  }

  /** Draw everything at the next draw. */
  invalidate(): void {
    this.drawnFor = "";
  }

  /** Colours have changed. */
  restyle(): void {
    this.patterns.clear();
    this.invalidate();
  }

  clear(): void {
    this.overlay.fit();
    this.invalidate();
  }

  /** Show a stretch of the scalogram, in which the blocks of `fresh` are new. Return whether anything was drawn. */
  draw(scalogram: Scalogram, shown: Shown, fresh: Block[]): boolean {
    const { frame, rows, start, stop } = shown;
    const pitch = ((stop - start) * COLUMN_PX) / frame.width;
    const columns = Math.ceil(frame.width / COLUMN_PX) + 1;
    const first = Math.floor(start / pitch);
    const drawnFor = [stop - start, rows.first, rows.count, frame.width, frame.height, devicePixelRatio].join();
    const shift = first - this.first;
    const limit = shown.following ? MAX_SHIFT_PX / COLUMN_PX : 0;
    const isMoved = drawnFor === this.drawnFor && !fresh.length && Math.abs(shift) <= limit;
    if (!isMoved) {
      Object.assign(this, { first, pitch, columns, shown });
      const all = { left: 0, right: columns, top: 0, bottom: rows.count };
      if (drawnFor === this.drawnFor && this.shift(shift)) {
        if (shift > 0) this.paint(scalogram, { ...all, left: columns - shift });
        else if (shift < 0) this.paint(scalogram, { ...all, right: -shift });
        for (const block of fresh) this.paint(scalogram, this.regionOf(scalogram, block));
      } else {
        this.canvas.style.width = `${columns * COLUMN_PX}px`;
        this.overlay.fit(columns * COLUMN_PX, frame.height);
        this.paint(scalogram, all);
      }
      this.drawnFor = drawnFor;
    }
    this.canvas.style.translate = `${(this.first - start / pitch) * COLUMN_PX}px`;
    return !isMoved;
  }

  /** Move what is drawn by columns to the left; false if that is not a number of whole pixels. */
  private shift(columns: number): boolean {
    const pixels = columns * COLUMN_PX * (devicePixelRatio || 1);
    if (Math.abs(columns) >= this.columns || !Number.isInteger(pixels)) return false;
    if (pixels === 0) return true;
    const { context } = this.overlay;
    context.save();
    context.resetTransform();
    context.globalCompositeOperation = "copy";
    context.drawImage(this.canvas, -pixels, 0);
    context.restore();
    return true;
  }

  private regionOf(scalogram: Scalogram, block: Block): Region {
    const [row, count] = scalogram.rowsOf(block.octave);
    const columnOf = (sample: number) => Math.floor(sample / this.pitch) - this.first;
    return {
      left: columnOf(block.first - block.step / 2),
      right: columnOf(block.first + block.step * (block.n - 0.5)) + 1,
      top: row - this.shown.rows.first,
      bottom: row + count - this.shown.rows.first,
    };
  }

  /** Draw a region, and around it what reaches into it or out of it. */
  private paint(scalogram: Scalogram, { left, right, top, bottom }: Region): void {
    const { rows, frame, start, stop, hasArrows } = this.shown;
    const dy = frame.height / rows.count;
    const [across, up] = [Math.ceil(REACH_PX / COLUMN_PX), Math.ceil(REACH_PX / dy)];
    const grown = (by: number): Region => ({
      left: Math.max(left - by * across, 0),
      right: Math.min(right + by * across, this.columns),
      top: Math.max(top - by * up, 0),
      bottom: Math.min(bottom + by * up, rows.count),
    });
    const drawn = grown(1);
    const read = grown(2);
    if (drawn.left >= drawn.right || drawn.top >= drawn.bottom) return;
    const samples = Float64Array.from({ length: read.right - read.left }, (_, i) => (this.first + read.left + i + 0.5) * this.pitch);
    const picture = cropped(scalogram.resample(samples), { first: rows.first + read.top, count: read.bottom - read.top });
    const inside = { left: read.left * COLUMN_PX, top: read.top * dy, width: samples.length * COLUMN_PX, height: picture.freqs.length * dy };

    const { context } = this.overlay;
    const ratio = devicePixelRatio || 1;
    const [x, y] = [Math.floor(drawn.left * COLUMN_PX * ratio) / ratio, Math.floor(drawn.top * dy * ratio) / ratio];
    const [outerRight, outerBottom] = [Math.ceil(drawn.right * COLUMN_PX * ratio) / ratio, Math.ceil(drawn.bottom * dy * ratio) / ratio];
    context.save();
    context.beginPath();
    context.rect(x, y, outerRight - x, outerBottom - y);
    context.clip();
    context.clearRect(x, y, outerRight - x, outerBottom - y);
    this.hatch(inside, picture);
    if (picture.signif.some((level) => !Number.isNaN(level))) contour(context, inside, picture);
    if (hasArrows) this.arrows(inside, picture, read.top, stop - start);
    context.restore();
  }

  /** Hatch what a gap or an edge touches; dot what is not computed yet. */
  private hatch(frame: Frame, picture: Picture): void {
    const { context } = this.overlay;
    const width = picture.samples.length;
    const [dx, dy] = [frame.width / width, frame.height / picture.freqs.length];
    for (const state of [MASKED, ABSENT]) {
      context.beginPath();
      for (let row = 0; row < picture.freqs.length; row++) {
        for (let x = 0; x < width; ) {
          if (picture.state[row * width + x] !== state) {
            x++;
            continue;
          }
          const from = x;
          while (x < width && picture.state[row * width + x] === state) x++;
          context.rect(frame.left + from * dx, frame.top + row * dy, (x - from) * dx, dy);
        }
      }
      context.fillStyle = this.pattern(state === MASKED);
      context.fill();
    }
  }

  /** Arrows to the right where the channels are in phase, upwards where the first one leads; `top` is the picture's first row. */
  private arrows(frame: Frame, picture: Picture, top: number, span: number): void {
    const { shown, first, pitch } = this;
    const { context } = this.overlay;
    const width = picture.samples.length;
    const height = picture.freqs.length;
    const across = Math.max(1, Math.round(shown.frame.width / ARROW_SPACING_PX));
    // Arrows move with the data: they are at multiples of their distance in time.
    const distance = span / across;
    const begin = (first + frame.left / COLUMN_PX) * pitch;
    const end = begin + width * pitch;
    context.beginPath();
    const down = Math.max(1, Math.round(shown.frame.height / ARROW_SPACING_PX));
    for (let j = 0; j < down; j++) {
      const row = Math.min(shown.rows.count - 1, Math.floor(((j + 0.5) / down) * shown.rows.count)) - top;
      if (row < 0 || row >= height) continue;
      const y = frame.top + ((row + 0.5) / height) * frame.height;
      for (let i = Math.ceil(begin / distance); i * distance < end; i++) {
        const position = (i * distance - begin) / pitch;
        const at = row * width + Math.min(width - 1, Math.floor(position));
        const phase = picture.phase[at]!;
        const level = picture.signif[row]!;
        const strong = picture.values[at]! > (Number.isNaN(level) ? -Infinity : level);
        if (picture.state[at] !== FINAL || Number.isNaN(phase) || !strong) continue;
        const px = frame.left + position * COLUMN_PX;
        const [cos, sin] = [(Math.cos(phase) * ARROW_PX) / 2, (-Math.sin(phase) * ARROW_PX) / 2];
        const [tx, ty] = [px + cos, y + sin];
        context.moveTo(px - cos, y - sin);
        context.lineTo(tx, ty);
        context.moveTo(tx - 0.75 * cos + 0.45 * sin, ty - 0.75 * sin - 0.45 * cos);
        context.lineTo(tx, ty);
        context.lineTo(tx - 0.75 * cos - 0.45 * sin, ty - 0.75 * sin + 0.45 * cos);
      }
    }
    for (const [style, line] of [
      ["rgb(255 255 255 / 0.75)", 3.2],
      ["#111", 1.4],
    ] as const) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.stroke();
    }
  }

  private pattern(hatched: boolean): CanvasPattern {
    const ratio = Math.max(1, Math.round(devicePixelRatio || 1));
    const key = `${hatched} ${ratio}`;
    const pattern = this.patterns.get(key) ?? makePattern(this.overlay.context, hatched, ratio);
    this.patterns.set(key, pattern);
    // It moves with the data, so that what is drawn later continues it.
    pattern.setTransform(new DOMMatrix().translate(-((this.first * COLUMN_PX) % TILE_PX), 0).scale(1 / ratio));
    return pattern;
  }
}

function makePattern(target: CanvasRenderingContext2D, hatched: boolean, ratio: number): CanvasPattern {
  const size = TILE_PX * ratio;
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const context = tile.getContext("2d")!;
  context.strokeStyle = context.fillStyle = colour(hatched ? "--hatch" : "--dots");
  context.lineWidth = 1.2 * ratio;
  if (hatched) {
    context.beginPath();
    for (const shift of [-size, 0, size]) {
      context.moveTo(shift - ratio, size + ratio);
      context.lineTo(shift + size + ratio, -ratio);
    }
    context.stroke();
  } else {
    context.fillRect(size / 2, size / 2, ratio, ratio);
  }
  return target.createPattern(tile, "repeat")!;
}

/** Outline where values exceed their level. */
function contour(context: CanvasRenderingContext2D, frame: Frame, picture: Picture): void {
  const { values, state, signif } = picture;
  const width = picture.samples.length;
  const height = picture.freqs.length;
  const [dx, dy] = [frame.width / width, frame.height / height];
  const excess = new Float64Array(width * height);
  for (let at = 0; at < excess.length; at++) excess[at] = state[at] === FINAL ? values[at]! - signif[Math.floor(at / width)]! : NaN;
  context.beginPath();
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x;
      const [a, b, c, d] = [excess[at]!, excess[at + 1]!, excess[at + width + 1]!, excess[at + width]!];
      const index = (a > 0 ? 1 : 0) | (b > 0 ? 2 : 0) | (c > 0 ? 4 : 0) | (d > 0 ? 8 : 0);
      if (index === 0 || index === 15 || Number.isNaN(a + b + c + d)) continue;
      const [left, top] = [frame.left + (x + 0.5) * dx, frame.top + (y + 0.5) * dy];
      // Where each edge of the cell is crossed: top, right, bottom, left.
      const crossed = [
        [left + (a / (a - b)) * dx, top],
        [left + dx, top + (b / (b - c)) * dy],
        [left + (d / (d - c)) * dx, top + dy],
        [left, top + (a / (a - d)) * dy],
      ] as const;
      for (const [from, to] of SEGMENTS[index]!) {
        context.moveTo(...crossed[from]!);
        context.lineTo(...crossed[to]!);
      }
    }
  }
  context.lineJoin = context.lineCap = "round";
  for (const [style, line] of [
    ["rgb(0 0 0 / 0.55)", 3],
    ["#fff", 1.3],
  ] as const) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.stroke();
  }
}

/** Edges (top, right, bottom, left) joined in each case of marching squares. */
const SEGMENTS: [number, number][][] = [
  [],
  [[3, 0]],
  [[0, 1]],
  [[3, 1]],
  [[1, 2]],
  [[3, 0], [1, 2]],
  [[0, 2]],
  [[3, 2]],
  [[2, 3]],
  [[2, 0]],
  [[0, 1], [2, 3]],
  [[2, 1]],
  [[1, 3]],
  [[1, 0]],
  [[0, 3]],
  [],
];

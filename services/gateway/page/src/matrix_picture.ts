/** The matrix of pairs as pixels of the screen: all cells in one image, and the names beside it. */
import { colour } from "./dom.ts";
import { ABOVE, ABSENT, BELOW, type Cells } from "./pair_matrix.ts";
import { Quantity } from "./quantity.ts";
import { FINAL } from "./scalogram.ts";

const COHERENCE = new Quantity({ name: "", op: "wct", quantity: "coherence", fmin_hz: 0, fmax_hz: 0, hop_s: 0 });
const SCALE = { low: 0, high: 1 };
/** Size of a name, and of the tick of a masked channel, in pixels of the style sheet. */
const LINE = 12;
const TICK = 5;
const MAX_NAMES = 72;

/** Where the cells are, in pixels of the style sheet. */
export interface MatrixPlaces {
  left: number;
  top: number;
  /** Side of a cell; a whole number of pixels of the screen. */
  cell: number;
  /** Every how many channels there is room for a name. */
  every: number;
}

export function placesOf(channels: readonly string[], { width, height }: { width: number; height: number }, font: string): MatrixPlaces {
  const context = document.createElement("canvas").getContext("2d")!;
  context.font = `11px ${font}`;
  const names = Math.min(Math.max(...channels.map((each) => context.measureText(each).width)), MAX_NAMES) + TICK + 4;
  const ratio = devicePixelRatio || 1;
  const cell = Math.max(1, Math.floor(((Math.min(width, height) - names) / channels.length) * ratio)) / ratio;
  const [left, top] = [Math.ceil(names * ratio) / ratio, Math.ceil(names * ratio) / ratio];
  return { left, top, cell, every: Math.ceil(LINE / cell) };
}

export function drawMatrix(canvas: HTMLCanvasElement, places: MatrixPlaces, channels: readonly string[], cells: Cells): void {
  const ratio = devicePixelRatio || 1;
  const k = channels.length;
  const { left, top, cell, every } = places;
  canvas.width = Math.round((left + k * cell) * ratio);
  canvas.height = Math.round((top + k * cell) * ratio);
  canvas.style.width = `${left + k * cell}px`;
  canvas.style.height = `${top + k * cell}px`;
  const context = canvas.getContext("2d")!;
  context.putImageData(image(k, Math.round(cell * ratio), ratio, cells), Math.round(left * ratio), Math.round(top * ratio));
  context.scale(ratio, ratio);
  context.font = `11px ${colour("--font")}`;
  context.textBaseline = "middle";
  const masked = new Set(cells.masked);
  channels.forEach((name, c) => {
    const isMasked = masked.has(name);
    const middle = (c + 0.5) * cell;
    context.fillStyle = colour(isMasked ? "--bad" : "--muted");
    if (isMasked) {
      context.fillRect(left - TICK - 1, top + middle - Math.max(cell, 3) / 2, TICK, Math.max(cell, 3));
      context.fillRect(left + middle - Math.max(cell, 3) / 2, top - TICK - 1, Math.max(cell, 3), TICK);
    }
    if (c % every) return;
    context.textAlign = "right";
    context.fillText(name, left - TICK - 3, top + middle, left - TICK - 3);
    context.save();
    context.translate(left + middle, top - TICK - 3);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillText(name, 0, 0, top - TICK - 3);
    context.restore();
  });
}

/** A cell above its level is full, one that is not is a smaller square, and a masked one is hatched. */
function image(k: number, side: number, ratio: number, cells: Cells): ImageData {
  const picture = new ImageData(k * side, k * side);
  const pixels = new Uint32Array(picture.data.buffer);
  const [line, ground, self] = [pixelOf("--muted"), pixelOf("--plot"), pixelOf("--line")];
  const gap = side >= 6 * ratio ? Math.round(ratio) : 0;
  const inset = Math.max(1, Math.round(0.24 * side));
  const period = Math.round(5 * ratio);
  for (let one = 0; one < k; one++) {
    for (let other = 0; other < k; other++) {
      const at = one * k + other;
      const state = one === other ? -1 : cells.state[at]!;
      const value = COHERENCE.pixel(cells.value[at]!, FINAL, SCALE);
      for (let y = one * side; y < (one + 1) * side; y++) {
        for (let x = other * side; x < (other + 1) * side; x++) {
          const [dy, dx] = [y - one * side, x - other * side];
          const edge = Math.min(dx, dy, side - 1 - dx, side - 1 - dy);
          const isLast = side - 1 - dx < gap || side - 1 - dy < gap;
          let pixel = ground;
          if (isLast) pixel = 0;
          else if (state === -1) pixel = self;
          else if (state === ABOVE) pixel = value;
          else if (state === BELOW) pixel = edge >= inset ? value : ground;
          else if (state !== ABSENT) pixel = (x + y) % period < ratio ? line : ground;
          pixels[y * k * side + x] = pixel;
        }
      }
    }
  }
  return picture;
}

const known = new Map<string, number>();

/** A colour of the style sheet as a pixel of an image. */
function pixelOf(name: string): number {
  const text = colour(name);
  let pixel = known.get(text);
  if (pixel === undefined) {
    const context = new OffscreenCanvas(1, 1).getContext("2d")!;
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    pixel = new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0]!;
    known.set(text, pixel);
  }
  return pixel;
}

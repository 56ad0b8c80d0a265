/** A canvas in the pixels of the screen, over the scalogram or beside it. */
import { colour, Size } from "./dom.ts";

export interface Frame {
  /** Of the scalogram in CSS pixels; the axes are to its left and below it. */
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Rows that are shown, from the highest frequency. */
export interface Rows {
  first: number;
  count: number;
}

export class Overlay {
  readonly context: CanvasRenderingContext2D;
  readonly size: Size;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
    this.size = new Size(canvas);
  }

  /** Make the canvas empty, and as large as its box unless a size is given, in the screen's own pixels. */
  fit(boxWidth = this.size.width, boxHeight = this.size.height): void {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(boxWidth * ratio), Math.round(boxHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, boxWidth, boxHeight);
    this.context.font = `11px ${colour("--font")}`;
  }
}

/** Thin lines over the scalogram, from top to bottom. */
export class Lines {
  private readonly overlay: Overlay;
  private isEmpty = true;

  constructor(canvas: HTMLCanvasElement) {
    this.overlay = new Overlay(canvas);
  }

  /** Draw a line at each of these distances from the left. */
  draw(frame: Frame, places: number[]): void {
    if (!places.length && this.isEmpty) return;
    this.isEmpty = !places.length;
    const { context } = this.overlay;
    this.overlay.fit();
    for (const [style, width] of [
      ["rgb(0 0 0 / 0.45)", 3],
      ["#fff", 1],
    ] as const) {
      context.fillStyle = style;
      for (const x of places) context.fillRect(Math.round(frame.left + x) - (width >> 1), frame.top, width, frame.height);
    }
  }
}

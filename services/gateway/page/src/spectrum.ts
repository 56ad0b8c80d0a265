/** The spectrum beside the scalogram: one value per frequency, with its level. */
import { colour } from "./dom.ts";
import { number } from "./format.ts";
import type { Overlay, Rows } from "./overlay.ts";
import type { Quantity, Scale } from "./quantity.ts";
import type { Scalogram } from "./scalogram.ts";

const BOTTOM = 26;

/** Draw the newest final value of each frequency, or that at `sample`. */
export function drawSpectrum(
  overlay: Overlay,
  scalogram: Scalogram,
  rows: Rows,
  quantity: Quantity,
  scale: Scale,
  sample: number | null,
): void {
  const { context, size } = overlay;
  overlay.fit();
  const [width, height] = [size.width, size.height - BOTTOM];
  const inner = width - 12;
  const yOf = (row: number) => ((row - rows.first + 0.5) / rows.count) * height;
  const xOf = (value: number) => 4 + quantity.position(value, scale) * inner;

  context.strokeStyle = colour("--line");
  context.strokeRect(4 - 0.5, -0.5, inner + 1, height + 1);
  context.fillStyle = colour("--muted");
  context.textBaseline = "top";
  const [low, high] = quantity.ends(scale);
  context.textAlign = "left";
  context.fillText(number(low, 2), 4, height + 8);
  context.textAlign = "right";
  context.fillText(number(high, 2), 4 + inner, height + 8);

  const levels = new Path2D();
  const values = new Path2D();
  let pen = false;
  let levelPen = false;
  for (let row = rows.first; row < rows.first + rows.count; row++) {
    const found = sample === null ? scalogram.newest(row) : scalogram.at(row, sample);
    const y = yOf(row);
    const level = found?.block.signif?.[found.row];
    if (level != null) {
      if (levelPen) levels.lineTo(xOf(level), y);
      else levels.moveTo(xOf(level), y);
      levelPen = true;
    }
    const masked = found?.block.mask?.[found.row * found.block.n + found.column];
    if (!found || masked) {
      pen = false;
      continue;
    }
    const x = xOf(found.block.values[found.row * found.block.n + found.column]!);
    if (pen) values.lineTo(x, y);
    else values.moveTo(x, y);
    pen = true;
  }
  context.lineWidth = 1.2;
  context.setLineDash([4, 3]);
  context.strokeStyle = colour("--muted");
  context.stroke(levels);
  context.setLineDash([]);
  context.lineWidth = 1.8;
  context.lineJoin = "round";
  context.strokeStyle = colour("--accent");
  context.stroke(values);
  context.lineWidth = 1;
}

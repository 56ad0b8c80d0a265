/** A place in the picture in words: time, frequency, value, level, phase and samples. */
import type { StreamDefinition } from "./client.ts";
import { clock, duration, number } from "./format.ts";
import type { Quantity } from "./quantity.ts";
import type { SampleStore } from "./sample_store.ts";
import type { Block, Scalogram } from "./scalogram.ts";

/** A position in the scalogram. */
export interface Point {
  sample: number;
  row: number;
}

/** What the words are about. */
export interface Shown {
  scalogram: Scalogram;
  store: SampleStore;
  channels: string[];
  quantity: Quantity;
  definition: StreamDefinition;
}

export function wordsOf(point: Point, shown: Shown): string {
  const { scalogram, store, channels, definition } = shown;
  const parts = [`${clock(point.sample / definition.fs_hz, 2)} (sample ${Math.round(point.sample)})`];
  const hz = scalogram.freqs[point.row];
  if (hz !== undefined) parts.push(`${number(hz)} Hz (${duration(1 / hz)})`);
  const found = scalogram.isEmpty ? null : scalogram.at(point.row, point.sample);
  if (found) parts.push(valueWords(found, shown));
  channels.forEach((name, i) => {
    const value = store.at(i, Math.round(point.sample));
    if (!Number.isNaN(value)) parts.push(`${name} ${number(value, 5)}${unitOf(definition, name)}`);
  });
  return parts.join(" · ");
}

export function valueWords(
  { block, row, column }: { block: Block; row: number; column: number },
  { quantity, channels }: Pick<Shown, "quantity" | "channels">,
): string {
  const at = row * block.n + column;
  const masked = block.mask?.[at] ? " (masked: a gap or an edge)" : "";
  const level = block.signif?.[row];
  const name = quantity.label.split(",")[0];
  let text = `${name} ${number(block.values[at]!, 5)}${masked}`;
  if (level != null) text += `, level ${number(level, 4)}`;
  const phase = block.phase?.[at];
  if (phase !== undefined && !Number.isNaN(phase)) {
    const lead = duration(Math.abs(phase) / (2 * Math.PI * block.freqs[row]!));
    const [a, b] = channels;
    text += `, phase ${Math.round((phase * 180) / Math.PI)}°`;
    if (b) text += ` (${phase >= 0 ? a : b} leads by ${lead})`;
  }
  return text;
}

export function withUnit(definition: StreamDefinition, channel: string): string {
  const unit = unitOf(definition, channel);
  return unit ? `${channel},${unit}` : channel;
}

function unitOf(definition: StreamDefinition, channel: string): string {
  const unit = definition.channels.find(({ name }) => name === channel)?.unit;
  return unit ? ` ${unit}` : "";
}

/** The coherence of all pairs of channels in the newest window, averaged over a band. */
import type { PairsResult } from "./client.ts";

/** State of a cell, from what is known of its pair. */
export const ABSENT = 0;
export const MASKED = 1;
export const BELOW = 2;
/** Above the significance threshold, or of an analysis without one. */
export const ABOVE = 3;

export interface Band {
  low: number;
  high: number;
}

/** The means over the valid columns of one result, which holds some of the pairs. */
interface Part {
  seq: number;
  epoch: string;
  hash: string;
  /** Samples from `first` to `end`. */
  first: number;
  end: number;
  freqs: number[];
  /** Number of scales of each row. */
  scales: number[];
  /** Places of both channels of each pair. */
  pairs: Uint16Array;
  /** (pair, row): the mean and its number of columns. */
  means: Float32Array;
  counts: Uint16Array;
  columns: number;
  /** (pair, row), NaN where there is none. */
  levels: Float32Array;
  /** (channel, row): whether any column is valid. */
  valid: Uint8Array;
}

/** The matrix for a band; `value`, `level`, `part` and `state` are (channel, channel) and symmetric. */
export interface Cells {
  /** Mean R² of the scales with valid values, NaN without any. */
  value: Float32Array;
  /** Mean of the thresholds of these scales. */
  level: Float32Array;
  /** Part of the values that are valid, 0 to 1. */
  part: Float32Array;
  state: Uint8Array;
  /** Channels without a valid value. */
  masked: string[];
  /** Samples of the windows, and the frequencies of their rows; null without a row in the band. */
  span: { first: number; end: number; low: number; high: number } | null;
}

export class PairMatrix {
  /** By octave and first pair. */
  private readonly parts = new Map<string, Part>();
  private readonly left = new Set<string>();
  private epoch = "";

  constructor(
    readonly analysis: string,
    readonly channels: readonly string[],
  ) {}

  /** Take a result; false if it is not one of these channels, or not newer than what is held. */
  add(result: PairsResult, seq: number): boolean {
    if (result.analysis !== this.analysis || result.channels.join() !== this.channels.join()) return false;
    const key = `${result.octave}/${result.first_pair}`;
    const held = this.parts.get(key);
    const isOther = result.epoch !== this.epoch;
    if (isOther && (this.left.has(result.epoch) || this.newestSeq > seq)) return false;
    if (!isOther && held && (held.hash === result.spec_hash ? held.first >= result.t.first_sample : held.seq > seq)) return false;
    const part = partOf(result, seq);
    // A recording ends with windows that are masked as a whole: the ones before them stay.
    if (!isOther && held?.hash === part.hash && isEmpty(part) && !isEmpty(held)) return false;
    if (isOther || (held && held.hash !== part.hash)) {
      if (isOther && this.epoch) this.left.add(this.epoch);
      this.parts.clear();
      this.epoch = result.epoch;
    }
    this.parts.set(key, part);
    return true;
  }

  private get newestSeq(): number {
    return Math.max(0, ...[...this.parts.values()].map(({ seq }) => seq));
  }

  /** Return the cells for a band, for all frequencies if it is null. */
  cells(band: Band | null): Cells {
    const k = this.channels.length;
    const weight = new Float32Array(k * k);
    const value = new Float32Array(k * k);
    const level = new Float32Array(k * k);
    const counted = new Float32Array(k * k);
    const possible = new Float32Array(k * k);
    const seen = new Uint8Array(k);
    const valid = new Uint8Array(k);
    let span: Cells["span"] = null;
    for (const part of this.parts.values()) {
      const rows = part.freqs.length;
      part.freqs.forEach((hz, row) => {
        if (band && (hz < band.low * 0.999 || hz > band.high * 1.001)) return;
        span = {
          first: Math.min(span?.first ?? Infinity, part.first),
          end: Math.max(span?.end ?? 0, part.end),
          low: Math.min(span?.low ?? Infinity, hz),
          high: Math.max(span?.high ?? 0, hz),
        };
        const scales = part.scales[row]!;
        for (let p = 0; 2 * p < part.pairs.length; p++) {
          const [one, other] = [part.pairs[2 * p]!, part.pairs[2 * p + 1]!];
          const [at, from] = [one * k + other, p * rows + row];
          const count = part.counts[from]!;
          seen[one] = seen[other] = 1;
          possible[at]! += scales;
          if (count === 0) continue;
          counted[at]! += (scales * count) / part.columns;
          weight[at]! += scales;
          value[at]! += scales * part.means[from]!;
          level[at]! += scales * part.levels[from]!;
        }
        for (let c = 0; c < k; c++) if (part.valid[c * rows + row]) valid[c] = 1;
      });
    }
    const state = new Uint8Array(k * k);
    for (let one = 0; one < k; one++) {
      for (let other = one + 1; other < k; other++) {
        const [at, mirrored] = [one * k + other, other * k + one];
        value[mirrored] = value[at]! /= weight[at]!;
        level[mirrored] = level[at]! /= weight[at]!;
        counted[mirrored] = counted[at]! /= possible[at]!;
        state[mirrored] = state[at] = possible[at] === 0 ? ABSENT : weight[at] === 0 ? MASKED : value[at]! <= level[at]! ? BELOW : ABOVE;
      }
    }
    const masked = this.channels.filter((_, c) => seen[c] && !valid[c]);
    return { value, level, part: counted, state, masked, span };
  }
}

function isEmpty({ counts }: Part): boolean {
  return counts.every((count) => count === 0);
}

function partOf(result: PairsResult, seq: number): Part {
  const { first_sample: first, step, n } = result.t;
  const k = result.freqs_hz.length;
  const pairs = Uint16Array.from(result.pairs.flat());
  const means = new Float32Array(result.pairs.length * k);
  const counts = new Uint16Array(means.length);
  const levels = new Float32Array(means.length).fill(NaN);
  const valid = new Uint8Array(result.channels.length * k);
  for (let c = 0; c < result.channels.length; c++) {
    for (let row = 0; row < k; row++) valid[c * k + row] = Number(!result.mask || result.mask[c]![row]!.includes(0));
  }
  result.values.forEach((rows, p) => {
    const [one, other] = result.pairs[p] as [number, number];
    rows.forEach((values, row) => {
      const [a, b] = [result.mask?.[one]![row], result.mask?.[other]![row]];
      let [sum, count] = [0, 0];
      for (let i = 0; i < n; i++) {
        const value = values[i];
        if (value == null || Number.isNaN(value) || a?.[i] || b?.[i]) continue;
        sum += value;
        count++;
      }
      means[p * k + row] = sum / count;
      counts[p * k + row] = count;
      levels[p * k + row] = result.signif?.[p]?.[row] ?? NaN;
    });
  });
  const scales = result.bands?.map(({ n_scales }) => n_scales) ?? new Array<number>(k).fill(1);
  const end = first + step * n;
  return { seq, epoch: result.epoch, hash: result.spec_hash, first, end, freqs: result.freqs_hz, scales, pairs, means, counts, columns: n, levels, valid };
}

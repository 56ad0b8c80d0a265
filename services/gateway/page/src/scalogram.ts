/** Results put together to one picture, as `pycwt_client.Scalogram` does.
 *
 * Results of one stream, analysis and channel set tile the plane: each octave has its own time step,
 * and its blocks come in any order, some of them twice.
 */
import { lowerBound } from "./arrays.ts";
import type { AnalysisResult } from "./client.ts";

/** State of a value: final, touched by a gap or an edge, or not there. */
export const FINAL = 0;
export const MASKED = 1;
export const ABSENT = 2;

/** A result with its matrices as rows in one array; of a complex quantity, modulus and phase. */
export interface Block {
  id: string;
  seq: number;
  octave: number;
  first: number;
  step: number;
  n: number;
  freqs: number[];
  values: Float64Array;
  phase: Float64Array | null;
  mask: Uint8Array | null;
  signif: (number | null)[] | null;
  result: AnalysisResult;
}

/** All octaves at the same instants; matrices are (scale, time), row by row. */
export interface Picture {
  samples: Float64Array;
  freqs: number[];
  values: Float64Array;
  phase: Float64Array;
  /** FINAL, MASKED or ABSENT. */
  state: Uint8Array;
  /** Per scale, NaN where there is none. */
  signif: Float64Array;
}

export function blockOf(result: AnalysisResult, seq: number): Block {
  const { first_sample: first, step, n } = result.t;
  const k = result.freqs_hz.length;
  const values = new Float64Array(k * n);
  let phase: Float64Array | null = null;
  const isComplex = result.values.some((row) => row.some((value) => Array.isArray(value)));
  if (isComplex || result.phase) phase = new Float64Array(k * n).fill(NaN);
  result.values.forEach((row, r) => {
    for (let i = 0; i < n; i++) {
      const value = row[i] ?? null;
      const at = r * n + i;
      if (Array.isArray(value)) {
        const [re, im] = [value[0] ?? NaN, value[1] ?? NaN];
        values[at] = Math.hypot(re, im);
        phase![at] = Math.atan2(im, re);
      } else {
        values[at] = value ?? NaN;
      }
    }
  });
  result.phase?.forEach((row, r) => row.forEach((value, i) => (phase![r * n + i] = value ?? NaN)));
  const mask = result.mask ? Uint8Array.from(result.mask.flat()) : null;
  // Only what describes the result stays: its matrices are in the arrays above.
  const rest: AnalysisResult = { ...result, values: [], phase: null, mask: null };
  const { id, octave, freqs_hz: freqs } = result;
  return { id, seq, octave, first, step, n, freqs, values, phase, mask, signif: result.signif ?? null, result: rest };
}

/** Epoch and definition of a result. */
export function runOf(result: AnalysisResult): string {
  return `${result.epoch}/${result.spec_hash}`;
}

export class Scalogram {
  /** Octave to its blocks, in the order of time. */
  private octaves = new Map<number, Block[]>();
  /** Epoch and definition of what is held. */
  run = "";
  /** Runs that were left, whose late blocks are not shown. */
  private readonly left = new Set<string>();

  constructor(
    readonly analysis: string,
    readonly channels: readonly string[],
  ) {}

  /** A sample, and when it was taken; null where the device sends no times. */
  get anchor(): { sample: number; t_ns: number } | null {
    for (const blocks of this.octaves.values()) {
      const { first, result } = blocks.at(-1) ?? {};
      if (result?.t0_ns != null) return { sample: first!, t_ns: result.t0_ns };
    }
    return null;
  }

  /** Return the block if it is new and of these signals. A new epoch or definition starts afresh. */
  add(result: AnalysisResult, seq: number): Block | null {
    if (result.analysis !== this.analysis || result.channels.join() !== this.channels.join()) return null;
    const run = runOf(result);
    if (run !== this.run) {
      const comesBack = result.epoch === this.epoch && result.t.first_sample >= this.endSample;
      if (seq < this.newestSeq || (this.left.has(run) && !comesBack)) return null;
      if (this.run) this.left.add(this.run);
      this.octaves.clear();
      this.run = run;
    }
    const blocks = this.octaves.get(result.octave) ?? [];
    const at = lowerBound(blocks.length, (i) => blocks[i]!.first >= result.t.first_sample);
    if (blocks[at]?.first === result.t.first_sample) return null;
    const block = blockOf(result, seq);
    blocks.splice(at, 0, block);
    if (blocks.length === 1) {
      this.octaves.set(result.octave, blocks);
      this.octaves = new Map([...this.octaves].sort((a, b) => b[1][0]!.freqs[0]! - a[1][0]!.freqs[0]!));
    }
    return block;
  }

  /** Remove blocks outside of the samples from `start` to `stop`, but for the nearest one of each octave on either side.
   *
   * Octaves are not stored in the order of their samples: what goes was stored before or after all that stays.
   * Returns the places in the log, [from, to), of which everything is still held.
   */
  trim(start: number, stop: number): [from: number, to: number] {
    let first = Infinity;
    let last = stop === Infinity ? Infinity : 0;
    for (const blocks of this.octaves.values()) {
      const left = lowerBound(blocks.length, (i) => blockEnd(blocks[i]!) > start) - 1;
      const right = lowerBound(blocks.length, (i) => blocks[i]!.first >= stop);
      for (const { seq } of blocks.slice(Math.max(left, 0), right + 1)) {
        first = Math.min(first, seq);
        last = Math.max(last, seq);
      }
    }
    let from = 0;
    let to = Infinity;
    for (const [octave, blocks] of this.octaves) {
      const kept = blocks.filter(({ seq }) => {
        if (seq < first) from = Math.max(from, seq + 1);
        else if (seq > last) to = Math.min(to, seq);
        else return true;
        return false;
      });
      if (kept.length < blocks.length) this.octaves.set(octave, kept);
    }
    return [from, to];
  }

  get isEmpty(): boolean {
    return this.octaves.size === 0;
  }

  get epoch(): string {
    return this.run.slice(0, this.run.lastIndexOf("/"));
  }

  get newestSeq(): number {
    return this.blocks().reduce((newest, { seq }) => Math.max(newest, seq), 0);
  }

  /** All frequencies, from the highest to the lowest. */
  get freqs(): number[] {
    return [...this.octaves.values()].flatMap((blocks) => blocks[0]!.freqs);
  }

  /** The finest step of any octave, in samples. */
  get step(): number {
    return Math.min(...[...this.octaves.values()].map((blocks) => blocks[0]!.step));
  }

  /** Position right after the last column of any octave. */
  get endSample(): number {
    return Math.max(0, ...[...this.octaves.values()].map((blocks) => blockEnd(blocks.at(-1)!)));
  }

  /** Whether the log was read back far enough to show everything from `sample` on.
   *
   * A block more of each octave has to be there, as neighbours are stored in either order. Results of low octaves
   * are stored up to `delay` samples later than those of high ones: the newest messages may hold no others.
   */
  covers(sample: number, delay: number): boolean {
    if (this.isEmpty) return false;
    const firsts = [...this.octaves.values()].map((blocks) => blocks[0]!);
    const isMissingOne = this.octaves.size <= Math.max(...this.octaves.keys());
    if (isMissingOne) return firsts.every((block) => blockEnd(block) <= sample - delay);
    return firsts.every((block) => block.first <= 0 || blockEnd(block) <= sample);
  }

  /** Whether the log was read far enough to show everything up to `sample`. */
  reaches(sample: number, delay: number): boolean {
    const ends = [...this.octaves.values()].map((blocks) => blockEnd(blocks.at(-1)!));
    return Math.min(...ends) >= sample || Math.max(...ends) >= sample + delay;
  }

  /** Row of the octave's highest frequency, and number of its rows. */
  rowsOf(octave: number): [first: number, count: number] {
    let first = 0;
    for (const [each, blocks] of this.octaves) {
      const count = blocks[0]!.freqs.length;
      if (each === octave) return [first, count];
      first += count;
    }
    return [first, 0];
  }

  /** Block and column nearest to a sample in a row of the picture, at most half a step away. */
  at(row: number, sample: number): { block: Block; row: number; column: number } | null {
    for (const blocks of this.octaves.values()) {
      const count = blocks[0]!.freqs.length;
      if (row < count) {
        const found = nearest(blocks, sample);
        return found && { ...found, row };
      }
      row -= count;
    }
    return null;
  }

  /** Newest column of a row that is final; before `sample`, if that is given. */
  newest(row: number, sample = Infinity): { block: Block; row: number; column: number } | null {
    for (const blocks of this.octaves.values()) {
      const count = blocks[0]!.freqs.length;
      if (row >= count) {
        row -= count;
        continue;
      }
      for (let b = blocks.length - 1; b >= 0; b--) {
        const block = blocks[b]!;
        for (let i = block.n - 1; i >= 0; i--) {
          if (block.first + block.step * i <= sample && !block.mask?.[row * block.n + i]) {
            return { block, row, column: i };
          }
        }
      }
      return null;
    }
    return null;
  }

  /** Return the picture at these samples, or `height` of its rows that are whole octaves.
   *
   * Each octave gives its nearest column, if that is at most half its own step away.
   */
  resample(samples: ArrayLike<number>, top = 0, height = Infinity): Picture {
    const all = this.freqs;
    const freqs = all.slice(top, Math.min(top + height, all.length));
    const size = freqs.length * samples.length;
    const picture: Picture = {
      samples: Float64Array.from(samples),
      freqs,
      values: new Float64Array(size).fill(NaN),
      phase: new Float64Array(size).fill(NaN),
      state: new Uint8Array(size).fill(ABSENT),
      signif: new Float64Array(freqs.length).fill(NaN),
    };
    let row = -top;
    for (const blocks of this.octaves.values()) {
      if (row >= 0 && row < freqs.length) fill(picture, blocks, row);
      row += blocks[0]!.freqs.length;
    }
    return picture;
  }

  private blocks(): Block[] {
    return [...this.octaves.values()].flat();
  }
}

/** Put the rows of one octave into the picture, the first one at `row`. */
function fill(picture: Picture, blocks: Block[], row: number): void {
  const width = picture.samples.length;
  const k = blocks[0]!.freqs.length;
  blocks[0]!.signif?.forEach((level, r) => (picture.signif[row + r] = level ?? NaN));
  for (let x = 0; x < width; x++) {
    const found = nearest(blocks, picture.samples[x]!);
    if (!found) continue;
    const { block, column } = found;
    for (let r = 0; r < k; r++) {
      const from = r * block.n + column;
      const to = (row + r) * width + x;
      picture.values[to] = block.values[from]!;
      if (block.phase) picture.phase[to] = block.phase[from]!;
      picture.state[to] = block.mask?.[from] ? MASKED : FINAL;
    }
  }
}

/** Some rows of a picture, alone. */
export function cropped(picture: Picture, { first, count }: { first: number; count: number }): Picture {
  const width = picture.samples.length;
  const [from, to] = [first * width, (first + count) * width];
  return {
    samples: picture.samples,
    freqs: picture.freqs.slice(first, first + count),
    values: picture.values.subarray(from, to),
    phase: picture.phase.subarray(from, to),
    state: picture.state.subarray(from, to),
    signif: picture.signif.subarray(first, first + count),
  };
}

function blockEnd(block: Block): number {
  return block.first + block.step * block.n;
}

/** The earlier one of two columns that are equally near, as numpy's version has it. */
function nearest(blocks: Block[], sample: number): { block: Block; column: number } | null {
  const after = lowerBound(blocks.length, (i) => blocks[i]!.first >= sample);
  let best: { block: Block; column: number } | null = null;
  let distance = Infinity;
  for (const block of [blocks[after - 1], blocks[after]]) {
    if (!block) continue;
    const column = Math.min(Math.max(Math.ceil((sample - block.first) / block.step - 0.5), 0), block.n - 1);
    const away = Math.abs(block.first + block.step * column - sample);
    if (away < distance) {
      best = { block, column };
      distance = away;
    }
  }
  return best && 2 * distance <= best.block.step ? best : null;
}

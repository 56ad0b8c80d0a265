/** Samples of a few channels. */
import type { Samples } from "./client.ts";

interface Chunk {
  seq: number;
  first: number;
  n: number;
  /** Per channel. */
  values: Float32Array[];
}

/** Chunks of one epoch in the order of time. */
export class SampleStore {
  epoch = "";
  private chunks: Chunk[] = [];

  constructor(readonly channels: readonly string[]) {}

  /** Keep chunks; a newer epoch starts afresh. Return how many have a place among those that are held. */
  add(...items: { chunk: Samples; seq: number }[]): number {
    const placed = items.filter(({ chunk }) => chunk.first_sample !== null);
    if (!placed.length) return 0;
    const newest = placed.reduce((a, b) => (a.seq > b.seq ? a : b));
    if (newest.chunk.epoch !== this.epoch) {
      if (this.chunks.length && newest.seq < this.chunks.at(-1)!.seq) return 0;
      this.epoch = newest.chunk.epoch;
      this.chunks = [];
    }
    const own = placed.filter(({ chunk }) => chunk.epoch === this.epoch);
    const fresh = own.flatMap(({ chunk, seq }) => this.chunkOf(chunk, seq) ?? []);
    // Live chunks come one at a time, in order.
    if (fresh.length === 1 && fresh[0]!.first >= this.endSample) this.chunks.push(fresh[0]!);
    else this.chunks = [...this.chunks, ...fresh].sort((a, b) => a.first - b.first).filter(({ first }, i, all) => first !== all[i - 1]?.first);
    return own.length;
  }

  private chunkOf(samples: Samples, seq: number): Chunk | null {
    const columns = this.channels.map((name) => samples.channels.indexOf(name));
    const n = samples.samples.length;
    if (n === 0 || columns.includes(-1)) return null;
    const values = columns.map((column) => Float32Array.from(samples.samples, (row) => row[column] ?? NaN));
    return { seq, first: samples.first_sample!, n, values };
  }

  /** Remove chunks outside of the samples from `start` to `stop`, but for the nearest one on either side.
   *
   * Returns the places in the log, [from, to), of which everything is still held.
   */
  trim(start: number, stop: number): [from: number, to: number] {
    const { chunks } = this;
    if (!chunks.length) return [0, Infinity];
    const left = chunks.findLastIndex((chunk) => chunk.first + chunk.n <= start);
    const right = chunks.findIndex((chunk) => chunk.first >= stop);
    const kept = chunks.slice(Math.max(left, 0), right < 0 ? undefined : right + 1);
    if (kept.length === chunks.length) return [0, Infinity];
    this.chunks = kept;
    let [oldest, newest] = [Infinity, 0];
    for (const { seq } of kept) {
      oldest = Math.min(oldest, seq);
      newest = Math.max(newest, seq);
    }
    return [left > 0 ? oldest : 0, right >= 0 && right < chunks.length - 1 ? newest + 1 : Infinity];
  }

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  get startSample(): number {
    return this.chunks[0]?.first ?? Infinity;
  }

  get endSample(): number {
    const last = this.chunks.at(-1);
    return last ? last.first + last.n : 0;
  }

  /** Value of a channel at a sample; NaN where there is none. */
  at(channel: number, sample: number): number {
    const chunk = this.chunks.findLast((each) => each.first <= sample);
    return chunk?.values[channel]?.[sample - chunk.first] ?? NaN;
  }

  /** Times and values for a curve about `width` points wide; more samples give least and greatest.
   *
   * null ends the curve: there the samples are missing.
   */
  curve(channel: number, start: number, stop: number, fs: number, width: number): [number[], (number | null)[]] {
    const bucket = Math.max(1, Math.floor((stop - start) / width));
    const times: number[] = [];
    const values: (number | null)[] = [];
    let expected: number | null = null;
    for (const chunk of this.chunks) {
      const end = chunk.first + chunk.n;
      if (end <= start || chunk.first >= stop) continue;
      if (expected !== null && chunk.first > expected) {
        times.push(expected / fs);
        values.push(null);
      }
      const data = chunk.values[channel]!;
      // A sample that came before counts as it was then.
      let i = Math.max(0, (expected ?? chunk.first) - chunk.first, Math.floor(start) - chunk.first);
      while (i < chunk.n) {
        const upTo = Math.min(chunk.n, (Math.floor((chunk.first + i) / bucket) + 1) * bucket - chunk.first);
        let low = i;
        let high = i;
        for (let k = i + 1; k < upTo; k++) {
          if (data[k]! < data[low]! || Number.isNaN(data[low]!)) low = k;
          if (data[k]! > data[high]! || Number.isNaN(data[high]!)) high = k;
        }
        for (const k of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
          times.push((chunk.first + k) / fs);
          values.push(Number.isNaN(data[k]!) ? null : data[k]!);
        }
        i = upTo;
      }
      expected = Math.max(expected ?? 0, end);
    }
    return [times, values];
  }
}

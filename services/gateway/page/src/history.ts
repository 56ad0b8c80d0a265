/** What the page holds of a stream: its results and samples about the stretch that is shown. */
import { ApiError, type AnalysisResult, type Client, type LiveResult, type PairsResult, type Samples } from "./client.ts";
import { LogWindow } from "./log_window.ts";
import { pairOf } from "./pair_results.ts";
import { SampleStore } from "./sample_store.ts";
import { runOf, Scalogram, type Block } from "./scalogram.ts";

/** Times before the last chunk at which to look for samples. */
const RECENT_MS = [0, 50, 250, 2000, 60_000, 3_600_000];

const FORBIDDEN = 403;

/** Samples from `start` to `end`; results of low octaves are stored up to `delay` later than those of high ones. */
export interface Stretch {
  start: number;
  end: number;
  delay: number;
}

export class History {
  scalogram: Scalogram;
  readonly store: SampleStore;
  private readonly results: LogWindow<{ result: LiveResult }>;
  private readonly samples: LogWindow<{ chunk: Samples }>;
  /** The user may not read samples. */
  private isWithoutSamples = false;

  constructor(
    private readonly client: Pick<Client, "results" | "samples">,
    private readonly name: string,
    private readonly analysis: string | undefined,
    private readonly channels: readonly string[],
    /** Results are large. */
    packed = false,
    /** Takes each result of all pairs that was read. */
    private readonly onPairs: (result: PairsResult, seq: number) => void = () => undefined,
  ) {
    this.scalogram = new Scalogram(analysis ?? "", channels);
    this.store = new SampleStore(channels);
    this.results = new LogWindow((from, to, limit) => client.results(name, { analysis, from, to, limit, packed }));
    const chosen = channels.join(",");
    this.samples = new LogWindow((from, to, limit) => client.samples(name, { channels: chosen, from, to, limit }));
  }

  /** Whether the newest messages are held, and live ones continue them. */
  get isLive(): boolean {
    return this.results.joined && (this.samples.joined || this.isWithoutSamples);
  }

  /** Place in the log of a chunk near its end; the last ones may have no samples. */
  async recentSamples(lastChunkNs: number): Promise<number | undefined> {
    const channels = this.channels.join(",");
    for (const before of RECENT_MS) {
      const from = new Date(Math.floor(lastChunkNs / 1e6) - before).toISOString();
      const page = await this.client.samples(this.name, { channels, from, limit: 1 }).catch((error) => {
        return error instanceof ApiError && error.status === FORBIDDEN ? undefined : null;
      });
      if (page === undefined) break;
      if (page?.items[0]) return page.items[0].seq;
    }
    return undefined;
  }

  /** Note that live messages come from these places on; `resumed`: without a break. */
  follow(next: number, samplesNext: number | null, resumed: boolean): void {
    this.results.follow(next, resumed);
    this.isWithoutSamples = samplesNext === null;
    if (samplesNext !== null) this.samples.follow(samplesNext, resumed);
  }

  /** Keep a live result; null if it is not one of the picture. */
  addResult(result: LiveResult, seq: number): Block | null {
    const own = this.ownOf(result, seq);
    return this.results.accepts(seq) && own ? this.scalogram.add(own, seq) : null;
  }

  /** The result of these channels; null if a result of all pairs does not have theirs. */
  private ownOf(result: LiveResult, seq: number): AnalysisResult | null {
    if (!("pairs" in result)) return result;
    this.onPairs(result, seq);
    return pairOf(result, this.channels[0] ?? "", this.channels[1] ?? "");
  }

  /** Keep a live chunk; false if it is not one of the picture. */
  addSamples(samples: Samples, seq: number): boolean {
    if (!this.samples.accepts(seq)) return false;
    this.store.add({ chunk: samples, seq });
    this.matchEpoch();
    return true;
  }

  /** Whether the log has more of a stretch than is held. */
  lacks(stretch: Stretch): boolean {
    return (
      this.hasResultsBefore(stretch) || this.hasResultsAfter(stretch) || this.hasSamplesBefore(stretch) || this.hasSamplesAfter(stretch)
    );
  }

  /** Read a page of what is missing on each side. */
  async read(stretch: Stretch): Promise<void> {
    await Promise.all([this.readResults(stretch), this.readSamples(stretch)]);
  }

  /** Let go what is far from a stretch; while the picture follows, nothing is too new. */
  trim({ start, end, delay }: Stretch, following: boolean): void {
    const margin = end - start + delay;
    const [from, to] = [start - margin, following ? Infinity : end + margin];
    if (!this.scalogram.isEmpty) this.results.keep(...this.scalogram.trim(from, to));
    this.samples.keep(...this.store.trim(from, to));
  }

  /** After a device began anew, results of the run before do not belong to its samples. */
  private matchEpoch(): void {
    const { scalogram, store } = this;
    if (scalogram.isEmpty || !store.epoch || scalogram.epoch === store.epoch) return;
    this.scalogram = new Scalogram(this.analysis ?? "", this.channels);
    this.results.restart();
  }

  private hasResultsBefore({ start, delay }: Stretch): boolean {
    return this.results.isStarted && !this.results.ended && !this.scalogram.covers(start, delay);
  }

  private hasResultsAfter({ end, delay }: Stretch): boolean {
    return this.results.isStarted && !this.results.joined && !this.scalogram.reaches(end, delay);
  }

  private hasSamplesBefore({ start }: Stretch): boolean {
    return this.samples.isStarted && !this.samples.ended && this.store.startSample > start;
  }

  private hasSamplesAfter({ end }: Stretch): boolean {
    return this.samples.isStarted && !this.samples.joined && this.store.endSample < end;
  }

  private async readResults(stretch: Stretch): Promise<void> {
    const { results, scalogram } = this;
    const isBack = this.hasResultsBefore(stretch);
    if (!isBack && !this.hasResultsAfter(stretch)) return;
    const items = await (isBack ? results.back() : results.forward());
    if (scalogram !== this.scalogram || !items.length) return;
    // From the newest to the oldest, so that an older run does not replace the newer one.
    if (isBack) items.reverse();
    const epoch = this.store.epoch || scalogram.epoch || items[0]!.result.epoch;
    const own = items
      .filter(({ result }) => result.epoch === epoch)
      .map(({ result, seq }) => ({ result: this.ownOf(result, seq), seq }));
    const newest = own.find(({ result }) => result)?.result;
    const run = scalogram.run || (newest && runOf(newest));
    for (const { result, seq } of own) if (result) scalogram.add(result, seq);
    // A result of other pairs may be of any run.
    if (isBack && !own.some(({ result }) => !result || runOf(result) === run)) results.ended = true;
  }

  private async readSamples(stretch: Stretch): Promise<void> {
    const { samples, store } = this;
    const isBack = this.hasSamplesBefore(stretch);
    if (!isBack && !this.hasSamplesAfter(stretch)) return;
    const items = await (isBack ? samples.back() : samples.forward());
    const kept = store.add(...items);
    if (isBack && items.length && !kept) samples.ended = true;
    this.matchEpoch();
  }
}

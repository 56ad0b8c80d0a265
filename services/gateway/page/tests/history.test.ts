// The log as the page reads it: results of a stream in the order in which workers stored them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnalysisResult, Page, Samples } from "../src/client.ts";
import { History, type Stretch } from "../src/history.ts";
import { SampleStore } from "../src/sample_store.ts";

const OCTAVES = 4;
const STEP = 4;
const COLUMNS = 8;
const CHUNK = 50;
const DELAY = 4000;

interface Stored {
  seq: number;
  result?: AnalysisResult;
  chunk?: Samples;
}

function random(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

function result(octave: number, first: number, epoch: string, hash: string): AnalysisResult {
  return {
    id: `s/${epoch}/a/${hash}/${octave}/${first}`,
    analysis: "a",
    channels: ["x"],
    epoch,
    spec_hash: hash,
    octave,
    freqs_hz: [8 / 2 ** octave],
    t: { first_sample: first, step: STEP << octave, n: COLUMNS },
    values: [new Array(COLUMNS).fill(first)],
  } as unknown as AnalysisResult;
}

function chunk(first: number, epoch: string): Samples {
  return { epoch, first_sample: first, channels: ["x"], samples: new Array(CHUNK).fill([first]) } as unknown as Samples;
}

/** Return the results and chunks of a run: low octaves late, neighbours in either order. */
function run(n: number, epoch: string, hash: string, rand: () => number, isMissing = (_: AnalysisResult) => false) {
  const results: [time: number, AnalysisResult][] = [];
  for (let octave = 0; octave < OCTAVES; octave++) {
    const length = (STEP << octave) * COLUMNS;
    for (let first = 0; first < n; first += length) {
      const each = result(octave, first, epoch, hash);
      if (!isMissing(each)) results.push([first + length * (1 + 1.5 * rand()) + 1000 * octave, each]);
    }
  }
  results.sort(([a], [b]) => a - b);
  const chunks = Array.from({ length: Math.ceil(n / CHUNK) }, (_, i) => chunk(i * CHUNK, epoch));
  return { results: results.map(([, each]) => each), chunks };
}

class Log {
  readonly results: Stored[] = [];
  readonly samples: Stored[] = [];
  requests = 0;
  private seq = 1;

  constructor(
    private readonly rand: () => number,
    private readonly others = 200,
  ) {}

  store(kind: "result" | "chunk", item: AnalysisResult | Samples): number {
    if (this.rand() < 0.5) this.seq += Math.floor(this.others * this.rand() ** 4); // of other streams
    const list = kind === "result" ? this.results : this.samples;
    list.push({ seq: this.seq, [kind]: item });
    return this.seq++;
  }

  get next(): number {
    return this.seq;
  }

  /** What a history reads from. */
  get client() {
    const page = async (list: Stored[], { from, to, limit }: { from?: number | string; to?: number | string; limit?: number }) => {
      if (++this.requests > 5000) throw new Error("reads without end");
      await Promise.resolve();
      const inside = list.filter(({ seq }) => seq >= Number(from ?? 1) && seq < Number(to ?? Infinity));
      return { items: inside.slice(0, limit), next: inside[limit!]?.seq ?? null } as Page<never>;
    };
    return { results: (_: string, options = {}) => page(this.results, options), samples: (_: string, options = {}) => page(this.samples, options) };
  }
}

/** Read and let go as the page does, several times. */
async function settle(history: History, stretch: Stretch, following = false): Promise<void> {
  for (let i = 0; i < 4; i++) {
    history.trim(stretch, following);
    while (history.lacks(stretch)) await history.read(stretch);
  }
}

function isShown(history: History, log: Log, { start, end }: Stretch, epoch: string, hash: string): void {
  const spans = (item: { t: AnalysisResult["t"] }) => item.t.first_sample < end && item.t.first_sample + item.t.step * item.t.n > start;
  for (const { result: each } of log.results) {
    if (!each || each.epoch !== epoch || each.spec_hash !== hash || !spans(each)) continue;
    const [row] = history.scalogram.rowsOf(each.octave);
    for (let i = 0; i < each.t.n; i++) {
      const sample = each.t.first_sample + each.t.step * i;
      if (sample < start || sample >= end) continue;
      const found = history.scalogram.at(row, sample);
      assert.ok(found && found.block.id === each.id, `${each.id} is not shown`);
    }
  }
  for (const { chunk: each } of log.samples) {
    const first = each!.first_sample!;
    if (each!.epoch === epoch && first < end && first + CHUNK > start) assert.equal(history.store.at(0, first), first);
  }
}

const SIZE = 20_000;
const at = (end: number, span: number): Stretch => ({ start: Math.max(end - span, 0), end, delay: DELAY });

for (let seed = 0; seed < 20; seed++) {
  test(`any stretch is read whole, seed ${seed}`, async () => {
    const rand = random(seed);
    const log = new Log(rand, seed % 2 ? 2000 : 0);
    const before = run(1000, "older", "h", rand);
    // Signals with a long gap; of the highest octave, most windows were dropped.
    const [gap, dropped] = [5000 + 4000 * rand(), 3000 * rand()];
    const isMissing = ({ octave, t }: AnalysisResult) =>
      (t.first_sample > gap && t.first_sample < gap + 3000) || (octave === 0 && seed % 4 === 1 && t.first_sample > dropped);
    const now = run(SIZE, "newer", "h", rand, isMissing);
    for (const each of [before, now]) {
      each.results.forEach((item) => log.store("result", item));
      each.chunks.forEach((item) => log.store("chunk", item));
    }
    const history = new History(log.client, "s", "a", ["x"]);
    history.follow(log.next, log.next, false);
    const spans = [200, 1000, 4000];
    let stretch = at(SIZE, spans[seed % 3]!);
    await settle(history, stretch, true);
    isShown(history, log, stretch, "newer", "h");
    for (let i = 0; i < 12; i++) {
      stretch = at(SIZE * rand(), spans[Math.floor(3 * rand())]!);
      log.requests = 0;
      await settle(history, stretch);
      isShown(history, log, stretch, "newer", "h");
      assert.ok(log.requests < 120, `${log.requests} requests`);
    }
  });
}

test("live results go on after the newest were let go", async () => {
  const rand = random(5);
  const log = new Log(rand);
  const { results, chunks } = run(SIZE, "e", "h", rand);
  const half = results.findIndex(({ t }) => t.first_sample > SIZE / 2);
  results.slice(0, half).forEach((item) => log.store("result", item));
  chunks.slice(0, chunks.length / 2).forEach((item) => log.store("chunk", item));
  const history = new History(log.client, "s", "a", ["x"]);
  history.follow(log.next, log.next, false);
  const paused = at(3000, 1000);
  await settle(history, paused);
  assert.equal(history.isLive, false);
  results.slice(half).forEach((item) => history.addResult(item, log.store("result", item)));
  chunks.slice(chunks.length / 2).forEach((item) => history.addSamples(item, log.store("chunk", item)));
  await settle(history, paused);
  isShown(history, log, paused, "e", "h");
  const later = at(SIZE, 1000);
  await settle(history, later);
  isShown(history, log, later, "e", "h");
});

test("a result that comes while the newest page is read is not left out", async () => {
  const log = new Log(() => 0);
  const { results } = run(2000, "e", "h", random(1));
  const { client } = log;
  const late = results.pop()!;
  let isLate = false;
  const history: History = new History(
    {
      ...client,
      results: async (name: string, options = {}) => {
        const page = await client.results(name, options);
        if (isLate && options.to === undefined) {
          isLate = false;
          history.addResult(late, log.store("result", late));
        }
        return page;
      },
    },
    "s",
    "a",
    ["x"],
  );
  results.forEach((item) => log.store("result", item));
  history.follow(log.next, log.next, false);
  history.follow(log.next, log.next, false); // the page was hidden: another connection
  isLate = true;
  const end = at(late.t.first_sample + late.t.step * late.t.n, 2000);
  await settle(history, end);
  isShown(history, log, end, "e", "h");
});

test("results of an older definition are not read to their beginning", async () => {
  const rand = random(2);
  const log = new Log(() => 0);
  run(200_000, "e", "old", rand).results.forEach((item) => log.store("result", item));
  for (let first = 200_000; first < 200_300; first += STEP * COLUMNS) log.store("result", result(0, first, "e", "new"));
  const history = new History(log.client, "s", "a", ["x"]);
  history.follow(log.next, log.next, false);
  await settle(history, at(200_300, 6000), true);
  assert.ok(log.requests < 20, `${log.requests} requests`);
});

test("a stream that was silent for long is found at once", async () => {
  const log = new Log(() => 0);
  run(500, "e", "h", random(4)).results.forEach((item) => log.store("result", item));
  const history = new History(log.client, "s", "a", ["x"]);
  history.follow(50_000_000, 1, false);
  await settle(history, at(500, 1000), true);
  isShown(history, log, at(500, 1000), "e", "h");
  assert.ok(log.requests < 40, `${log.requests} requests`);
});

test("many chunks are held and let go", () => {
  const store = new SampleStore(["x"]);
  const n = 200_000;
  for (let end = n; end > 0; end -= 500) {
    store.add(...Array.from({ length: 500 }, (_, i) => ({ chunk: { ...chunk(end - 500 + i, "e"), samples: [[end - 500 + i]] }, seq: end - 499 + i })));
  }
  assert.equal(store.at(0, 77), 77);
  assert.deepEqual(store.trim(10, 150_000), [10, 150_002]);
});

test("a device that begins anew replaces its results", async () => {
  const log = new Log(() => 0);
  const old = run(2000, "old", "h", random(3));
  old.results.forEach((item) => log.store("result", item));
  old.chunks.forEach((item) => log.store("chunk", item));
  const history = new History(log.client, "s", "a", ["x"]);
  history.follow(log.next, log.next, false);
  await settle(history, at(2000, 1000), true);
  history.addSamples(chunk(0, "new"), log.store("chunk", chunk(0, "new")));
  assert.ok(history.scalogram.isEmpty);
  const first = result(0, 0, "new", "h");
  history.addResult(first, log.store("result", first));
  await settle(history, at(CHUNK, 1000), true);
  assert.equal(history.scalogram.epoch, "new");
  isShown(history, log, at(CHUNK, 1000), "new", "h");
});

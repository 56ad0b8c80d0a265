// The matrix of all pairs: means over a band of the newest windows, of valid values alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PairsResult } from "../src/client.ts";
import { ABOVE, ABSENT, BELOW, MASKED, PairMatrix } from "../src/pair_matrix.ts";
import { pairOf } from "../src/pair_results.ts";

const CHANNELS = ["a", "b", "c"];
const PAIRS = [[0, 1], [0, 2], [1, 2]];

/** Two rows of three columns; each value of a pair is its place among all pairs, a tenth more in the second row. */
function result(changes: Partial<PairsResult> & { first?: number } = {}): PairsResult {
  const { first = 0, ...others } = changes;
  const pairs = others.pairs ?? PAIRS;
  const values = pairs.map(([a, b]) => [0, 0.1].map((more) => new Array(3).fill((a! + b!) / 5 + more)));
  return {
    id: "s/e/m/h/0/0",
    analysis: "m",
    channels: CHANNELS,
    epoch: "e",
    spec_hash: "h",
    octave: 0,
    pairs,
    first_pair: 0,
    total_pairs: 3,
    freqs_hz: [8, 6],
    scales_s: [0.1, 0.2],
    t: { first_sample: first, step: 4, n: 3 },
    values,
    signif: pairs.map(() => [0.5, 0.5]),
    ...others,
  } as unknown as PairsResult;
}

function matrixOf(...results: PairsResult[]): PairMatrix {
  const matrix = new PairMatrix("m", CHANNELS);
  results.forEach((each, i) => matrix.add(each, i + 1));
  return matrix;
}

const near = (actual: number | undefined, expected: number) => assert.ok(Math.abs(actual! - expected) < 1e-6, `${actual} is not ${expected}`);

test("a cell is the mean over the rows of the band, and symmetric", () => {
  const matrix = matrixOf(result());
  const all = matrix.cells(null);
  near(all.value[1], 0.25);
  near(all.value[3], 0.25);
  near(all.value[5], 0.65);
  assert.deepEqual([all.state[1], all.state[7]], [BELOW, ABOVE]);
  near(matrix.cells({ low: 7, high: 9 }).value[1], 0.2);
  const none = matrix.cells({ low: 1, high: 2 });
  assert.equal(none.span, null);
  assert.equal(none.state[1], ABSENT);
});

test("masked values do not count, and channels without any other are named", () => {
  const clear = [[0, 0, 0], [0, 0, 0]];
  const values = PAIRS.map(() => [[0.2, 0.4, 0.9], [0.6, 0.6, 0.6]]);
  const cells = matrixOf(result({ values, mask: [clear, [[0, 0, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1]]] })).cells(null);
  near(cells.value[1], 0.3);
  near(cells.part[1], 2 / 6);
  assert.deepEqual([cells.state[2], cells.state[5]], [MASKED, MASKED]);
  assert.deepEqual(cells.masked, ["c"]);
});

test("each scale counts the same, however many columns its octave has or bands it is in", () => {
  const low = result({ octave: 1, freqs_hz: [4], values: PAIRS.map(() => [[0.9]]), signif: null, t: { first_sample: 0, step: 8, n: 1 }, bands: [{ band_hz: [3, 5], n_scales: 2 }] });
  near(matrixOf(result(), low).cells(null).value[1], (0.2 + 0.3 + 2 * 0.9) / 4);
});

test("windows replace older ones, in any order, and masked ones at the end do not", () => {
  const newest = result({ first: 24, values: PAIRS.map(() => [[0.7, 0.7, 0.7], [0.7, 0.7, 0.7]]) });
  const ones = [[1, 1, 1], [1, 1, 1]];
  const cells = matrixOf(newest, result({ first: 12 }), result({ first: 36, mask: [ones, ones, ones] })).cells(null);
  near(cells.value[1], 0.7);
  assert.deepEqual([cells.span!.first, cells.span!.end], [24, 36]);
});

test("parts of a window are put together, and another run replaces all of them", () => {
  const matrix = matrixOf(result({ pairs: PAIRS.slice(0, 1), spec_hash: "h0" }), result({ pairs: PAIRS.slice(1), first_pair: 1, spec_hash: "h1" }));
  assert.ok(!matrix.cells(null).state.includes(MASKED));
  near(matrix.cells(null).value[5], 0.65);
  assert.ok(matrix.add(result({ pairs: PAIRS.slice(0, 1), epoch: "later" }), 3));
  assert.equal(matrix.cells(null).state[5], ABSENT);
  assert.ok(!matrix.add(result({ first: 999 }), 4));
  assert.ok(matrix.add(result({ pairs: PAIRS.slice(0, 1), epoch: "later", spec_hash: "changed" }), 5));
});

test("a pair alone is the result that its channels would have", () => {
  const one = pairOf(result({ mask: [[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]]] }), "a", "c")!;
  assert.deepEqual([one.id, one.channels, one.signif], ["s/e/m/h/0/0/1", ["a", "c"], [0.5, 0.5]]);
  assert.deepEqual(one.mask, [[1, 1, 0], [0, 0, 0]]);
  assert.equal(one.values[1]![0], 0.5);
  assert.equal(pairOf(result({ pairs: PAIRS.slice(1) }), "a", "b"), null);
});

test("the rows of a pair are from the highest frequency, though bands are in any order", () => {
  const one = pairOf(result({ freqs_hz: [6, 8], signif: PAIRS.map(() => [0.1, 0.2]) }), "a", "b")!;
  assert.deepEqual([one.freqs_hz, one.signif, one.values.map((row) => row[0])], [[8, 6], [0.2, 0.1], [0.2 + 0.1, 0.2]]);
});

// Where markers are shown, and what they say under the pointer.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Marker } from "../src/client.ts";
import { MarkerStore, textAt } from "../src/markers.ts";

const FS = 100;
const ANCHOR = { sample: 1000, t_ns: 5e9 };

function storeOf(...markers: Partial<Marker>[]): MarkerStore {
  const store = new MarkerStore();
  markers.forEach((each, seq) => store.add({ stream: "s", epoch: "e", text: `${seq}`, ...each }, seq));
  return store;
}

const samples = (store: MarkerStore, start: number, end: number, anchor: typeof ANCHOR | null = ANCHOR) =>
  store.within(start, end, "e", FS, anchor).map(({ sample }) => sample);

test("markers of the run that is shown are at their samples, or at those of their times", () => {
  const store = storeOf({ first_sample: 500 }, { first_sample: 500, epoch: "other" }, { epoch: null, t_ns: 6e9 });
  assert.deepEqual(samples(store, 0, 2000), [500, 1100]);
  assert.deepEqual(samples(store, 501, 2000), [1100]);
  assert.deepEqual(samples(store, 0, 2000, null), [500]);
});

test("a marker that lasts into the stretch is in it", () => {
  const store = storeOf({ first_sample: 500, duration_s: 2 }, { first_sample: 500, n_samples: 150 });
  assert.deepEqual(samples(store, 690, 2000), [500]);
});

test("the texts near the pointer are told", () => {
  const store = storeOf({ first_sample: 500, text: "on", duration_s: 1 }, { first_sample: 605, text: "off", channel: "C3" });
  const markers = store.within(0, 2000, "e", FS, null);
  assert.equal(textAt(markers, 550, 10), "on");
  assert.equal(textAt(markers, 602, 10), "on; C3: off");
  assert.equal(textAt(markers, 480, 10), "");
});

test("no more than the newest markers are held", () => {
  const store = new MarkerStore();
  for (let seq = 0; seq < 20_010; seq++) store.add({ stream: "s", epoch: "e", first_sample: seq, text: "N" }, seq);
  assert.deepEqual(samples(store, 0, 10), [10]);
});

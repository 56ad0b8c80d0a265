// Definitions that the form describes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { definitionOf } from "../src/forms.ts";

function pairsOf(channels: string, pairs: string) {
  const form = new FormData();
  const fields = { name: "s", fs: "100", channels, pairs, coherence: "on", fmin: "1", fmax: "40", hop: "1" };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return definitionOf(form).analyses![0]!.pairs;
}

test("pairs that are left out are all pairs, in one result if there are many", () => {
  assert.deepEqual(pairsOf("a b:mV c", ""), [["a", "b"], ["a", "c"], ["b", "c"]]);
  assert.equal(pairsOf("a b c d e", ""), "all");
  assert.deepEqual(pairsOf("a b c d e", "a-e"), [["a", "e"]]);
});

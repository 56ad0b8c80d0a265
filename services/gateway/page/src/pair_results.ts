/** One pair of a result of all pairs. */
import type { AnalysisResult, Matrix, PairsResult } from "./client.ts";

/** Return the result of one pair as a worker would have published it alone; null if it is not in this message. */
export function pairOf(result: PairsResult, one: string, other: string): AnalysisResult | null {
  const places = [result.channels.indexOf(one), result.channels.indexOf(other)];
  const p = result.pairs.findIndex((pair) => pair.every((place, i) => place === places[i]));
  if (p < 0) return null;
  const { pairs: _pairs, first_pair: first, total_pairs: _total, bands: _bands, ...rest } = result;
  const [a, b] = places.map((place) => result.mask?.[place]);
  return {
    ...rest,
    id: `${rest.id}/${first + p}`,
    channels: [one, other],
    values: listsOf(result.values[p]!),
    phase: result.phase ? listsOf(result.phase[p]!) : null,
    signif: result.signif?.[p] ?? null,
    mask: a && b ? a.map((row, r) => Array.from(row, (value, i) => value | b[r]![i]!)) : null,
  };
}

/** Rows as lists, as some are typed arrays. */
const listsOf = (matrix: Matrix): Matrix => matrix.map((row) => Array.from(row));

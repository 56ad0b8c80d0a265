/** One pair of a result of all pairs. */
import type { AnalysisResult, Matrix, PairsResult } from "./client.ts";

/** Return the result of one pair, its rows from the highest frequency; null if it is not in this message. */
export function pairOf(result: PairsResult, one: string, other: string): AnalysisResult | null {
  const places = [result.channels.indexOf(one), result.channels.indexOf(other)];
  const p = result.pairs.findIndex((pair) => pair.every((place, i) => place === places[i]));
  if (p < 0) return null;
  const { pairs: _pairs, first_pair: first, total_pairs: _total, bands: _bands, ...rest } = result;
  const [a, b] = places.map((place) => result.mask?.[place]);
  // Bands are in the order of the definition.
  const order = result.freqs_hz.map((_, row) => row).sort((one, other) => result.freqs_hz[other]! - result.freqs_hz[one]!);
  const sorted = <T>(rows: T[]) => order.map((row) => rows[row]!);
  return {
    ...rest,
    id: `${rest.id}/${first + p}`,
    channels: [one, other],
    freqs_hz: sorted(result.freqs_hz),
    scales_s: sorted(result.scales_s),
    values: sorted(listsOf(result.values[p]!)),
    phase: result.phase ? sorted(listsOf(result.phase[p]!)) : null,
    signif: result.signif ? sorted(result.signif[p]!) : null,
    mask: a && b ? sorted(a.map((row, r) => Array.from(row, (value, i) => value | b[r]![i]!))) : null,
  };
}

/** Rows as lists, as some are typed arrays. */
const listsOf = (matrix: Matrix): Matrix => matrix.map((row) => Array.from(row));

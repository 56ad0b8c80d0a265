/** Numbers and times as people read them. */

/** Three significant digits, without an exponent where that is short. */
export function number(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "–";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e6 || magnitude < 1e-4)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

/** Seconds of an epoch as h:mm:ss, with `decimals` where the axis needs them. */
export function clock(seconds: number, decimals = 0): string {
  const sign = seconds < 0 ? "−" : "";
  const scale = 10 ** decimals;
  const total = Math.round(Math.abs(seconds) * scale) / scale;
  const h = Math.floor(total / 3600);
  const m = Math.floor((total % 3600) / 60);
  const s = (total % 60).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  return h ? `${sign}${h}:${String(m).padStart(2, "0")}:${s}` : `${sign}${m}:${s}`;
}

export function duration(seconds: number): string {
  const s = Math.abs(seconds);
  if (s < 1) return `${number(seconds * 1000, 2)} ms`;
  if (s < 120) return `${number(seconds, 3)} s`;
  if (s < 7200) return `${Math.round(seconds / 60)} min`;
  if (s < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function rate(hz: number): string {
  return hz >= 1000 ? `${number(hz / 1000, 4)} kHz` : `${number(hz, 4)} Hz`;
}

/** Local time of day of a time in nanoseconds. */
export function timeOfDay(ns: number): string {
  return new Date(ns / 1e6).toLocaleTimeString();
}

/** Positions of about `count` round ticks. */
export function ticks(start: number, stop: number, count: number): number[] {
  const rough = (stop - start) / Math.max(count, 1);
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const step = steps.find((each) => each >= rough) ?? Math.ceil(rough / 3600) * 3600;
  const found: number[] = [];
  for (let i = Math.ceil(start / step); i * step <= stop; i++) found.push(i * step);
  return found;
}

/** Frequencies 1, 2, 5 times powers of ten within a range. */
export function logTicks(low: number, high: number): number[] {
  const found: number[] = [];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** decade;
      if (value >= low && value <= high) found.push(Number(value.toPrecision(6)));
    }
  }
  return found;
}

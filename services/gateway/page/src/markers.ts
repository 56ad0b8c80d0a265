/** The markers of the stream that is shown. */
import type { Marker } from "./client.ts";

/** A sample, and when it was taken by the device's clock. */
export interface Anchor {
  sample: number;
  t_ns: number;
}

export interface PlacedMarker {
  sample: number;
  /** In samples; 0 for a moment. */
  length: number;
  text: string;
}

/** The newest markers are held: some hours of heartbeats. */
const MAX_MARKERS = 20_000;

export class MarkerStore {
  /** By place in the log. */
  private readonly markers = new Map<number, Marker>();
  /** Place after the newest marker. */
  next = 1;

  clear(): void {
    this.markers.clear();
    this.next = 1;
  }

  add(marker: Marker, seq: number): void {
    this.markers.set(seq, marker);
    this.next = Math.max(this.next, seq + 1);
    // A map is in the order in which its keys were set, the oldest one first.
    if (this.markers.size > MAX_MARKERS) this.markers.delete(this.markers.keys().next().value!);
  }

  /** The markers of a run from one sample to another; those by time need an anchor. */
  within(start: number, end: number, epoch: string, fs: number, anchor: Anchor | null): PlacedMarker[] {
    const found: PlacedMarker[] = [];
    for (const marker of this.markers.values()) {
      if (marker.epoch != null && marker.epoch !== epoch) continue;
      const sample = marker.first_sample ?? (anchor && anchor.sample + ((marker.t_ns! - anchor.t_ns) / 1e9) * fs);
      if (sample === null) continue;
      const length = marker.n_samples ?? (marker.duration_s ?? 0) * fs;
      if (sample + length < start || sample > end) continue;
      const text = marker.channel ? `${marker.channel}: ${marker.text}` : marker.text;
      found.push({ sample, length, text });
    }
    return found;
  }
}

/** What the markers say that last at a sample, or are not further from it than `reach`. */
export function textAt(markers: PlacedMarker[], sample: number, reach: number): string {
  const near = markers.filter((each) => sample >= each.sample - reach && sample <= each.sample + each.length + reach);
  return near.map(({ text }) => text).join("; ");
}

/** The stretch of the log that is held here: messages from `lo` up to, but not including, `hi`. */
import type { Page } from "./client.ts";

/** So many places are read back first, so that something is seen soon; then twice as many each time.
 *  Messages of other streams may lie in them. */
const FIRST_PLACES = 64;
const MAX_PLACES = 16384;
/** Messages that are worth waiting for at a time. */
const ENOUGH = 200;
const PAGE_LIMIT = 500;

type Item<T> = { seq: number } & T;

export class LogWindow<T> {
  /** Whether live messages continue at `hi`. */
  joined = false;
  /** Whether there is nothing to read before `lo`. */
  ended = false;
  private lo = 0;
  private hi = 0;
  /** Place of the next live message. */
  private live = 0;
  private places = FIRST_PLACES;

  constructor(private readonly fetch: (from: number, to: number | undefined, limit: number) => Promise<Page<T>>) {}

  /** Note that live messages come from `next` on; `resumed`: without a break. */
  follow(next: number, resumed: boolean): void {
    this.live = next;
    if (this.hi === 0) {
      this.restart();
      return;
    }
    if (!resumed) this.joined = false;
    // A log that lost its end counts on from there.
    this.hi = Math.min(this.hi, next);
    this.lo = Math.min(this.lo, this.hi);
  }

  /** Begin at the next live message, with nothing held. */
  restart(): void {
    this.lo = this.hi = this.live;
    this.joined = true;
    this.ended = false;
    this.places = FIRST_PLACES;
  }

  get isStarted(): boolean {
    return this.hi > 0;
  }

  /** Whether a live message belongs here; it does not after the newest ones were let go. */
  accepts(seq: number): boolean {
    this.live = Math.max(this.live, seq + 1);
    if (!this.joined || seq < this.hi) return false;
    this.hi = seq + 1;
    return true;
  }

  /** Read what comes before. */
  async back(): Promise<Item<T>[]> {
    while (this.lo > 1) {
      const to = this.lo;
      const from = Math.max(1, to - this.places);
      const items: Item<T>[] = [];
      for (let next: number | null = from; next !== null && next < to; ) {
        const page: Page<T> = await this.fetch(next, to, PAGE_LIMIT);
        items.push(...page.items);
        next = page.next;
      }
      if (this.lo !== to) return []; // Another stretch was opened meanwhile.
      this.lo = from;
      // Where nothing is, a stream that is idle for long ends far below: its distance is unlimited.
      if (items.length < ENOUGH) this.places = Math.min(this.places * 2, items.length ? MAX_PLACES : Infinity);
      if (items.length) return items;
    }
    this.ended = true;
    return [];
  }

  /** Read what comes after, if it was let go; joins the live messages at the end. */
  async forward(): Promise<Item<T>[]> {
    const { hi, live } = this;
    const page = await this.fetch(hi, undefined, PAGE_LIMIT);
    if (this.hi !== hi) return [];
    this.hi = page.next ?? Math.max(live, (page.items.at(-1)?.seq ?? 0) + 1, hi);
    // What came live since the request may not be on the page.
    this.joined = page.next === null && this.hi >= this.live;
    return page.items;
  }

  /** Note that no more is held than the messages from `from` up to, but not including, `to`. */
  keep(from: number, to: number): void {
    if (from > this.lo) {
      this.lo = Math.min(from, this.hi);
      this.ended = false;
    }
    if (to < this.hi) {
      this.hi = Math.max(to, this.lo);
      this.joined = false;
    }
  }
}

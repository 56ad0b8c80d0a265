/** The stream that is shown: its traces, scalogram and spectrum, live or at a place in the past. */
import { isPassing, retryWait, type Analysis, type Client, type LiveResult, type LiveSocket, type StreamDefinition, type StreamEvent, type StreamStatus } from "./client.ts";
import { Axes } from "./axes.ts";
import { forgetColours, get, make, setOptions, setText, Size, toast } from "./dom.ts";
import { csv, npz, save, screenshot } from "./download.ts";
import { clock, duration, number, timeOfDay } from "./format.ts";
import { everyPair } from "./forms.ts";
import { History, type Stretch } from "./history.ts";
import { channelsOf, MatrixPanel } from "./matrix_panel.ts";
import { MarkerStore, textAt, type PlacedMarker } from "./markers.ts";
import { COLUMN_PX, Marks } from "./marks.ts";
import { Lines, Overlay, type Frame, type Rows } from "./overlay.ts";
import { PictureCanvas } from "./picture_canvas.ts";
import { colourBar, Quantity, type Scale } from "./quantity.ts";
import { type Point, type Shown, valueWords, withUnit, wordsOf } from "./readout.ts";
import { cropped, type Block } from "./scalogram.ts";
import { drawSpectrum } from "./spectrum.ts";
import { AXIS_WIDTH, Traces } from "./traces.ts";

export const AXIS_HEIGHT = 26;
export const SPANS_S = [2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
/** Periods of the lowest frequency that are shown at first: its results come some periods late. */
const PERIODS = 20;
/** Samples of both channels are held for three times the span. */
const MAX_SAMPLES = 8_000_000;
/** Overlay and curves are drawn at most this often. */
const DRAW_INTERVAL_MS = 80;
const DRAG_PX = 4;
/** The text of a marker is told this far from its line. */
const MARKER_REACH_PX = 5;
const MARKER_PAGE = 1000;

export type Connection = { state: "idle" | "connecting" | "open" | "lost" | "refused" | "closed"; retryAt: number; reason: string };

export interface Listeners {
  connection(connection: Connection): void;
  event(event: StreamEvent): void;
  status(status: StreamStatus): void;
  opened(status: StreamStatus): void;
}

export class View {
  status: StreamStatus | null = null;
  following = true;
  private analysis: Analysis | null = null;
  private channels: string[] = [];
  private quantity = new Quantity({ quantity: "coherence" } as Analysis);
  private scale: Scale | null = null;
  private history: History;
  private socket: LiveSocket | null = null;
  /** Number of the opened picture: what was asked for before it opened is thrown away. */
  private opening = 0;
  /** Ends the pause before the next attempt to open a stream. */
  private tryNow: () => void = () => undefined;
  private loading = false;
  /** The log could not be read; it is tried again when the reader asks for something. */
  private unreadable = false;
  /** Chunks do not say where they belong; that was told. */
  private isWithoutPlaces = false;
  private spanS = 60;
  private end = 0;
  private band: { low: number; high: number } | null = null;
  private fresh: Block[] = [];
  private readonly markers = new MarkerStore();
  private cursor: Point | null = null;
  /** Where the pointer rests; the cursor stays under it while the picture scrolls. */
  private pointer: PointerEvent | null = null;
  private picked: Point | null = null;
  private drawn = 0;
  private scheduled = false;
  /** How often the page was drawn. */
  draws = 0;

  private readonly stack = get("stack");
  private readonly plot = get("plot");
  private readonly canvas = new PictureCanvas(get<HTMLCanvasElement>("picture"));
  private readonly plotSize = new Size(this.plot);
  private readonly axes = new Axes(get<HTMLCanvasElement>("frequencies"), get<HTMLCanvasElement>("times"));
  private readonly marks = new Marks(get<HTMLCanvasElement>("marks"));
  private readonly lines = new Lines(get<HTMLCanvasElement>("lines"));
  private readonly side = new Overlay(get<HTMLCanvasElement>("spectrum"));
  private readonly traces = new Traces(get("traces"));
  private readonly matrix = new MatrixPanel((one, other) => void this.choose(this.analysis!.name, `${one},${other}`));

  constructor(
    private readonly client: Client,
    private readonly listeners: Listeners,
  ) {
    this.history = new History(client, "", undefined, []);
    colourBar(get<HTMLCanvasElement>("colour-bar"));
    new ResizeObserver(() => this.redraw()).observe(this.plot);
    this.listen();
  }

  // What is shown

  async open(name: string, analysis?: string, pair?: string): Promise<void> {
    const opening = ++this.opening;
    this.socket?.close();
    this.socket = null;
    const status = await this.readStatus(opening, name);
    if (status === null || opening !== this.opening) return;
    const other = this.status?.definition.name !== name;
    this.status = status;
    const analyses = status.definition.analyses ?? [];
    this.analysis =
      analyses.find((each) => each.name === analysis) ?? analyses.find((each) => each.op === "wct") ?? analyses[0] ?? null;
    const sets = channelSets(status.definition, this.analysis);
    this.channels = sets.find((set) => set.join() === pair) ?? sets[0] ?? status.definition.channels.slice(0, 2).map(({ name: each }) => each);
    if (other) {
      this.markers.clear();
      this.band = null;
      this.spanS = suitableSpan(this.analysis);
      get<HTMLSelectElement>("span").value = String(this.spanS);
    }
    void this.readMarkers(name);
    this.following = true;
    this.pick(null);
    if (this.analysis) this.quantity = new Quantity(this.analysis);
    this.scale = null;
    this.listeners.opened(status);
    this.showControls();
    this.traces.show(this.channels.map((each) => withUnit(status.definition, each)));
    this.matrix.show(status.definition, this.analysis, this.channels);
    this.matrix.setBand(this.band);
    await this.load(opening);
  }

  /** Ask for the status until the gateway answers; null if it has no such stream, or another one is opened. */
  private async readStatus(opening: number, name: string): Promise<StreamStatus | null> {
    for (let attempts = 0; opening === this.opening; attempts++) {
      try {
        return await this.client.stream(name);
      } catch (error) {
        if (opening !== this.opening) return null;
        const reason = (error as Error).message;
        if (!isPassing(error)) {
          this.listeners.connection({ state: "refused", retryAt: 0, reason });
          return null;
        }
        const wait = 1000 * retryWait(attempts);
        this.listeners.connection({ state: "lost", retryAt: Date.now() + wait, reason });
        await new Promise<void>((resolve) => {
          this.tryNow = resolve;
          setTimeout(resolve, wait);
        });
      }
    }
    return null;
  }

  /** Read the markers of a stream from the log that are not held yet, as long as it is shown. */
  private async readMarkers(name: string): Promise<void> {
    for (let from: number | null = this.markers.next; from !== null; ) {
      const page: Awaited<ReturnType<Client["markers"]>> | null = await this.client.markers(name, { from, limit: MARKER_PAGE }).catch(() => null);
      if (!page || name !== this.status?.definition.name) return;
      for (const { marker, seq } of page.items) this.markers.add(marker, seq);
      from = page.next;
    }
    this.redraw();
  }

  /** Read what is shown from the log, and follow what comes. */
  private async load(opening: number): Promise<void> {
    const { definition, last_chunk_ns: lastChunk } = this.status!;
    const { name } = definition;
    const history = new History(this.client, name, this.analysis?.name, this.channels, this.isOfPairs, (result, seq) => this.matrix.add(result, seq));
    this.history = history;
    this.unreadable = this.isWithoutPlaces = false;
    this.invalidate();
    this.end = this.following ? 0 : this.end;
    const seq = lastChunk ? await history.recentSamples(lastChunk) : undefined;
    if (opening !== this.opening) return;
    this.connect(name, seq);
    this.redraw();
  }

  private connect(name: string, samplesFrom: number | undefined): void {
    const { history } = this;
    const addResult = (result: LiveResult, seq: number) => {
      const { run } = history.scalogram;
      const block = history.addResult(result, seq);
      // Another epoch or definition replaces what was shown.
      if (run !== history.scalogram.run) this.invalidate();
      if (block && this.isSeen(block.first)) this.fresh.push(block);
    };
    this.socket = this.client.live(
      name,
      {
        ack: ({ status, next, samples_next: samplesNext, resumed }) => {
          history.follow(next, samplesNext, resumed);
          this.unreadable = false;
          this.take(status);
        },
        result: addResult,
        pairs: addResult,
        samples: (samples, seq) => {
          const { scalogram } = history;
          if (history.addSamples(samples, seq)) this.isSeen(samples.first_sample ?? 0);
          if (samples.first_sample === null) this.tellOfPlaces();
          if (scalogram !== history.scalogram) {
            this.invalidate();
            this.pick(null);
            this.redraw();
          }
        },
        event: (event) => this.listeners.event(event),
        marker: (marker, seq) => {
          this.markers.add(marker, seq);
          this.redraw();
        },
        status: (status) => this.take(status),
        error: ({ message }) => toast(message, "error"),
        state: (state, { retry_s, reason }) =>
          this.listeners.connection({ state, retryAt: Date.now() + 1000 * (retry_s ?? 0), reason: reason ?? "" }),
      },
      {
        analysis: this.analysis?.name,
        include: ["results", "events", "markers", "status", "samples"],
        channels: this.channels,
        samples_from: samplesFrom,
        packed: this.isOfPairs,
      },
    );
  }

  private tellOfPlaces(): void {
    if (this.isWithoutPlaces) return;
    this.isWithoutPlaces = true;
    toast("The device does not number its samples (first_sample), so their curves cannot be drawn.");
  }

  private take(status: StreamStatus): void {
    const changed = JSON.stringify(status.definition) !== JSON.stringify(this.status?.definition);
    this.status = status;
    this.listeners.status(status);
    if (changed) void this.open(status.definition.name, this.analysis?.name, this.channels.join());
    else this.redraw();
  }

  /** Whether what begins at a sample is in the picture, which is then drawn again.
   *
   * Of what comes while the picture is paused, no more is held than is soon scrolled to.
   */
  private isSeen(first: number): boolean {
    const seen = this.following || first < this.end;
    if (seen) this.redraw();
    else if (first > this.end + 2 * this.span) this.trim();
    return seen;
  }

  /** Read from the log what is missing of the stretch that is shown. */
  private async fill(): Promise<void> {
    const { history } = this;
    if (this.loading || this.unreadable || !this.socket || !this.status?.last_chunk_ns || !history.lacks(this.stretch)) return;
    this.loading = true;
    this.plot.classList.add("loading");
    try {
      while (history === this.history && this.socket && history.lacks(this.stretch)) {
        await history.read(this.stretch);
        this.invalidate();
        this.redraw();
      }
    } catch (error) {
      if (history === this.history) {
        this.unreadable = true;
        toast(`Cannot read the log: ${(error as Error).message}`, "error");
      }
    } finally {
      this.loading = false;
      this.plot.classList.remove("loading");
      this.redraw();
    }
  }

  /** What the picture needs. */
  private get stretch(): Stretch {
    if (this.following) this.end = this.liveEnd;
    return { start: Math.max(this.start, 0), end: this.end, delay: suitableSpan(this.analysis) * this.fs };
  }

  /** Whether the analysis is of all pairs, so that its results are large. */
  private get isOfPairs(): boolean {
    return this.analysis?.pairs === "all";
  }

  // Time

  private get fs(): number {
    return this.status?.definition.fs_hz ?? 1;
  }

  private get span(): number {
    return Math.min(this.spanS * this.fs, MAX_SAMPLES / 3);
  }

  private get start(): number {
    return this.end - this.span;
  }

  private get liveEnd(): number {
    // Results reach beyond the end of a recording, masked.
    if (!this.history.store.isEmpty) return this.history.store.endSample;
    if (this.history.scalogram.isEmpty) return 0;
    const next = this.status?.epoch === this.history.scalogram.epoch ? this.status.next_sample : null;
    return next ?? this.history.scalogram.endSample;
  }

  pause(): void {
    this.following = false;
    this.showMode();
  }

  follow(): void {
    this.following = true;
    this.showMode();
    if (this.history.isLive) this.redraw();
    else void this.open(this.status!.definition.name, this.analysis?.name, this.channels.join());
  }

  toggle(): void {
    if (this.following) this.pause();
    else this.follow();
  }

  /** Move by a part of the span; to the future beyond the newest sample follows again. */
  scroll(spans: number): void {
    this.goTo(this.end + spans * this.span);
  }

  goTo(end: number): void {
    if (!this.status) return;
    if (end >= this.liveEnd && this.history.isLive) {
      if (!this.following) this.follow();
      return;
    }
    this.pause();
    this.end = Math.max(Math.min(end, this.liveEnd), Math.min(this.span * 0.5, this.liveEnd));
    this.unreadable = false;
    this.redraw();
  }

  setSpan(seconds: number, around?: number): void {
    const before = this.spanS;
    this.spanS = seconds;
    get<HTMLSelectElement>("span").value = String(seconds);
    if (!this.following && around !== undefined) this.end = around + ((this.end - around) * seconds) / before;
    this.invalidate();
    this.unreadable = false;
    this.redraw();
  }

  /** The next shorter span, or the next longer one. */
  zoom(direction: 1 | -1, around?: number): void {
    const index = SPANS_S.indexOf(this.spanS) + direction;
    const seconds = SPANS_S[Math.min(Math.max(index, 0), SPANS_S.length - 1)]!;
    if (seconds !== this.spanS) this.setSpan(seconds, around);
  }

  setBand(low: number, high: number): void {
    this.band = low > 0 || high < Infinity ? { low, high } : null;
    this.matrix.setBand(this.band);
    this.redraw();
  }

  nextPair(): void {
    const sets = channelSets(this.status!.definition, this.analysis);
    const index = sets.findIndex((set) => set.join() === this.channels.join());
    if (sets.length > 1) void this.choose(this.analysis!.name, sets[(index + 1) % sets.length]!.join());
  }

  choose(analysis: string, pair?: string): Promise<void> {
    return this.open(this.status!.definition.name, analysis, pair);
  }

  hide(): void {
    this.opening++;
    this.socket?.close();
    this.socket = null;
  }

  /** After the page was hidden: read what was missed. */
  wake(): void {
    if (!this.status) return;
    if (this.following) {
      void this.open(this.status.definition.name, this.analysis?.name, this.channels.join());
    } else if (!this.socket) {
      void this.readMarkers(this.status.definition.name);
      this.connect(this.status.definition.name, undefined);
    }
  }

  reconnect(): void {
    this.tryNow();
    this.socket?.retry();
  }

  restyle(): void {
    forgetColours();
    this.traces.restyle();
    this.axes.restyle();
    this.marks.restyle();
    this.matrix.redraw();
    this.redraw();
  }

  // Drawing

  /** Draw everything again, and not only what is new. */
  private invalidate(): void {
    this.canvas.invalidate();
    this.marks.invalidate();
    this.fresh = [];
  }

  /** Draw soon; nothing is drawn while the page is hidden. */
  redraw(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const wait = Math.max(0, this.drawn + DRAW_INTERVAL_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.draw()), wait);
  }

  private draw(): void {
    this.scheduled = false;
    if (!this.status) return;
    this.drawn = performance.now();
    this.draws++;
    document.documentElement.dataset.draws = String(this.draws);
    if (this.following) this.end = this.liveEnd;
    this.trim();
    void this.fill();
    const { start, end } = this;
    this.stack.classList.toggle("empty", this.history.scalogram.isEmpty && this.history.store.isEmpty);
    this.traces.draw(this.history.store, start, end, this.fs);
    if (this.pointer) this.cursor = this.pointAt(this.pointer);
    this.drawScalogram(start, end);
    this.showCursor();
    this.fresh = [];
  }

  private trim(): void {
    // What is being read joins what is held.
    if (!this.loading) this.history.trim(this.stretch, this.following);
  }

  private drawScalogram(start: number, end: number): void {
    const { quantity, fresh } = this;
    const { scalogram } = this.history;
    if (scalogram.isEmpty) {
      this.canvas.clear();
      this.axes.clear();
      this.marks.clear();
      this.lines.draw(this.frame(), []);
      this.drawSide();
      return;
    }
    const frame = this.frame();
    const rows = this.rows();
    const shown = { frame, rows, start, stop: end, following: this.following, hasArrows: this.channels.length === 2 };
    const isMarked = this.marks.draw(scalogram, shown, fresh);
    if (isMarked) this.fitColours(frame, start, end);
    this.canvas.draw(scalogram, start, end, fresh, quantity, this.scale!);
    this.canvas.show(rows);
    this.axes.draw(frame, scalogram.freqs, rows, this.fs, start, end);
    // A marker that began before the picture has its line outside.
    const begun = this.markersIn(start, end).filter(({ sample }) => sample >= start);
    this.lines.draw(frame, begun.map(({ sample }) => ((sample - start) / (end - start)) * frame.width));
    if (isMarked) this.drawSide();
    this.describe();
  }

  private markersIn(start: number, end: number): PlacedMarker[] {
    const { scalogram } = this.history;
    return this.markers.within(start, end, scalogram.epoch, this.fs, scalogram.anchor);
  }

  /** Let the range of the colours follow what is shown. */
  private fitColours({ width }: Frame, start: number, end: number): void {
    const columns = Math.max(2, Math.floor(width / COLUMN_PX));
    const samples = Float64Array.from({ length: columns }, (_, i) => start + ((i + 0.5) / columns) * (end - start));
    const scale = this.quantity.scale(() => this.history.scalogram.resample(samples), this.scale);
    if (scale.low === this.scale?.low && scale.high === this.scale.high) return;
    this.scale = scale;
    this.canvas.invalidate();
    const [low, high] = this.quantity.ends(scale);
    setText(get("scale-low"), number(low, 2));
    setText(get("scale-high"), number(high, 2));
  }

  private drawSide(): void {
    if (this.history.scalogram.isEmpty || !this.scale) {
      this.side.fit();
      return;
    }
    const sample = this.cursor?.sample ?? (this.following ? null : this.end);
    const there = this.cursor ? `at ${clock(this.cursor.sample / this.fs, 2)}` : this.following ? "now" : `at ${clock(this.end / this.fs)}`;
    setText(get("spectrum-title"), `Spectrum ${there}`);
    const at = this.cursor || !this.following ? sample : null;
    drawSpectrum(this.side, this.history.scalogram, this.rows(), this.quantity, this.scale, at);
  }

  private frame(): Frame {
    return {
      left: AXIS_WIDTH,
      top: 0,
      width: Math.max(this.plotSize.width - AXIS_WIDTH, 10),
      height: Math.max(this.plotSize.height - AXIS_HEIGHT, 10),
    };
  }

  private rows(): Rows {
    const { freqs } = this.history.scalogram;
    const band = this.band;
    if (!band) return { first: 0, count: freqs.length };
    const shown = freqs.map((hz, row) => (hz >= band.low * 0.999 && hz <= band.high * 1.001 ? row : -1)).filter((row) => row >= 0);
    return shown.length > 1 ? { first: shown[0]!, count: shown.length } : { first: 0, count: freqs.length };
  }

  // Words

  private showControls(): void {
    const { definition } = this.status!;
    get("stream-title").textContent = definition.name;
    const analyses = definition.analyses ?? [];
    setOptions(
      get<HTMLSelectElement>("analysis"),
      analyses.map((each) => [each.name, each.name] as [string, string]),
      this.analysis?.name ?? "",
    );
    // All pairs are chosen in the matrix.
    const offered = this.isOfPairs ? [this.channels] : channelSets(definition, this.analysis);
    setOptions(
      get<HTMLSelectElement>("pair"),
      offered.map((set) => [set.join(), set.join(" – ")] as [string, string]),
      this.channels.join(),
    );
    setOptions(
      get<HTMLSelectElement>("span"),
      SPANS_S.map((s) => [String(s), duration(s).replace("60 s", "1 min")] as [string, string]),
      String(this.spanS),
    );
    const [low, high] = [get<HTMLInputElement>("band-low"), get<HTMLInputElement>("band-high")];
    low.placeholder = this.analysis ? number(this.analysis.fmin_hz) : "";
    high.placeholder = this.analysis ? number(this.analysis.fmax_hz) : "";
    if (!this.band) low.value = high.value = "";
    get("toolbar").inert = false;
    get("scale-label").textContent = this.quantity.label;
    const level = this.analysis?.significance?.level;
    get("key-contour").hidden = level == null;
    get("key-contour-text").textContent = level == null ? "" : `above the ${number(level * 100)} % level`;
    get("key-arrows").hidden = this.channels.length !== 2;
    get("key-arrows-text").textContent = `in phase; upwards: ${this.channels[0]} leads`;
    this.showMode();
    const query = new URLSearchParams({ stream: definition.name });
    if (this.analysis) query.set("analysis", this.analysis.name);
    if (this.channels.length) query.set("channels", this.channels.join());
    history.replaceState(null, "", `#${query}`);
  }

  private showMode(): void {
    document.documentElement.dataset.mode = this.following ? "live" : "paused";
    const button = get("pause");
    button.setAttribute("aria-pressed", String(!this.following));
    get("pause-text").textContent = this.following ? "Pause" : "Back to live";
  }

  private get shown(): Shown {
    const { scalogram, store } = this.history;
    return { scalogram, store, channels: this.channels, quantity: this.quantity, definition: this.status!.definition };
  }

  /** What a screen reader says of the picture. */
  private describe(): void {
    const [from, to] = [clock(this.start / this.fs), clock(this.end / this.fs)];
    const text = `${this.quantity.label} of ${this.channels.join(" and ")}, ${from} to ${to}, ${number(this.history.scalogram.freqs.at(-1)!)} to ${number(this.history.scalogram.freqs[0]!)} Hz`;
    if (this.plot.getAttribute("aria-label") !== text) this.plot.setAttribute("aria-label", text);
  }

  private showCursor(): void {
    const frame = this.frame();
    const point = this.cursor;
    const [x, y] = [get("cursor-x"), get("cursor-y")];
    const rows = this.rows();
    x.hidden = y.hidden = !point;
    this.placePick(frame, rows);
    const readout = get("readout");
    if (!point) {
      setText(readout, this.following ? "Point at the plot for exact values, click for where they come from." : `${clock(this.start / this.fs, 1)} to ${clock(this.end / this.fs, 1)}`);
      return;
    }
    x.style.left = `${frame.left + ((point.sample - this.start) / this.span) * frame.width}px`;
    y.style.top = `${((point.row - rows.first + 0.5) / rows.count) * frame.height}px`;
    const reach = (MARKER_REACH_PX / frame.width) * this.span;
    const marked = textAt(this.markersIn(this.start, this.end), point.sample, reach);
    setText(readout, [wordsOf(point, this.shown), marked].filter(Boolean).join(" · "));
  }

  private placePick(frame: Frame, rows: Rows): void {
    const mark = get("mark");
    const point = this.picked;
    mark.hidden = !point || point.sample < this.start || point.sample > this.end;
    if (!point) return;
    mark.style.left = `${frame.left + ((point.sample - this.start) / this.span) * frame.width}px`;
    mark.style.top = `${((point.row - rows.first + 0.5) / rows.count) * frame.height}px`;
  }

  // Pointer and keys

  private listen(): void {
    let down: { x: number; end: number; moved: boolean } | null = null;
    this.stack.addEventListener("pointermove", (event) => {
      this.pointer = event;
      if (down) {
        const moved = event.clientX - down.x;
        down.moved ||= Math.abs(moved) > DRAG_PX;
        if (down.moved) this.goTo(down.end - (moved / this.frame().width) * this.span);
        return;
      }
      get("readout").removeAttribute("aria-live");
      this.setCursor(this.pointAt(event));
    });
    this.stack.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.setCursor(null);
    });
    this.stack.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down = { x: event.clientX, end: this.end, moved: false };
      this.stack.setPointerCapture(event.pointerId);
    });
    this.stack.addEventListener("pointerup", (event) => {
      if (down && !down.moved) {
        const point = this.pointAt(event);
        this.setCursor(point);
        if (point) this.pick(point);
      }
      down = null;
    });
    this.stack.addEventListener("pointercancel", () => (down = null));
    this.stack.addEventListener(
      "wheel",
      (event) => {
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          this.zoom(event.deltaY > 0 ? 1 : -1, this.cursor?.sample);
        } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          event.preventDefault();
          this.scroll((event.deltaX || event.deltaY) / 1000);
        }
      },
      { passive: false },
    );
    this.plot.addEventListener("blur", () => this.setCursor(null));
  }

  private pointAt(event: PointerEvent): Point | null {
    const box = this.plot.getBoundingClientRect();
    const frame = this.frame();
    const x = (event.clientX - box.left - frame.left) / frame.width;
    if (!this.status || x < 0 || x > 1) return null;
    const rows = this.rows();
    const y = Math.min(Math.max((event.clientY - box.top) / frame.height, 0), 0.9999);
    return { sample: this.start + x * this.span, row: rows.first + Math.floor(y * rows.count) };
  }

  private setCursor(point: Point | null): void {
    this.cursor = point;
    this.showCursor();
    this.drawSide();
  }

  /** Move the cursor by columns and rows. */
  moveCursor(columns: number, rows: number): void {
    if (this.history.scalogram.isEmpty) return;
    this.pointer = null;
    const shown = this.rows();
    const from = this.cursor ?? { sample: this.start + this.span / 2, row: shown.first + (shown.count >> 1) };
    const sample = from.sample + columns * Math.max(this.history.scalogram.step, this.span / 200);
    const row = Math.min(Math.max(from.row + rows, shown.first), shown.first + shown.count - 1);
    // What a pointer passes over is not read out.
    get("readout").setAttribute("aria-live", "polite");
    this.setCursor({ sample: Math.min(Math.max(sample, this.start), this.end), row });
  }

  pickCursor(): void {
    if (this.cursor) this.pick(this.cursor);
  }

  /** Name what a value comes from, and how to compute it again. */
  pick(point: Point | null): void {
    this.picked = point;
    const panel = get("picked");
    const found = point && !this.history.scalogram.isEmpty ? this.history.scalogram.at(point.row, point.sample) : null;
    panel.hidden = !found;
    get("mark").hidden = !found;
    if (!found || !point) {
      this.picked = null;
      return;
    }
    if (this.following) this.pause();
    const { block, row, column } = found;
    const { result } = block;
    const sample = block.first + block.step * column;
    const { input } = result;
    const facts: [string, string][] = [
      ["Sample", `${sample} of epoch ${result.epoch} (${clock(sample / this.fs, 3)})`],
      ["Frequency", `${number(block.freqs[row]!, 5)} Hz, octave ${block.octave}`],
      ["Value", valueWords(found, this.shown)],
      ["Window", `samples ${input.first_sample} to ${input.first_sample + input.n_samples - 1}`],
      ["Result", result.id],
      ["Computed", `${timeOfDay(result.times_ns.computed)} by ${result.engine.worker} (${result.engine.library} ${result.engine.version}), ${duration((result.times_ns.computed - result.times_ns.received) / 1e9)} after its last sample`],
    ];
    if (result.t0_ns) facts.splice(1, 0, ["Time", new Date((result.t0_ns + (column * block.step * 1e9) / this.fs) / 1e6).toLocaleString()]);
    get("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
    get("again").hidden = this.isOfPairs;
    get("command").textContent = `python examples/recompute.py ${result.stream} --result ${result.id}`;
    this.redraw();
  }

  // Files

  download(kind: "png" | "csv" | "npz"): void {
    if (this.history.scalogram.isEmpty) return;
    const { start, end } = this;
    const { scalogram } = this.history;
    const name = `${this.status!.definition.name}-${this.channels.join("-")}-${clock(start / this.fs).replaceAll(":", ".")}`;
    if (kind === "png") {
      const box = this.plot.getBoundingClientRect();
      const clip = new DOMRect(box.x + AXIS_WIDTH, box.y, box.width - AXIS_WIDTH, box.height - AXIS_HEIGHT);
      const clipped = [this.canvas.canvas, this.marks.canvas];
      screenshot(get("plots"), clipped, clip).toBlob((blob) => blob && save(`${name}.png`, blob, "image/png"));
      return;
    }
    const step = scalogram.step;
    const first = Math.ceil(Math.max(start, 0) / step);
    const n = Math.max(1, Math.floor(Math.min(end, scalogram.endSample) / step) - first);
    const picture = cropped(scalogram.resample(Float64Array.from({ length: n }, (_, i) => (first + i) * step)), this.rows());
    if (kind === "csv") save(`${name}.csv`, csv(picture, this.fs), "text/csv");
    else save(`${name}.npz`, npz(picture, this.fs), "application/zip");
  }
}

function channelSets(definition: StreamDefinition, analysis: Analysis | null): string[][] {
  if (!analysis) return [];
  const { op, channels = [], pairs = [], given = [], target } = analysis;
  if (pairs === "all") return everyPair(channelsOf(definition, analysis));
  if (op === "cwt") return channels.map((name) => [name]);
  return op === "mwct" ? [[target ?? "", ...given]] : pairs.map((pair) => [...pair, ...given]);
}

/** A minute, or the shortest longer span in which the lowest frequency of an analysis is seen. */
function suitableSpan(analysis: Analysis | null): number {
  const seconds = analysis === null ? 0 : PERIODS / analysis.fmin_hz;
  return SPANS_S.find((each) => each >= Math.min(Math.max(seconds, 60), 600))!;
}

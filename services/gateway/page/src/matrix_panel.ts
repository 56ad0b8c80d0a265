/** The matrix of all pairs beside its words: one canvas, whose cells open the picture of their pair. */
import type { Analysis, PairsResult, StreamDefinition } from "./client.ts";
import { colour, get, make, setText, showItems, Size } from "./dom.ts";
import { clock, number } from "./format.ts";
import { drawMatrix, placesOf, type MatrixPlaces } from "./matrix_picture.ts";
import { ABOVE, ABSENT, BELOW, MASKED, PairMatrix, type Band, type Cells } from "./pair_matrix.ts";

const DRAW_INTERVAL_MS = 80;
/** Pairs in the list of the most coherent ones. */
const STRONGEST = 8;

interface Cell {
  one: number;
  other: number;
}

export class MatrixPanel {
  private matrix: PairMatrix | null = null;
  /** Of what the matrix is. */
  private shown = "";
  private fs = 1;
  private level: number | null = null;
  private band: Band | null = null;
  private cells: Cells | null = null;
  private pair: Cell | null = null;
  private cursor: Cell | null = null;
  private drawn = 0;
  private scheduled = false;
  private places: MatrixPlaces | null = null;
  private readonly panel = get("pairs");
  private readonly box = get("matrix");
  private readonly canvas = get<HTMLCanvasElement>("matrix-picture");
  private readonly size: Size;

  /** @param open Called with both channels of a pair that is chosen. */
  constructor(private readonly open: (one: string, other: string) => void) {
    this.size = new Size(this.box);
    new ResizeObserver(() => this.redraw()).observe(this.box);
    this.listen();
  }

  /** Show the matrix of an analysis of all pairs, with one of them marked; nothing for another analysis. */
  show(definition: StreamDefinition, analysis: Analysis | null, pair: readonly string[]): void {
    this.panel.hidden = analysis?.pairs !== "all";
    if (!analysis || this.panel.hidden) {
      this.matrix = null;
      this.shown = "";
      return;
    }
    const channels = channelsOf(definition, analysis);
    this.pair = { one: channels.indexOf(pair[0] ?? ""), other: channels.indexOf(pair[1] ?? "") };
    this.fs = definition.fs_hz;
    this.level = analysis.significance?.level ?? null;
    const shown = JSON.stringify([definition.name, definition.fs_hz, channels, analysis]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.matrix = new PairMatrix(analysis.name, channels);
      this.cursor = null;
    }
    get("key-below").hidden = this.level === null;
    setText(get("key-below-text"), `at most the ${number((this.level ?? 0) * 100)} % level`);
    this.redraw();
  }

  add(result: PairsResult, seq: number): void {
    if (this.matrix?.add(result, seq)) this.redraw();
  }

  /** Average over these frequencies; null: over all. */
  setBand(band: Band | null): void {
    this.band = band;
    this.redraw();
  }

  redraw(): void {
    if (this.scheduled || !this.matrix) return;
    this.scheduled = true;
    const wait = Math.max(0, this.drawn + DRAW_INTERVAL_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.draw()), wait);
  }

  private draw(): void {
    this.scheduled = false;
    if (!this.matrix) return;
    this.drawn = performance.now();
    const { channels } = this.matrix;
    this.cells = this.matrix.cells(this.band);
    this.places = placesOf(channels, this.size, colour("--font"));
    drawMatrix(this.canvas, this.places, channels, this.cells);
    const { span, masked } = this.cells;
    const band = span ? `${number(span.low)} to ${number(span.high)} Hz, ${clock(span.first / this.fs, 1)} to ${clock(span.end / this.fs, 1)}` : "no result in this band yet";
    setText(get("matrix-span"), `Mean coherence of ${channels.length} channels, ${band}`);
    setText(get("matrix-masked"), masked.length ? `Without valid values: ${masked.join(", ")}` : "");
    this.showStrongest(this.cells);
    this.showCursor();
  }

  private showStrongest({ value, state }: Cells): void {
    const { channels } = this.matrix!;
    const k = channels.length;
    const above: number[] = [];
    state.forEach((each, at) => each === ABOVE && Math.floor(at / k) < at % k && above.push(at));
    above.sort((a, b) => value[b]! - value[a]!);
    const items = above.slice(0, STRONGEST).map((at) => {
      const [one, other] = [channels[Math.floor(at / k)]!, channels[at % k]!];
      const button = make("button", { type: "button", class: "quiet", onclick: () => this.open(one, other) }, make("span", {}, `${one} – ${other}`), make("span", {}, number(value[at]!, 2)));
      return make("li", { "data-key": `${one},${other}` }, button);
    });
    showItems(get("strongest"), items);
    get("no-strongest").hidden = items.length > 0;
  }

  private showCursor(): void {
    const place = (id: string, cell: Cell | null) => {
      const mark = get(id);
      mark.hidden = !cell || cell.one < 0 || cell.other < 0 || !this.places;
      if (mark.hidden) return;
      const { left, top, cell: side } = this.places!;
      mark.style.left = `${left + cell!.other * side}px`;
      mark.style.top = `${top + cell!.one * side}px`;
      mark.style.width = mark.style.height = `${side}px`;
    };
    place("matrix-pair", this.pair);
    place("matrix-cursor", this.cursor);
    setText(get("matrix-readout"), this.cursor ? this.words(this.cursor) : "Point at a cell for its pair, click it to see the pair over time.");
  }

  /** A cell in words: both channels, value and level. */
  private words({ one, other }: Cell): string {
    const { channels } = this.matrix!;
    if (one === other) return channels[one]!;
    const at = one * channels.length + other;
    const pair = `${channels[one]} – ${channels[other]}`;
    const state = this.cells?.state[at] ?? ABSENT;
    if (state === ABSENT) return `${pair}: not computed yet`;
    if (state === MASKED) return `${pair}: masked, a gap or an edge affects all values`;
    const { value, level, part } = this.cells!;
    const threshold = Number.isNaN(level[at]!) ? "" : `, ${state === BELOW ? "not above" : "above"} the ${number(this.level! * 100)} % level ${number(level[at]!)}`;
    const valid = part[at]! < 1 ? `, of the ${Math.round(100 * part[at]!)} % of values that are valid` : "";
    return `${pair}: R² ${number(value[at]!)}${threshold}${valid}`;
  }

  private listen(): void {
    const { box } = this;
    box.addEventListener("pointermove", (event) => {
      get("matrix-readout").removeAttribute("aria-live");
      this.moveTo(this.cellAt(event));
    });
    box.addEventListener("pointerleave", () => this.moveTo(null));
    box.addEventListener("blur", () => this.moveTo(null));
    box.addEventListener("click", (event) => this.choose(this.cellAt(event)));
    box.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.matrix) return;
      const { one, other } = this.cursor ?? this.pair ?? { one: 0, other: 1 };
      const last = this.matrix.channels.length - 1;
      const keys: Record<string, Cell> = {
        ArrowUp: { one: one - 1, other },
        ArrowDown: { one: one + 1, other },
        ArrowLeft: { one, other: other - 1 },
        ArrowRight: { one, other: other + 1 },
        Home: { one, other: 0 },
        End: { one, other: last },
      };
      const to = keys[event.key];
      if (!to && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      // What a pointer passes over is not read out.
      get("matrix-readout").setAttribute("aria-live", "polite");
      if (to) this.moveTo({ one: Math.min(Math.max(to.one, 0), last), other: Math.min(Math.max(to.other, 0), last) });
      else this.choose(this.cursor);
    });
  }

  private moveTo(cell: Cell | null): void {
    this.cursor = cell;
    if (this.matrix) this.showCursor();
  }

  private choose(cell: Cell | null): void {
    if (!this.matrix || !cell || cell.one === cell.other) return;
    const [one, other] = [Math.min(cell.one, cell.other), Math.max(cell.one, cell.other)];
    this.open(this.matrix.channels[one]!, this.matrix.channels[other]!);
  }

  private cellAt(event: MouseEvent): Cell | null {
    if (!this.places || !this.matrix) return null;
    const box = this.box.getBoundingClientRect();
    const { left, top, cell } = this.places;
    const one = Math.floor((event.clientY - box.top - top) / cell);
    const other = Math.floor((event.clientX - box.left - left) / cell);
    const k = this.matrix.channels.length;
    return one >= 0 && other >= 0 && one < k && other < k ? { one, other } : null;
  }
}

/** The channels of an analysis of all pairs: all of the stream, unless it names them. */
export function channelsOf(definition: StreamDefinition, { channels = [] }: Analysis): string[] {
  return channels.length ? channels : definition.channels.map(({ name }) => name);
}

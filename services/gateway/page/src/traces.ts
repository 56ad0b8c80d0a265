/** Samples of a few channels, and their curves. */
import uPlot from "uplot";
import { colour, make } from "./dom.ts";
import { number } from "./format.ts";
import type { SampleStore } from "./sample_store.ts";

export const AXIS_WIDTH = 56;

/** One small plot above another for each channel, without a time axis: the scalogram below has it. */
export class Traces {
  private plots: uPlot[] = [];
  private labels: string[] = [];
  private observer = new ResizeObserver(() => this.resize());

  constructor(private readonly container: HTMLElement) {
    this.observer.observe(container);
  }

  /** Start with these channels; `labels` have name and unit. */
  show(labels: string[]): void {
    this.labels = labels;
    this.plots.forEach((plot) => plot.destroy());
    this.container.replaceChildren();
    this.plots = labels.map((label, i) => this.plot(label, i));
  }

  restyle(): void {
    this.show(this.labels);
  }

  draw(store: SampleStore, start: number, stop: number, fs: number): void {
    this.plots.forEach((plot, channel) => {
      plot.batch(() => {
        plot.setData(store.curve(channel, start, stop, fs, plot.width) as uPlot.AlignedData, false);
        plot.setScale("x", { min: start / fs, max: stop / fs });
        const values = plot.data[1] as (number | null)[];
        let low = Infinity;
        let high = -Infinity;
        for (const value of values) {
          if (value === null) continue;
          if (value < low) low = value;
          if (value > high) high = value;
        }
        const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
        if (low <= high) plot.setScale("y", { min: low - margin, max: high + margin });
      });
    });
  }

  private plot(label: string, channel: number): uPlot {
    const root = make("div", { class: "trace" });
    root.append(make("span", { class: `trace-label trace-${channel}` }, label));
    this.container.append(root);
    const { width, height } = this.size();
    const axis = colour("--muted");
    const options: uPlot.Options = {
      width,
      height,
      padding: [5, 0, 5, 0],
      legend: { show: false },
      cursor: { show: false },
      select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { show: false },
        {
          size: AXIS_WIDTH,
          stroke: axis,
          font: `11px ${colour("--font")}`,
          grid: { stroke: colour("--grid"), width: 1 },
          ticks: { show: false },
          gap: 6,
          space: 22,
          values: (_, splits) => splits.map((value) => number(value)),
        },
      ],
      series: [{}, { stroke: colour(`--trace-${channel % 2}`), width: 1, spanGaps: false, points: { show: false } }],
    };
    return new uPlot(options, [[], []], root);
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(this.container.clientWidth, 80), height: innerWidth < 600 ? 60 : 76 };
  }

  private resize(): void {
    this.plots.forEach((plot) => plot.setSize(this.size()));
  }
}

/** Around the plots: streams, events, jobs, workers and hardware. */
import type { Client, Job, StreamEvent, StreamStatus } from "./client.ts";
import { get, make, showItems, toast } from "./dom.ts";
import { duration, number, rate, timeOfDay } from "./format.ts";

/** A stream that has sent nothing for this long is idle. */
const IDLE_S = 5;
const MAX_EVENTS = 200;
const EVENT_PAGE = 1000;
const EVENTS_EVERY_MS = 15_000;

export class StreamList {
  streams: StreamStatus[] = [];
  private chosen = "";
  private gaps = new Map<string, { next: number; gaps: number; readAt: number }>();

  constructor(
    private readonly client: Client,
    private readonly open: (name: string) => void,
  ) {}

  async refresh(): Promise<void> {
    this.streams = await this.client.streams();
    this.show();
    void this.countAllGaps().catch(() => undefined);
  }

  private async countAllGaps(): Promise<void> {
    await Promise.all(this.streams.slice(0, 50).map((each) => this.countGaps(each.definition.name)));
    this.show();
  }

  choose(name: string): void {
    this.chosen = name;
    this.show();
  }

  update(status: StreamStatus): void {
    const at = this.streams.findIndex((each) => each.definition.name === status.definition.name);
    if (at >= 0) this.streams[at] = status;
    this.show();
  }

  gapsOf(name: string): number | undefined {
    return this.gaps.get(name)?.gaps;
  }

  countGap(event: StreamEvent): void {
    const known = this.gaps.get(event.stream);
    if (known && event.kind === "gap") known.readAt = 0;
  }

  private async countGaps(name: string): Promise<void> {
    const known = this.gaps.get(name) ?? { next: 1, gaps: 0, readAt: 0 };
    if (Date.now() - known.readAt < EVENTS_EVERY_MS) return;
    known.readAt = Date.now();
    this.gaps.set(name, known);
    for (let next: number | null = known.next; next !== null; ) {
      const page: Awaited<ReturnType<Client["events"]>> = await this.client.events(name, { from: next, limit: EVENT_PAGE });
      for (const { event } of page.items) if (event.kind === "gap") known.gaps += event.count ?? 1;
      known.next = page.next ?? (page.items.at(-1)?.seq ?? known.next - 1) + 1;
      next = page.next;
    }
  }

  private show(): void {
    const list = get("streams");
    get("no-streams").hidden = this.streams.length > 0;
    showItems(list, this.streams.map((each) => this.item(each)));
  }

  private item(status: StreamStatus): HTMLElement {
    const { definition, lag, clock: device, last_chunk_ns: last } = status;
    const idle = last ? (Date.now() - last / 1e6) / 1000 : Infinity;
    const live = idle < IDLE_S;
    const gaps = this.gapsOf(definition.name);
    const since = live ? "live" : last ? `idle for ${duration(idle)}` : "no data yet";
    const facts: [string, string, boolean][] = [
      ["rate", rate(definition.fs_hz), false],
      ["lag", lag.seconds ? duration(lag.seconds) : "none", lag.seconds > 5],
      ["drift", device ? `${number(device.drift_ppm, 2)} ppm` : "–", Math.abs(device?.drift_ppm ?? 0) > 1000],
      ["gaps", gaps === undefined ? "–" : String(gaps), (gaps ?? 0) > 0],
    ];
    const { name } = definition;
    const button = make(
      "button",
      { type: "button", class: "stream", "aria-current": String(name === this.chosen), onclick: () => this.open(name) },
      make("span", { class: "name" }, name),
      make("span", { class: live ? "since live" : "since" }, since),
      make("span", { class: "facts" }, ...facts.map(([label, text, bad]) => make("span", { class: bad ? "bad" : "" }, make("small", {}, label), ` ${text}`))),
    );
    return make("li", { "data-key": name }, button);
  }
}

export class EventList {
  private events: StreamEvent[] = [];

  constructor(private readonly goTo: (event: StreamEvent) => void) {}

  clear(): void {
    this.events = [];
    this.show();
  }

  add(...events: StreamEvent[]): void {
    const known = new Map([...this.events, ...events].map((event) => [event.id, event]));
    const newestFirst = (a: StreamEvent, b: StreamEvent) => b.t_ns - a.t_ns || (b.first_sample ?? 0) - (a.first_sample ?? 0);
    this.events = [...known.values()].sort(newestFirst).slice(0, MAX_EVENTS);
    this.show();
  }

  private show(): void {
    get("no-events").hidden = this.events.length > 0;
    get("events-count").textContent = this.events.length ? String(this.events.length) : "";
    showItems(get("events"), this.events.map((event) => this.item(event)));
  }

  private item(event: StreamEvent): HTMLElement {
    const size = event.n_samples ? `, ${event.n_samples} samples` : "";
    const times = (event.count ?? 1) > 1 ? `${event.count} times` : "";
    const where = event.first_sample != null ? `sample ${event.first_sample}${size}` : "";
    const text = [
      make("time", {}, timeOfDay(event.t_ns)),
      make("b", { class: `kind ${event.kind}` }, event.kind),
      make("span", {}, [times, event.channel, where, event.detail].filter(Boolean).join(" – ")),
    ];
    if (event.first_sample == null) return make("li", { "data-key": event.id }, make("span", { class: "event" }, ...text));
    const button = make("button", { type: "button", class: "event", title: "Show this place", onclick: () => this.goTo(event) }, ...text);
    return make("li", { "data-key": event.id }, button);
  }
}

export class JobList {
  constructor(private readonly client: Client) {}

  async refresh(): Promise<void> {
    let jobs: Job[];
    try {
      jobs = await this.client.jobs({ limit: 20 });
    } catch (error) {
      showItems(get("jobs"), [make("li", { class: "muted", "data-key": "" }, (error as Error).message)]);
      return;
    }
    const none = "No jobs. Submit some with pycwt-mod job submit, or POST /api/v1/jobs.";
    showItems(get("jobs"), jobs.length ? jobs.map((job) => this.item(job)) : [make("li", { class: "muted", "data-key": "" }, none)]);
  }

  private item(job: Job): HTMLElement {
    const title = job.name || job.job_id;
    const act = (label: string, action: () => Promise<Job>) =>
      make("button", { type: "button", class: "small", "data-key": label, "aria-label": `${label} job ${title}`, onclick: () => void action().catch((error: Error) => toast(error.message, "error")).then(() => this.refresh()) }, label);
    const failed = job.failed ? `, ${job.failed} failed` : "";
    const actions = job.status === "running" || job.status === "queued" ? [act("Cancel", () => this.client.cancelJob(job.job_id))] : job.status === "completed" ? [] : [act("Retry", () => this.client.retryJob(job.job_id))];
    return make(
      "li",
      { class: "job", "data-key": job.job_id },
      make("span", { class: "name" }, title),
      make("span", { class: `kind ${job.status}` }, job.status),
      make("progress", { max: "100", value: String(job.progress), "aria-label": `Progress of ${title}` }),
      make("span", { class: "muted" }, `${job.done} of ${job.tasks_count}${failed}`),
      ...actions,
    );
  }
}

/** Workers, backends and hardware; read when the panel is opened. */
export async function showSystem(client: Client): Promise<void> {
  const [health, backends, hardware] = await Promise.allSettled([client.health(), client.backends(), client.hardware()]);
  const rows: HTMLElement[] = [];
  const row = (name: string, ok: boolean, text: string) =>
    rows.push(make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, make("span", { class: ok ? "ok" : "off" }, ok ? "available" : "not available")), make("td", {}, text)));
  if (health.status === "fulfilled") {
    const { status, lag, problems, version } = health.value;
    row("Workers and storage", status === "healthy", problems.length ? problems.join("; ") : `version ${version}, ${lag ?? 0} windows waiting`);
  } else row("Workers and storage", false, String(health.reason.message));
  if (backends.status === "fulfilled") {
    for (const each of backends.value.backends) row(`Backend ${each.name}`, each.available, each.error || each.description);
  }
  if (hardware.status === "fulfilled") {
    for (const [name, each] of Object.entries(hardware.value)) row(NAMES[name] ?? name, each.available, each.error || each.status || "");
  }
  get("system").replaceChildren(...rows);
}

const NAMES: Record<string, string> = { fpga: "FPGA", embedded: "Microcontroller", gpu: "GPU", cpu: "Processor" };

/** The page: opens the first stream with a coherence, and joins its parts. */
import "uplot/dist/uPlot.min.css";
import "./live.css";
import { Client, type Page, type StreamEvent, type StreamStatus } from "./client.ts";
import { get, toast } from "./dom.ts";
import { setUpForms } from "./forms.ts";
import { EventList, JobList, showSystem, StreamList } from "./panels.ts";
import { SignIn } from "./sign_in.ts";
import { View, type Connection } from "./view.ts";

const STREAMS_EVERY_MS = 3000;
const JOBS_EVERY_MS = 2000;
const EVENTS_LIMIT = 1000;

const client: Client = new Client(undefined, { unauthorized: (reason) => signIn.ask(reason) });
let connection: Connection = { state: "connecting", retryAt: 0, reason: "" };
let opened = "";

const view = new View(client, {
  connection: showConnection,
  event: (event) => {
    events.add(event);
    streams.countGap(event);
  },
  status: (status) => streams.update(status),
  opened: (status) => void showEvents(status),
});
const streams = new StreamList(client, (name) => void view.open(name));
const jobs = new JobList(client);
const events = new EventList((event) => {
  const fs = view.status?.definition.fs_hz ?? 1;
  if (event.epoch && event.epoch !== view.status?.epoch) toast("This event is of an earlier run of the device.");
  else view.goTo(event.first_sample! + (event.n_samples ?? 0) + 10 * fs);
});

const signIn = new SignIn(client, () => {
  void refreshStreams();
  view.reconnect();
});

async function showEvents(status: StreamStatus): Promise<void> {
  const { name } = status.definition;
  streams.choose(name);
  if (name === opened) return;
  opened = name;
  events.clear();
  for (let next: number | null = 1; next !== null; ) {
    const page: Page<{ event: StreamEvent }> | null = await client.events(name, { from: next, limit: EVENTS_LIMIT }).catch(() => null);
    if (!page || name !== opened) return;
    events.add(...page.items.map(({ event }) => event));
    next = page.next;
  }
}

/** Read the streams, and open one if none is. */
async function refreshStreams(): Promise<void> {
  try {
    await streams.refresh();
  } catch (error) {
    // The connection of the stream that is shown says so itself.
    if (!view.status) showConnection({ state: "lost", retryAt: Date.now() + STREAMS_EVERY_MS, reason: (error as Error).message });
    return;
  }
  if (view.status) return;
  if (!streams.streams.length) {
    showConnection({ state: "idle", retryAt: 0, reason: "" });
    return;
  }
  const asked = new URLSearchParams(location.hash.slice(1));
  const byName = streams.streams.find(({ definition }) => definition.name === asked.get("stream"));
  const coherent = ({ definition }: StreamStatus) => (definition.analyses ?? []).some(({ op }) => op === "wct");
  const first = byName ?? streams.streams.find((each) => coherent(each) && each.chunks > 0) ?? streams.streams.find(coherent) ?? streams.streams[0]!;
  await view.open(first.definition.name, asked.get("analysis") ?? undefined, asked.get("channels") ?? undefined);
}

function showConnection(news: Connection): void {
  connection = news;
  const { state, reason } = connection;
  const text = {
    idle: "Connected",
    connecting: "Connecting …",
    open: "Connected",
    lost: "Connection lost",
    refused: `Refused: ${reason || "unknown stream"}`,
    closed: "Not connected",
  }[state];
  get("connection").dataset.state = state === "idle" ? "open" : state;
  // A screen reader tells what is written, though it is the same.
  if (get("connection-text").textContent !== text) get("connection-text").textContent = text;
  if (get("lost").hidden !== (state !== "lost")) get("lost").hidden = state !== "lost";
  showWait();
}

function showWait(): void {
  const wait = Math.ceil((connection.retryAt - Date.now()) / 1000);
  get("lost-wait").textContent = wait > 0 ? `Next attempt in ${wait} s.` : "";
}

/** Repeat while the page is visible. */
function every(milliseconds: number, action: () => unknown): void {
  setInterval(() => {
    if (!document.hidden) action();
  }, milliseconds);
}

const isOpen = (id: string) => get<HTMLDetailsElement>(id).open;

function setUpControls(): void {
  get("pause").addEventListener("click", () => view.toggle());
  get<HTMLSelectElement>("analysis").addEventListener("change", (event) => void view.choose((event.target as HTMLSelectElement).value));
  get<HTMLSelectElement>("pair").addEventListener("change", (event) => {
    void view.choose(get<HTMLSelectElement>("analysis").value, (event.target as HTMLSelectElement).value);
  });
  get<HTMLSelectElement>("span").addEventListener("change", (event) => view.setSpan(Number((event.target as HTMLSelectElement).value)));
  get("earlier").addEventListener("click", () => view.scroll(-0.5));
  get("later").addEventListener("click", () => view.scroll(0.5));
  const [low, high] = [get<HTMLInputElement>("band-low"), get<HTMLInputElement>("band-high")];
  for (const input of [low, high]) {
    input.addEventListener("change", () => {
      const [from, to] = [number(low.value, 0), number(high.value, Infinity)];
      const isPossible = from >= 0 && from < to;
      input.setCustomValidity(isPossible ? "" : "Two frequencies in Hz, the lower one first.");
      if (!input.reportValidity()) return;
      low.setCustomValidity("");
      high.setCustomValidity("");
      view.setBand(from, to);
    });
  }
  for (const kind of ["png", "csv", "npz"] as const) {
    get(`download-${kind}`).addEventListener("click", () => {
      view.download(kind);
      get<HTMLDetailsElement>("download").open = false;
    });
  }
  get("picked-close").addEventListener("click", () => view.pick(null));
  get("copy").addEventListener("click", () => {
    navigator.clipboard.writeText(get("command").textContent ?? "").then(
      () => toast("Copied."),
      () => toast("The browser does not allow copying; select the command instead.", "error"),
    );
  });
  get("retry").addEventListener("click", () => view.reconnect());
  get("theme").addEventListener("click", toggleTheme);
  get("help-open").addEventListener("click", () => get<HTMLDialogElement>("help").showModal());
  get("help-close").addEventListener("click", () => get<HTMLDialogElement>("help").close());
  get("jobs-panel").addEventListener("toggle", () => isOpen("jobs-panel") && void jobs.refresh());
  get("system-panel").addEventListener("toggle", () => isOpen("system-panel") && void showSystem(client));
}

/** A number that was typed, with a point or a comma. */
function number(text: string, missing: number): number {
  return text.trim() ? Number(text.replace(",", ".")) : missing;
}

function toggleTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
}

function setTheme(theme: string): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // A browser that stores nothing for this page.
  }
  view.restyle();
}

const KEYS: Record<string, () => void> = {
  " ": () => view.toggle(),
  ArrowLeft: () => view.scroll(-0.25),
  ArrowRight: () => view.scroll(0.25),
  PageUp: () => view.scroll(-1),
  PageDown: () => view.scroll(1),
  Home: () => view.goTo(0),
  End: () => view.follow(),
  "+": () => view.zoom(-1),
  "-": () => view.zoom(1),
  p: () => view.nextPair(),
  t: toggleTheme,
  "?": () => get<HTMLDialogElement>("help").showModal(),
  Escape: () => view.pick(null),
};
const CURSOR_KEYS: Record<string, () => void> = {
  ArrowLeft: () => view.moveCursor(-1, 0),
  ArrowRight: () => view.moveCursor(1, 0),
  ArrowUp: () => view.moveCursor(0, -1),
  ArrowDown: () => view.moveCursor(0, 1),
  Enter: () => view.pickCursor(),
};

function setUpKeys(): void {
  addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // Elsewhere they scroll the page, or are what a screen reader is told.
    if (target.id !== "plot" || !view.status) return;
    const action = ((event.shiftKey || event.key === "Enter" || event.key.endsWith("Up") || event.key.endsWith("Down")) ? CURSOR_KEYS[event.key] : undefined) ?? KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function setUpVisibility(): void {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      view.hide();
    } else {
      view.wake();
      void refreshStreams();
    }
  });
}

try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // As above.
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.restyle());
setUpControls();
setUpKeys();
setUpVisibility();
setUpForms(client, (name) => {
  void refreshStreams().then(() => view.open(name));
});
void signIn.start().then(refreshStreams);
every(STREAMS_EVERY_MS, () => void refreshStreams());
every(JOBS_EVERY_MS, () => isOpen("jobs-panel") && void jobs.refresh());
addEventListener("hashchange", () => {
  const asked = new URLSearchParams(location.hash.slice(1));
  const name = asked.get("stream");
  if (name) void view.open(name, asked.get("analysis") ?? undefined, asked.get("channels") ?? undefined);
});
every(500, () => connection.state === "lost" && showWait());

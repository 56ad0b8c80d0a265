/** Queries, jobs, streams and live results of a gateway over HTTP and WebSocket.
 *
 * For browsers and for Node 22 or newer. Fields and types of messages that this version does not
 * know are passed on or ignored. docs/http-reference.md describes the interface.
 */

import { unpacked } from "./packed.ts";

/** A real matrix as nested lists; null is a missing value. */
export type Matrix = (number | null)[][];
/** The innermost pair is [re, im]. */
export type ComplexMatrix = ([number | null, number | null] | null)[][];

export interface TimeAxis {
  first_sample: number;
  step: number;
  n: number;
}

/** The samples that a result was computed from. */
export interface InputSpan {
  first_sample: number;
  n_samples: number;
}

/** What computed a result, and where. */
export interface Engine {
  library: string;
  version: string;
  backend: string;
  worker: string;
}

/** Nanoseconds UTC, by the clocks of the services. */
export interface ResultTimes {
  received: number;
  windowed: number;
  computed: number;
}

export type Op = "cwt" | "xwt" | "wct" | "pwct" | "mwct";

/** One octave of one channel or pair over one stretch of time. */
export interface AnalysisResult {
  id: string;
  stream: string;
  epoch: string;
  analysis: string;
  op: Op;
  channels: string[];
  octave: number;
  freqs_hz: number[];
  scales_s: number[];
  t: TimeAxis;
  fs_hz?: number | null;
  t0_ns?: number | null;
  /** By the newest time stamp of the device alone. */
  t0_raw_ns?: number | null;
  values: Matrix | ComplexMatrix;
  phase?: Matrix | null;
  signif?: (number | null)[] | null;
  signif_method?: "table" | "monte-carlo" | null;
  mask?: number[][] | null;
  input: InputSpan;
  spec_hash: string;
  engine: Engine;
  times_ns: ResultTimes;
}

/** The mean of some scales of an octave. */
export interface PairBand {
  band_hz: number[];
  n_scales: number;
}

/** One octave of all pairs of channels over one stretch of time, or of some of them. */
export interface PairsResult {
  id: string;
  stream: string;
  epoch: string;
  analysis: string;
  op: Op;
  channels: string[];
  /** Places in `channels`. */
  pairs: number[][];
  first_pair: number;
  total_pairs: number;
  octave: number;
  freqs_hz: number[];
  scales_s: number[];
  /** Of each row; null: each row is a scale. */
  bands?: PairBand[] | null;
  t: TimeAxis;
  fs_hz: number;
  t0_ns?: number | null;
  t0_raw_ns?: number | null;
  /** By pair, row and column. */
  values: Matrix[];
  phase?: Matrix[] | null;
  /** By pair and row. */
  signif?: Matrix | null;
  signif_method?: "table" | "monte-carlo" | null;
  /** By channel, row and column. */
  mask?: number[][][] | null;
  input: InputSpan;
  spec_hash: string;
  engine: Engine;
  times_ns: ResultTimes;
}

export type LiveResult = AnalysisResult | PairsResult;

export type EventKind =
  | "gap"
  | "overlap"
  | "reset"
  | "rejected"
  | "missing"
  | "recovered"
  | "flat"
  | "copy"
  | "singular"
  | "calibration"
  | "lag"
  | "dropped"
  | "rate"
  | "clock";

export interface StreamEvent {
  id: string;
  stream: string;
  epoch?: string | null;
  /** Later versions have more kinds. */
  kind: EventKind | (string & {});
  /** The channel it is about, where that is one. */
  channel?: string | null;
  first_sample?: number | null;
  n_samples?: number | null;
  /** How many events it stands for: where they come too fast, they are added up. */
  count?: number;
  detail?: string;
  t_ns: number;
}

export interface SignificanceSpec {
  level?: number;
}

/** A note about a moment or a stretch of a stream. */
export interface Marker {
  stream: string;
  /** Without it, the run of the device at `t_ns`. */
  epoch?: string | null;
  /** Either the position, or the time by the device's clock. */
  first_sample?: number | null;
  t_ns?: number | null;
  /** Neither: a moment. */
  n_samples?: number | null;
  duration_s?: number | null;
  channel?: string | null;
  text: string;
}

/** A marker to be set; without a place it is at the next sample. */
export type MarkerNote = Omit<Marker, "stream">;

export interface Analysis {
  name: string;
  op: Op;
  channels?: string[];
  /** "all": the results are of type `PairsResult`. */
  pairs?: string[][] | "all";
  bands?: number[][];
  decimate?: number;
  phase?: boolean;
  given?: string[];
  target?: string | null;
  deltaj0?: number | null;
  provisional?: ProvisionalSpec | null;
  wavelet?: "morlet" | "paul" | "dog";
  param?: number;
  voices_per_octave?: number;
  fmin_hz: number;
  fmax_hz: number;
  hop_s: number;
  quantity: "complex" | "power" | "amplitude" | "phase" | "coherence";
  significance?: SignificanceSpec | null;
  convention?: "standard" | "pycwt";
}

export interface Channel {
  name: string;
  unit?: string | null;
}

export interface StreamDefinition {
  name: string;
  fs_hz: number;
  channels: Channel[];
  analyses?: Analysis[];
  /** Place in the signal log at which the stream starts. */
  start_seq?: number | null;
  reorder_s?: number;
  when_behind?: "keep" | "latest";
  stale_after_s?: number | null;
  /** User of the bus who owns the stream, if known. */
  defined_by?: string | null;
}

/** The device's clock against its count of samples. */
export interface ClockStatus {
  drift_ppm: number;
  jitter_s: number;
  stamps: number;
  steps: number;
  fs_hz?: number | null;
  outliers?: number;
}

/** How far the computation is behind the device. */
export interface StreamLag {
  chunks: number;
  windows: number;
  seconds: number;
}

/** Estimates of the newest coefficients. */
export interface ProvisionalSpec {
  max_error?: number | null;
  delay_s?: number | null;
  quantities?: ("complex" | "amplitude" | "phase")[];
}

/** Estimates of one octave of an analysis, compared with their exact values. */
export interface ProvisionalStatus {
  analysis: string;
  octave: number;
  fitted?: number | null;
  compared: number;
  /** By quantity. */
  coverage: Record<string, number>;
  scale: Record<string, number>;
}

export interface StreamStatus {
  definition: StreamDefinition;
  owner?: string | null;
  /** Whether chunks say where they belong; null until the first one came. */
  sequenced?: boolean | null;
  epoch?: string | null;
  next_sample?: number | null;
  chunks: number;
  windows: number;
  last_chunk_ns?: number | null;
  clock?: ClockStatus | null;
  last_seq?: number | null;
  ended_epochs?: string[];
  lag: StreamLag;
  /** Only in the reply to a definition. */
  results_bytes_per_s?: number | null;
  provisional?: ProvisionalStatus[];
}

/** How many messages of a stream were removed. */
export interface StreamPurged {
  name: string;
  chunks: number;
  windows: number;
  results: number;
  events: number;
  markers?: number;
  dead_letters: number;
}

/** Samples of a stream, (time, channel). */
export interface Samples {
  epoch: string;
  first_sample: number | null;
  t0_ns?: number | null;
  channels: string[];
  samples: Matrix;
}

export interface Page<T> {
  items: ({ seq: number } & T)[];
  next: number | null;
}

export interface PageOptions {
  from?: number | string;
  to?: number | string;
  limit?: number;
}

export interface Job {
  job_id: string;
  name?: string | null;
  status: "queued" | "running" | "completed" | "failed" | "cancelled";
  progress: number;
  tasks_count: number;
  done: number;
  failed: number;
  /** State of each task; in replies about one job. */
  results?: Json[];
  created_ns: number;
  started_ns?: number | null;
  finished_ns?: number | null;
  attempt?: number;
  /** User of the bus who owns the job, if known. */
  submitted_by?: string | null;
}

/** A refusal or a failure; `code` does not change between versions. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
  }
}

type Json = Record<string, unknown>;

/** What a browser has in place of a key; it expires after 15 minutes and can be continued for 12 hours. */
export interface Session {
  token: string;
  /** Nanoseconds UTC. */
  expires_ns: number;
  name: string;
  role: "device" | "reader" | "analyst" | "operator";
  /** The user of NATS whose permissions it has. */
  user: string;
}

export interface ClientOptions {
  /** Sent with every request; a page of the gateway signs in instead, and then has a cookie. */
  key?: string;
  /** Called when the gateway asks for a key, or refuses it. */
  unauthorized?(reason: string): void;
}

export class Client {
  readonly base: string;

  /** @param base Address of the gateway, such as `http://127.0.0.1:8000`; in a page, its own. */
  constructor(
    base: string = globalThis.location?.origin ?? "http://127.0.0.1:8000",
    private readonly options: ClientOptions = {},
  ) {
    this.base = base.replace(/\/+$/, "");
  }

  // Keys

  /** Begin a session with a key, or without one continue the session of the cookie. */
  async signIn(key?: string): Promise<Session> {
    const headers = authorization(key);
    return (await (await this.fetch("POST", "/api/v1/session", { headers })).json()) as Session;
  }

  /** Remove the cookie of the session. */
  async signOut(): Promise<void> {
    await this.fetch("DELETE", "/api/v1/session", {});
  }

  // Queries

  cwt = (request: Json) => this.query("cwt", request);
  xwt = (request: Json) => this.query("xwt", request);
  wct = (request: Json) => this.query("wct", request);
  significance = (request: Json) => this.query("significance", request);

  query<T = Json>(op: string, request: Json): Promise<T> {
    return this.request("POST", `/api/v1/wavelet/${encodeURIComponent(op)}`, request);
  }

  backends(): Promise<{ backends: { name: string; available: boolean; description: string; type: string; error?: string | null }[] }> {
    return this.request("GET", "/api/v1/backends/");
  }

  hardware(): Promise<Record<string, { available: boolean; status?: string | null; error?: string | null }>> {
    return this.request("GET", "/api/v1/hardware/detect");
  }

  benchmark(request: Json): Promise<Json> {
    return this.request("POST", "/api/v1/benchmark", request);
  }

  /** Whether the system works; an unhealthy one is an answer here and not an error. */
  async health(): Promise<{ status: string; version: string; lag: number | null; problems: string[] }> {
    const response = await fetch(`${this.base}/health`);
    const report = await response.json().catch(() => null);
    if (typeof report?.status === "string" || report === null) {
      return report ?? { status: "unhealthy", version: "", lag: null, problems: [response.statusText] };
    }
    return { status: "unhealthy", version: "", lag: null, problems: [String(report.detail ?? report.status)] };
  }

  // Jobs

  submit(tasks: Json[], options: { name?: string; job_id?: string } = {}): Promise<Job> {
    return this.request("POST", "/api/v1/jobs", { ...options, tasks });
  }

  async jobs(options: { status?: string; limit?: number } = {}): Promise<Job[]> {
    const reply = await this.request<{ jobs: Job[] }>("GET", `/api/v1/jobs${asQuery(options)}`);
    return reply.jobs;
  }

  job(id: string): Promise<Job> {
    return this.request("GET", `/api/v1/jobs/${encodeURIComponent(id)}`);
  }

  jobResult(id: string, task: number | string): Promise<Json> {
    return this.request("GET", `/api/v1/jobs/${encodeURIComponent(id)}/results/${task}`);
  }

  cancelJob(id: string): Promise<Job> {
    return this.request("DELETE", `/api/v1/jobs/${encodeURIComponent(id)}`);
  }

  retryJob(id: string): Promise<Job> {
    return this.request("POST", `/api/v1/jobs/${encodeURIComponent(id)}/retry`, {});
  }

  /** Progress of a job until it ends, now and at every change; asks again after a break. */
  async *jobProgress(id: string, signal?: AbortSignal): AsyncGenerator<Job> {
    let last = "";
    for (let attempts = 0; ; attempts++) {
      try {
        for await (const { event, data } of this.jobEvents(id, signal)) {
          attempts = 0;
          const told = JSON.parse(data) as Job | Json;
          if ("code" in told) throw new ApiError(String(told.detail), Number(told.status), String(told.code));
          if (data !== last) yield told as Job;
          last = data;
          if (event === "end") return;
        }
      } catch (error) {
        // What was never answered is an error; what was is asked for again.
        if (!last || signal?.aborted || !(error instanceof TypeError || isPassing(error))) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, retryWait(attempts) * 1000));
    }
  }

  private async *jobEvents(id: string, signal?: AbortSignal): AsyncGenerator<{ event: string; data: string }> {
    const path = `/api/v1/jobs/${encodeURIComponent(id)}/events`;
    const response = await this.fetch("GET", path, { headers: { Accept: "text/event-stream" }, signal });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        text += value.replaceAll("\r", "");
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          const field = (name: string) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim()).join("\n");
          if (field("data")) yield { event: field("event"), data: field("data") };
        }
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  // Streams

  async streams(): Promise<StreamStatus[]> {
    return (await this.request<{ streams: StreamStatus[] }>("GET", "/api/v1/streams")).streams;
  }

  stream(name: string): Promise<StreamStatus> {
    return this.request("GET", streamPath(name));
  }

  putStream(definition: StreamDefinition): Promise<StreamStatus> {
    return this.request("PUT", streamPath(definition.name), definition as unknown as Json);
  }

  /** End a stream; its samples and results stay. */
  deleteStream(name: string): Promise<StreamStatus> {
    return this.request("DELETE", streamPath(name));
  }

  /** Remove all that is stored of a stream that was deleted. */
  purgeStream(name: string): Promise<StreamPurged> {
    return this.request("DELETE", `${streamPath(name)}/data`);
  }

  /** Publish a chunk: `{samples, epoch, first_sample?, t0_ns?, final?}`. */
  publish(name: string, chunk: Json): Promise<Json> {
    return this.request("POST", `${streamPath(name)}/chunks`, { schema: "signal.chunk/1", ...chunk });
  }

  /** Publish a CSV, EDF, BDF, WAV or XDF file; a stream that does not exist is defined.
   *
   * Options such as `fs_hz`, `coherence` and `band` are in docs/http-reference.md.
   */
  async uploadRecording(name: string, filename: string, body: Blob, options: Json = {}): Promise<Json> {
    const path = `${streamPath(name)}/recording${asQuery({ filename, ...options })}`;
    const headers = { "Content-Type": "application/octet-stream" };
    return (await (await this.fetch("POST", path, { headers, body })).json()) as Json;
  }

  /** `packed`: in msgpack, which is faster where results are large; see `LiveOptions`. */
  async results(name: string, { packed, ...options }: PageOptions & { analysis?: string; packed?: boolean } = {}): Promise<Page<{ result: LiveResult }>> {
    const path = `${streamPath(name)}/results${asQuery(options)}`;
    if (!packed) return this.request("GET", path);
    const response = await this.fetch("GET", path, { headers: { Accept: MSGPACK } });
    return unpacked(await response.arrayBuffer()) as Page<{ result: LiveResult }>;
  }

  events(name: string, options: PageOptions = {}): Promise<Page<{ event: StreamEvent }>> {
    return this.request("GET", `${streamPath(name)}/events${asQuery(options)}`);
  }

  markers(name: string, options: PageOptions = {}): Promise<Page<{ marker: Marker }>> {
    return this.request("GET", `${streamPath(name)}/markers${asQuery(options)}`);
  }

  mark(name: string, note: MarkerNote): Promise<Marker> {
    return this.request("POST", `${streamPath(name)}/markers`, { ...note });
  }

  samples(name: string, options: PageOptions & { channels?: string } = {}): Promise<Page<{ chunk: Samples }>> {
    return this.request("GET", `${streamPath(name)}/samples${asQuery(options)}`);
  }

  /** A whole analysis as a file: NumPy archive, table, netCDF or picture. `channels` is one channel set, such as `c3,c4`. */
  async export(
    name: string,
    format: "npz" | "csv" | "netcdf" | "png",
    options: { analysis?: string; channels?: string; epoch?: string; step_s?: number } = {},
  ): Promise<Blob> {
    const response = await this.fetch("GET", `${streamPath(name)}/export${asQuery({ format, ...options })}`, {});
    return response.blob();
  }

  /** Follow a stream; the connection is made again after a break, without loss or repetition. */
  live(name: string, handlers: LiveHandlers, options: LiveOptions = {}): LiveSocket {
    // A WebSocket of a browser sends cookies and no headers.
    const session = this.options.key ? async () => (await this.signIn()).token : undefined;
    return new LiveSocket(this.base, name, handlers, options, session);
  }

  private async request<T>(method: string, path: string, body?: Json): Promise<T> {
    const init: RequestInit = { headers: { Accept: "application/json" } };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { ...init.headers, "Content-Type": "application/json" };
    }
    return (await (await this.fetch(method, path, init)).json()) as T;
  }

  private async fetch(method: string, path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.base + path, { ...init, method, headers: { ...authorization(this.options.key), ...(init.headers as Record<string, string>) } });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError(`cannot reach the gateway at ${this.base}`, 0, "unreachable");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const message = String(problem.detail ?? `${response.status} ${response.statusText}`);
    if (response.status === UNAUTHORIZED) this.options.unauthorized?.(message);
    throw new ApiError(message, response.status, String(problem.code ?? "unknown"), problem.fields);
  }
}

export type LiveState = "connecting" | "open" | "lost" | "refused" | "closed";

/** What to do with each message; all are optional. */
export interface LiveHandlers {
  /** First message of each connection. */
  ack?(message: { status: StreamStatus; next: number; samples_next: number | null; resumed: boolean }): void;
  result?(result: AnalysisResult, seq: number): void;
  pairs?(result: PairsResult, seq: number): void;
  event?(event: StreamEvent, seq: number): void;
  marker?(marker: Marker, seq: number): void;
  samples?(samples: Samples, seq: number): void;
  status?(status: StreamStatus): void;
  error?(error: { code: string; message: string }): void;
  /** `retry_s`: when the next attempt is made, while the connection is lost. */
  state?(state: LiveState, detail: { retry_s?: number; reason?: string }): void;
}

export interface LiveOptions {
  /** Place in the log or time (RFC 3339) to start at; without it, only new messages come. */
  from?: number | string;
  analysis?: string;
  include?: string[];
  channels?: string[];
  samples_from?: number;
  /** Receive msgpack. Missing values of `PairsResult` are then NaN, and its innermost lists typed arrays. */
  packed?: boolean;
}

/** Attempts to reconnect: the first one soon, later ones at most this far apart. */
const RETRY_FIRST_S = 0.25;
const RETRY_MAX_S = 10;
/** A connection that is silent for this long is tested, and given up if the answer stays out. */
const PING_S = 10;
const PONG_S = 10;
const ABNORMAL = 1006;
const REFUSED = 1008;
const UNAUTHORIZED = 401;
const MSGPACK = "application/msgpack";
const TRY_AGAIN_LATER = 1013;

/** Whether asking again later may help. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

/** Seconds until the next attempt. Many pages that lost the same gateway do not come back at the same instant. */
export function retryWait(attempts: number): number {
  return Math.min(RETRY_FIRST_S * 2 ** attempts, RETRY_MAX_S) * (0.5 + Math.random() / 2);
}

/** A connection to `/ws/streams/{name}` that resumes where it broke. */
export class LiveSocket {
  state: LiveState = "connecting";
  /** Next message of results and events, and of samples, that is expected. */
  next: number | string | undefined;
  samplesNext: number | undefined;
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private attempts = 0;

  constructor(
    private readonly base: string,
    readonly name: string,
    private readonly handlers: LiveHandlers,
    private readonly options: LiveOptions = {},
    /** Returns a session for the address, where the gateway needs a key and there is no cookie. */
    private readonly session?: () => Promise<string>,
  ) {
    this.next = options.from;
    this.samplesNext = options.samples_from;
    void this.connect();
  }

  close(): void {
    clearTimeout(this.timer);
    this.drop();
    this.become("closed", {});
  }

  /** Try now instead of when it is time. */
  retry(): void {
    if (this.state !== "lost") return;
    clearTimeout(this.timer);
    void this.connect();
  }

  private async connect(): Promise<void> {
    this.become("connecting", {});
    let session: string | undefined;
    if (this.session) {
      try {
        session = await this.session();
      } catch (error) {
        if (this.state === "connecting") this.lost(isPassing(error) ? ABNORMAL : REFUSED, (error as Error).message);
        return;
      }
      if (this.state !== "connecting") return; // closed meanwhile
    }
    const { analysis, include, channels, packed } = this.options;
    const query = asQuery({
      from: this.next,
      analysis,
      include: include?.join(","),
      channels: channels?.join(","),
      samples_from: this.samplesNext,
      format: packed ? "msgpack" : undefined,
      session,
    });
    const url = `${this.base.replace(/^http/, "ws")}/ws/streams/${encodeURIComponent(this.name)}${query}`;
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (this.socket !== socket) return;
      this.watch();
      this.take(typeof data === "string" ? JSON.parse(data) : (unpacked(data) as Json));
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.code, event.reason);
    };
    this.watch();
  }

  private take(message: Json): void {
    const seq = typeof message.seq === "number" ? message.seq : undefined;
    switch (message.type) {
      case "ack": {
        const resumed = this.next !== undefined;
        // A log that lost its end counts on from there: its word counts.
        const samples_next = message.samples_next as number | null;
        this.next = message.next as number;
        this.samplesNext = samples_next ?? undefined;
        this.attempts = 0;
        this.become("open", {});
        this.handlers.ack?.({ status: message.status as StreamStatus, next: this.next, samples_next, resumed });
        break;
      }
      case "result":
        if (this.isNew(seq)) this.handlers.result?.(message.result as AnalysisResult, seq!);
        break;
      case "pairs":
        if (this.isNew(seq)) this.handlers.pairs?.(message.pairs as PairsResult, seq!);
        break;
      case "event":
        if (this.isNew(seq)) this.handlers.event?.(message.event as StreamEvent, seq!);
        break;
      case "marker":
        if (this.isNew(seq)) this.handlers.marker?.(message.marker as Marker, seq!);
        break;
      case "samples":
        if (seq === undefined || (this.samplesNext !== undefined && seq < this.samplesNext)) break;
        this.samplesNext = seq + 1;
        this.handlers.samples?.(message as unknown as Samples, seq);
        break;
      case "status":
        this.handlers.status?.(message.status as StreamStatus);
        break;
      case "error":
        this.handlers.error?.(message as unknown as { code: string; message: string });
        break;
    }
  }

  private isNew(seq: number | undefined): boolean {
    if (seq === undefined || (typeof this.next === "number" && seq < this.next)) return false;
    this.next = seq + 1;
    return true;
  }

  private lost(code: number, reason: string): void {
    this.drop();
    if (code === REFUSED) {
      this.become("refused", { reason });
      return;
    }
    const cursor = /^from=(\d+)$/.exec(reason);
    if (code === TRY_AGAIN_LATER && cursor) this.next = Number(cursor[1]);
    const retry_s = retryWait(this.attempts);
    this.attempts += 1;
    this.timer = setTimeout(() => void this.connect(), retry_s * 1000);
    this.become("lost", { retry_s, reason });
  }

  /** Ping a connection that is silent, and give it up if nothing comes back. */
  private watch(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"type": "ping"}');
      this.watchdog = setTimeout(() => this.lost(ABNORMAL, "no answer"), PONG_S * 1000);
    }, PING_S * 1000);
  }

  private drop(): void {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private become(state: LiveState, detail: { retry_s?: number; reason?: string }): void {
    this.state = state;
    this.handlers.state?.(state, detail);
  }
}

function authorization(key: string | undefined): Record<string, string> {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function streamPath(name: string): string {
  return `/api/v1/streams/${encodeURIComponent(name)}`;
}

function asQuery(parameters: object): string {
  const present = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(present.map(([key, value]) => [key, String(value)])).toString();
  return query && `?${query}`;
}

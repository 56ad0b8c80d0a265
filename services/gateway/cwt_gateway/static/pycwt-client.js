// src/packed.ts
var TYPES = {
  "<i2": Int16Array,
  "<i4": Int32Array,
  "<f4": Float32Array,
  "<f8": Float64Array
};
function unpacked(body) {
  return new Reader(body).value();
}
var TEXT = new TextDecoder();
var Reader = class {
  at = 0;
  view;
  constructor(body) {
    this.view = new DataView(body);
  }
  value() {
    const code = this.unsigned(1);
    if (code < 128) return code;
    if (code < 144) return this.map(code & 15);
    if (code < 160) return this.list(code & 15);
    if (code < 192) return TEXT.decode(this.bytes(code & 31));
    if (code >= 224) return code - 256;
    switch (code) {
      case 192:
        return null;
      case 194:
      case 195:
        return code === 195;
      case 196:
      case 197:
      case 198:
        return this.bytes(this.unsigned(1 << code - 196));
      case 202:
        return this.view.getFloat32(this.skip(4));
      case 203:
        return this.view.getFloat64(this.skip(8));
      case 204:
      case 205:
      case 206:
        return this.unsigned(1 << code - 204);
      case 207:
        return Number(this.view.getBigUint64(this.skip(8)));
      case 208:
        return this.view.getInt8(this.skip(1));
      case 209:
        return this.view.getInt16(this.skip(2));
      case 210:
        return this.view.getInt32(this.skip(4));
      case 211:
        return Number(this.view.getBigInt64(this.skip(8)));
      case 217:
      case 218:
      case 219:
        return TEXT.decode(this.bytes(this.unsigned(1 << code - 217)));
      case 220:
      case 221:
        return this.list(this.unsigned(2 << code - 220));
      case 222:
      case 223:
        return this.map(this.unsigned(2 << code - 222));
    }
    throw new Error(`cannot decode a message: unknown type ${code}`);
  }
  list(length) {
    return Array.from({ length }, () => this.value());
  }
  map(length) {
    const map = {};
    for (let i = 0; i < length; i++) map[String(this.value())] = this.value();
    const { dtype, shape, data } = map;
    const type = TYPES[String(dtype)];
    if (!type || !(data instanceof Uint8Array) || !Array.isArray(shape)) return map;
    return nested(new type(data.slice().buffer), shape, shape.length === 3);
  }
  unsigned(size) {
    const at = this.skip(size);
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }
  bytes(length) {
    return new Uint8Array(this.view.buffer, this.skip(length), length);
  }
  /** Return where the next bytes begin, and go on after them. */
  skip(length) {
    this.at += length;
    return this.at - length;
  }
};
function nested(values, [length, ...rest], isTyped) {
  if (!rest.length) return isTyped ? values : Array.from(values, (value) => Number.isNaN(value) ? null : value);
  const size = values.length / length;
  return Array.from({ length }, (_, i) => nested(values.subarray(i * size, (i + 1) * size), rest, isTyped));
}

// src/client.ts
var ApiError = class extends Error {
  constructor(message, status, code, fields = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
  status;
  code;
  fields;
  name = "ApiError";
};
var Client = class {
  /** @param base Address of the gateway, such as `http://127.0.0.1:8000`; in a page, its own. */
  constructor(base = globalThis.location?.origin ?? "http://127.0.0.1:8000", options = {}) {
    this.options = options;
    this.base = base.replace(/\/+$/, "");
  }
  options;
  base;
  // Keys
  /** Begin a session with a key, or without one continue the session of the cookie. */
  async signIn(key) {
    const headers = authorization(key);
    return await (await this.fetch("POST", "/api/v1/session", { headers })).json();
  }
  /** Remove the cookie of the session. */
  async signOut() {
    await this.fetch("DELETE", "/api/v1/session", {});
  }
  // Queries
  cwt = (request) => this.query("cwt", request);
  xwt = (request) => this.query("xwt", request);
  wct = (request) => this.query("wct", request);
  significance = (request) => this.query("significance", request);
  query(op, request) {
    return this.request("POST", `/api/v1/wavelet/${encodeURIComponent(op)}`, request);
  }
  backends() {
    return this.request("GET", "/api/v1/backends/");
  }
  hardware() {
    return this.request("GET", "/api/v1/hardware/detect");
  }
  benchmark(request) {
    return this.request("POST", "/api/v1/benchmark", request);
  }
  /** Whether the system works; an unhealthy one is an answer here and not an error. */
  async health() {
    const response = await fetch(`${this.base}/health`);
    const report = await response.json().catch(() => null);
    if (typeof report?.status === "string" || report === null) {
      return report ?? { status: "unhealthy", version: "", lag: null, problems: [response.statusText] };
    }
    return { status: "unhealthy", version: "", lag: null, problems: [String(report.detail ?? report.status)] };
  }
  // Jobs
  submit(tasks, options = {}) {
    return this.request("POST", "/api/v1/jobs", { ...options, tasks });
  }
  async jobs(options = {}) {
    const reply = await this.request("GET", `/api/v1/jobs${asQuery(options)}`);
    return reply.jobs;
  }
  job(id) {
    return this.request("GET", `/api/v1/jobs/${encodeURIComponent(id)}`);
  }
  jobResult(id, task) {
    return this.request("GET", `/api/v1/jobs/${encodeURIComponent(id)}/results/${task}`);
  }
  cancelJob(id) {
    return this.request("DELETE", `/api/v1/jobs/${encodeURIComponent(id)}`);
  }
  retryJob(id) {
    return this.request("POST", `/api/v1/jobs/${encodeURIComponent(id)}/retry`, {});
  }
  /** Progress of a job until it ends, now and at every change; asks again after a break. */
  async *jobProgress(id, signal) {
    let last = "";
    for (let attempts = 0; ; attempts++) {
      try {
        for await (const { event, data } of this.jobEvents(id, signal)) {
          attempts = 0;
          const told = JSON.parse(data);
          if ("code" in told) throw new ApiError(String(told.detail), Number(told.status), String(told.code));
          if (data !== last) yield told;
          last = data;
          if (event === "end") return;
        }
      } catch (error) {
        if (!last || signal?.aborted || !(error instanceof TypeError || isPassing(error))) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, retryWait(attempts) * 1e3));
    }
  }
  async *jobEvents(id, signal) {
    const path = `/api/v1/jobs/${encodeURIComponent(id)}/events`;
    const response = await this.fetch("GET", path, { headers: { Accept: "text/event-stream" }, signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      for (; ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        text += value.replaceAll("\r", "");
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim()).join("\n");
          if (field("data")) yield { event: field("event"), data: field("data") };
        }
      }
    } finally {
      await reader.cancel().catch(() => void 0);
    }
  }
  // Streams
  async streams() {
    return (await this.request("GET", "/api/v1/streams")).streams;
  }
  stream(name) {
    return this.request("GET", streamPath(name));
  }
  putStream(definition) {
    return this.request("PUT", streamPath(definition.name), definition);
  }
  /** End a stream; its samples and results stay. */
  deleteStream(name) {
    return this.request("DELETE", streamPath(name));
  }
  /** Remove all that is stored of a stream that was deleted. */
  purgeStream(name) {
    return this.request("DELETE", `${streamPath(name)}/data`);
  }
  /** Publish a chunk: `{samples, epoch, first_sample?, t0_ns?, final?}`. */
  publish(name, chunk) {
    return this.request("POST", `${streamPath(name)}/chunks`, { schema: "signal.chunk/1", ...chunk });
  }
  /** Publish a CSV, EDF, BDF, WAV or XDF file; a stream that does not exist is defined.
   *
   * Options such as `fs_hz`, `coherence` and `band` are in docs/http-reference.md.
   */
  async uploadRecording(name, filename, body, options = {}) {
    const path = `${streamPath(name)}/recording${asQuery({ filename, ...options })}`;
    const headers = { "Content-Type": "application/octet-stream" };
    return await (await this.fetch("POST", path, { headers, body })).json();
  }
  /** `packed`: in msgpack, which is faster where results are large; see `LiveOptions`. */
  async results(name, { packed, ...options } = {}) {
    const path = `${streamPath(name)}/results${asQuery(options)}`;
    if (!packed) return this.request("GET", path);
    const response = await this.fetch("GET", path, { headers: { Accept: MSGPACK } });
    return unpacked(await response.arrayBuffer());
  }
  events(name, options = {}) {
    return this.request("GET", `${streamPath(name)}/events${asQuery(options)}`);
  }
  markers(name, options = {}) {
    return this.request("GET", `${streamPath(name)}/markers${asQuery(options)}`);
  }
  mark(name, note) {
    return this.request("POST", `${streamPath(name)}/markers`, { ...note });
  }
  samples(name, options = {}) {
    return this.request("GET", `${streamPath(name)}/samples${asQuery(options)}`);
  }
  /** A whole analysis as a file: NumPy archive, table, netCDF or picture. `channels` is one channel set, such as `c3,c4`. */
  async export(name, format, options = {}) {
    const response = await this.fetch("GET", `${streamPath(name)}/export${asQuery({ format, ...options })}`, {});
    return response.blob();
  }
  /** Follow a stream; the connection is made again after a break, without loss or repetition. */
  live(name, handlers, options = {}) {
    const session = this.options.key ? async () => (await this.signIn()).token : void 0;
    return new LiveSocket(this.base, name, handlers, options, session);
  }
  async request(method, path, body) {
    const init = { headers: { Accept: "application/json" } };
    if (body !== void 0) {
      init.body = JSON.stringify(body);
      init.headers = { ...init.headers, "Content-Type": "application/json" };
    }
    return await (await this.fetch(method, path, init)).json();
  }
  async fetch(method, path, init) {
    let response;
    try {
      response = await fetch(this.base + path, { ...init, method, headers: { ...authorization(this.options.key), ...init.headers } });
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
};
var RETRY_FIRST_S = 0.25;
var RETRY_MAX_S = 10;
var PING_S = 10;
var PONG_S = 10;
var ABNORMAL = 1006;
var REFUSED = 1008;
var UNAUTHORIZED = 401;
var MSGPACK = "application/msgpack";
var TRY_AGAIN_LATER = 1013;
function isPassing(error) {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
function retryWait(attempts) {
  return Math.min(RETRY_FIRST_S * 2 ** attempts, RETRY_MAX_S) * (0.5 + Math.random() / 2);
}
var LiveSocket = class {
  constructor(base, name, handlers, options = {}, session) {
    this.base = base;
    this.name = name;
    this.handlers = handlers;
    this.options = options;
    this.session = session;
    this.next = options.from;
    this.samplesNext = options.samples_from;
    void this.connect();
  }
  base;
  name;
  handlers;
  options;
  session;
  state = "connecting";
  /** Next message of results and events, and of samples, that is expected. */
  next;
  samplesNext;
  socket = null;
  timer;
  watchdog;
  attempts = 0;
  close() {
    clearTimeout(this.timer);
    this.drop();
    this.become("closed", {});
  }
  /** Try now instead of when it is time. */
  retry() {
    if (this.state !== "lost") return;
    clearTimeout(this.timer);
    void this.connect();
  }
  async connect() {
    this.become("connecting", {});
    let session;
    if (this.session) {
      try {
        session = await this.session();
      } catch (error) {
        if (this.state === "connecting") this.lost(isPassing(error) ? ABNORMAL : REFUSED, error.message);
        return;
      }
      if (this.state !== "connecting") return;
    }
    const { analysis, include, channels, packed } = this.options;
    const query = asQuery({
      from: this.next,
      analysis,
      include: include?.join(","),
      channels: channels?.join(","),
      samples_from: this.samplesNext,
      format: packed ? "msgpack" : void 0,
      session
    });
    const url = `${this.base.replace(/^http/, "ws")}/ws/streams/${encodeURIComponent(this.name)}${query}`;
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      this.watch();
      this.take(typeof data === "string" ? JSON.parse(data) : unpacked(data));
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.code, event.reason);
    };
    this.watch();
  }
  take(message) {
    const seq = typeof message.seq === "number" ? message.seq : void 0;
    switch (message.type) {
      case "ack": {
        const resumed = this.next !== void 0;
        const samples_next = message.samples_next;
        this.next = message.next;
        this.samplesNext = samples_next ?? void 0;
        this.attempts = 0;
        this.become("open", {});
        this.handlers.ack?.({ status: message.status, next: this.next, samples_next, resumed });
        break;
      }
      case "result":
        if (this.isNew(seq)) this.handlers.result?.(message.result, seq);
        break;
      case "pairs":
        if (this.isNew(seq)) this.handlers.pairs?.(message.pairs, seq);
        break;
      case "event":
        if (this.isNew(seq)) this.handlers.event?.(message.event, seq);
        break;
      case "marker":
        if (this.isNew(seq)) this.handlers.marker?.(message.marker, seq);
        break;
      case "samples":
        if (seq === void 0 || this.samplesNext !== void 0 && seq < this.samplesNext) break;
        this.samplesNext = seq + 1;
        this.handlers.samples?.(message, seq);
        break;
      case "status":
        this.handlers.status?.(message.status);
        break;
      case "error":
        this.handlers.error?.(message);
        break;
    }
  }
  isNew(seq) {
    if (seq === void 0 || typeof this.next === "number" && seq < this.next) return false;
    this.next = seq + 1;
    return true;
  }
  lost(code, reason) {
    this.drop();
    if (code === REFUSED) {
      this.become("refused", { reason });
      return;
    }
    const cursor = /^from=(\d+)$/.exec(reason);
    if (code === TRY_AGAIN_LATER && cursor) this.next = Number(cursor[1]);
    const retry_s = retryWait(this.attempts);
    this.attempts += 1;
    this.timer = setTimeout(() => void this.connect(), retry_s * 1e3);
    this.become("lost", { retry_s, reason });
  }
  /** Ping a connection that is silent, and give it up if nothing comes back. */
  watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"type": "ping"}');
      this.watchdog = setTimeout(() => this.lost(ABNORMAL, "no answer"), PONG_S * 1e3);
    }, PING_S * 1e3);
  }
  drop() {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
  become(state, detail) {
    this.state = state;
    this.handlers.state?.(state, detail);
  }
};
function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
function streamPath(name) {
  return `/api/v1/streams/${encodeURIComponent(name)}`;
}
function asQuery(parameters) {
  const present = Object.entries(parameters).filter(([, value]) => value !== void 0);
  const query = new URLSearchParams(present.map(([key, value]) => [key, String(value)])).toString();
  return query && `?${query}`;
}

// src/arrays.ts
function lowerBound(n, test) {
  let low = 0;
  let high = n;
  while (low < high) {
    const middle = low + high >> 1;
    if (test(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

// src/scalogram.ts
var FINAL = 0;
var MASKED = 1;
var ABSENT = 2;
function blockOf(result, seq) {
  const { first_sample: first, step, n } = result.t;
  const k = result.freqs_hz.length;
  const values = new Float64Array(k * n);
  let phase = null;
  const isComplex = result.values.some((row) => row.some((value) => Array.isArray(value)));
  if (isComplex || result.phase) phase = new Float64Array(k * n).fill(NaN);
  result.values.forEach((row, r) => {
    for (let i = 0; i < n; i++) {
      const value = row[i] ?? null;
      const at = r * n + i;
      if (Array.isArray(value)) {
        const [re, im] = [value[0] ?? NaN, value[1] ?? NaN];
        values[at] = Math.hypot(re, im);
        phase[at] = Math.atan2(im, re);
      } else {
        values[at] = value ?? NaN;
      }
    }
  });
  result.phase?.forEach((row, r) => row.forEach((value, i) => phase[r * n + i] = value ?? NaN));
  const mask = result.mask ? Uint8Array.from(result.mask.flat()) : null;
  const rest = { ...result, values: [], phase: null, mask: null };
  const { id, octave, freqs_hz: freqs } = result;
  return { id, seq, octave, first, step, n, freqs, values, phase, mask, signif: result.signif ?? null, result: rest };
}
function runOf(result) {
  return `${result.epoch}/${result.spec_hash}`;
}
var Scalogram = class {
  constructor(analysis, channels) {
    this.analysis = analysis;
    this.channels = channels;
  }
  analysis;
  channels;
  /** Octave to its blocks, in the order of time. */
  octaves = /* @__PURE__ */ new Map();
  /** Epoch and definition of what is held. */
  run = "";
  /** Runs that were left, whose late blocks are not shown. */
  left = /* @__PURE__ */ new Set();
  /** A sample, and when it was taken; null where the device sends no times. */
  get anchor() {
    for (const blocks of this.octaves.values()) {
      const { first, result } = blocks.at(-1) ?? {};
      if (result?.t0_ns != null) return { sample: first, t_ns: result.t0_ns };
    }
    return null;
  }
  /** Return the block if it is new and of these signals. A new epoch or definition starts afresh. */
  add(result, seq) {
    if (result.analysis !== this.analysis || result.channels.join() !== this.channels.join()) return null;
    const run = runOf(result);
    if (run !== this.run) {
      const comesBack = result.epoch === this.epoch && result.t.first_sample >= this.endSample;
      if (seq < this.newestSeq || this.left.has(run) && !comesBack) return null;
      if (this.run) this.left.add(this.run);
      this.octaves.clear();
      this.run = run;
    }
    const blocks = this.octaves.get(result.octave) ?? [];
    const at = lowerBound(blocks.length, (i) => blocks[i].first >= result.t.first_sample);
    if (blocks[at]?.first === result.t.first_sample) return null;
    const block = blockOf(result, seq);
    blocks.splice(at, 0, block);
    if (blocks.length === 1) {
      this.octaves.set(result.octave, blocks);
      this.octaves = new Map([...this.octaves].sort((a, b) => b[1][0].freqs[0] - a[1][0].freqs[0]));
    }
    return block;
  }
  /** Remove blocks outside of the samples from `start` to `stop`, but for the nearest one of each octave on either side.
   *
   * Octaves are not stored in the order of their samples: what goes was stored before or after all that stays.
   * Returns the places in the log, [from, to), of which everything is still held.
   */
  trim(start, stop) {
    let first = Infinity;
    let last = stop === Infinity ? Infinity : 0;
    for (const blocks of this.octaves.values()) {
      const left = lowerBound(blocks.length, (i) => blockEnd(blocks[i]) > start) - 1;
      const right = lowerBound(blocks.length, (i) => blocks[i].first >= stop);
      for (const { seq } of blocks.slice(Math.max(left, 0), right + 1)) {
        first = Math.min(first, seq);
        last = Math.max(last, seq);
      }
    }
    let from = 0;
    let to = Infinity;
    for (const [octave, blocks] of this.octaves) {
      const kept = blocks.filter(({ seq }) => {
        if (seq < first) from = Math.max(from, seq + 1);
        else if (seq > last) to = Math.min(to, seq);
        else return true;
        return false;
      });
      if (kept.length < blocks.length) this.octaves.set(octave, kept);
    }
    return [from, to];
  }
  get isEmpty() {
    return this.octaves.size === 0;
  }
  get epoch() {
    return this.run.slice(0, this.run.lastIndexOf("/"));
  }
  get newestSeq() {
    return this.blocks().reduce((newest, { seq }) => Math.max(newest, seq), 0);
  }
  /** All frequencies, from the highest to the lowest. */
  get freqs() {
    return [...this.octaves.values()].flatMap((blocks) => blocks[0].freqs);
  }
  /** The finest step of any octave, in samples. */
  get step() {
    return Math.min(...[...this.octaves.values()].map((blocks) => blocks[0].step));
  }
  /** Position right after the last column of any octave. */
  get endSample() {
    return Math.max(0, ...[...this.octaves.values()].map((blocks) => blockEnd(blocks.at(-1))));
  }
  /** Whether the log was read back far enough to show everything from `sample` on.
   *
   * A block more of each octave has to be there, as neighbours are stored in either order. Results of low octaves
   * are stored up to `delay` samples later than those of high ones: the newest messages may hold no others.
   */
  covers(sample, delay) {
    if (this.isEmpty) return false;
    const firsts = [...this.octaves.values()].map((blocks) => blocks[0]);
    const isMissingOne = this.octaves.size <= Math.max(...this.octaves.keys());
    if (isMissingOne) return firsts.every((block) => blockEnd(block) <= sample - delay);
    return firsts.every((block) => block.first <= 0 || blockEnd(block) <= sample);
  }
  /** Whether the log was read far enough to show everything up to `sample`. */
  reaches(sample, delay) {
    const ends = [...this.octaves.values()].map((blocks) => blockEnd(blocks.at(-1)));
    return Math.min(...ends) >= sample || Math.max(...ends) >= sample + delay;
  }
  /** Row of the octave's highest frequency, and number of its rows. */
  rowsOf(octave) {
    let first = 0;
    for (const [each, blocks] of this.octaves) {
      const count = blocks[0].freqs.length;
      if (each === octave) return [first, count];
      first += count;
    }
    return [first, 0];
  }
  /** Block and column nearest to a sample in a row of the picture, at most half a step away. */
  at(row, sample) {
    for (const blocks of this.octaves.values()) {
      const count = blocks[0].freqs.length;
      if (row < count) {
        const found = nearest(blocks, sample);
        return found && { ...found, row };
      }
      row -= count;
    }
    return null;
  }
  /** Newest column of a row that is final; before `sample`, if that is given. */
  newest(row, sample = Infinity) {
    for (const blocks of this.octaves.values()) {
      const count = blocks[0].freqs.length;
      if (row >= count) {
        row -= count;
        continue;
      }
      for (let b = blocks.length - 1; b >= 0; b--) {
        const block = blocks[b];
        for (let i = block.n - 1; i >= 0; i--) {
          if (block.first + block.step * i <= sample && !block.mask?.[row * block.n + i]) {
            return { block, row, column: i };
          }
        }
      }
      return null;
    }
    return null;
  }
  /** Return the picture at these samples, or `height` of its rows that are whole octaves.
   *
   * Each octave gives its nearest column, if that is at most half its own step away.
   */
  resample(samples, top = 0, height = Infinity) {
    const all = this.freqs;
    const freqs = all.slice(top, Math.min(top + height, all.length));
    const size = freqs.length * samples.length;
    const picture = {
      samples: Float64Array.from(samples),
      freqs,
      values: new Float64Array(size).fill(NaN),
      phase: new Float64Array(size).fill(NaN),
      state: new Uint8Array(size).fill(ABSENT),
      signif: new Float64Array(freqs.length).fill(NaN)
    };
    let row = -top;
    for (const blocks of this.octaves.values()) {
      if (row >= 0 && row < freqs.length) fill(picture, blocks, row);
      row += blocks[0].freqs.length;
    }
    return picture;
  }
  blocks() {
    return [...this.octaves.values()].flat();
  }
};
function fill(picture, blocks, row) {
  const width = picture.samples.length;
  const k = blocks[0].freqs.length;
  blocks[0].signif?.forEach((level, r) => picture.signif[row + r] = level ?? NaN);
  for (let x = 0; x < width; x++) {
    const found = nearest(blocks, picture.samples[x]);
    if (!found) continue;
    const { block, column } = found;
    for (let r = 0; r < k; r++) {
      const from = r * block.n + column;
      const to = (row + r) * width + x;
      picture.values[to] = block.values[from];
      if (block.phase) picture.phase[to] = block.phase[from];
      picture.state[to] = block.mask?.[from] ? MASKED : FINAL;
    }
  }
}
function blockEnd(block) {
  return block.first + block.step * block.n;
}
function nearest(blocks, sample) {
  const after = lowerBound(blocks.length, (i) => blocks[i].first >= sample);
  let best = null;
  let distance = Infinity;
  for (const block of [blocks[after - 1], blocks[after]]) {
    if (!block) continue;
    const column = Math.min(Math.max(Math.ceil((sample - block.first) / block.step - 0.5), 0), block.n - 1);
    const away = Math.abs(block.first + block.step * column - sample);
    if (away < distance) {
      best = { block, column };
      distance = away;
    }
  }
  return best && 2 * distance <= best.block.step ? best : null;
}
export {
  ABSENT,
  ApiError,
  Client,
  FINAL,
  LiveSocket,
  MASKED,
  Scalogram,
  blockOf,
  isPassing,
  retryWait
};

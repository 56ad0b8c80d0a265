// What the client makes of the answers of a gateway.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ApiError, Client, type Job } from "../src/client.ts";

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

/** Answer each request with the next body, or with a problem of this status. */
function answer(...answers: (string | number)[]): void {
  globalThis.fetch = async () => {
    const next = answers.shift() ?? 500;
    if (typeof next === "string") return new Response(next, { headers: { "Content-Type": "text/event-stream" } });
    return Response.json({ detail: "no", code: "unavailable", status: next }, { status: next });
  };
}

const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const progress = (value: number) => event("progress", { job_id: "j", progress: value });

async function progressOf(): Promise<number[]> {
  const values: number[] = [];
  for await (const job of new Client("http://gateway").jobProgress("j")) values.push((job as Job & { progress: number }).progress);
  return values;
}

test("progress is asked for again until the job ends", async () => {
  answer(progress(0) + progress(50), 503, progress(50), progress(100) + event("end", { job_id: "j", progress: 100 }));
  assert.deepEqual(await progressOf(), [0, 50, 100]);
});

test("a job that has expired is an error", async () => {
  answer(progress(0) + event("end", { status: 404, code: "not_found", detail: "no job j" }));
  await assert.rejects(progressOf(), (error: ApiError) => error.code === "not_found");
});

test("a gateway that never answered is an error", async () => {
  answer(503);
  await assert.rejects(progressOf(), (error: ApiError) => error.status === 503);
});

test("a file is exported and a recording removed by the routes of its stream", async () => {
  const asked: string[] = [];
  globalThis.fetch = async (url, init) => {
    asked.push(`${init?.method} ${url}`);
    return new Response(new Blob(["{}"]));
  };
  const client = new Client("http://gateway");
  assert.equal(await (await client.export("icu", "csv", { channels: "a,b" })).text(), "{}");
  await client.purgeStream("icu");
  assert.deepEqual(asked, ["GET http://gateway/api/v1/streams/icu/export?format=csv&channels=a%2Cb", "DELETE http://gateway/api/v1/streams/icu/data"]);
});

test("a key is sent with every request, and a WebSocket is opened with a session for it", async () => {
  const sent: (string | undefined)[] = [];
  globalThis.fetch = async (url, init) => {
    sent.push((init?.headers as Record<string, string>).Authorization);
    return Response.json(String(url).endsWith("/session") ? { token: "a.b.c" } : { streams: [] });
  };
  const opened = new Promise<string>((resolve) => {
    globalThis.WebSocket = class {
      constructor(url: string) {
        resolve(url);
      }
      close(): void {}
    } as unknown as typeof WebSocket;
  });
  const client = new Client("http://gateway", { key: "cwt_k" });
  await client.streams();
  const live = client.live("icu", {});
  assert.equal(await opened, "ws://gateway/ws/streams/icu?session=a.b.c");
  live.close();
  assert.deepEqual(sent, ["Bearer cwt_k", "Bearer cwt_k"]);
});

test("a page is told that a key is missing, and a WebSocket that its key was refused", async () => {
  answer(401, 401);
  const reasons: string[] = [];
  await assert.rejects(new Client("http://gateway", { unauthorized: (reason) => reasons.push(reason) }).streams());
  const states: string[] = [];
  await new Promise<void>((resolve) => {
    const state = (now: string) => {
      states.push(now);
      if (now === "refused") resolve();
    };
    new Client("http://gateway", { key: "cwt_wrong" }).live("icu", { state });
  });
  assert.deepEqual([reasons, states], [["no"], ["connecting", "refused"]]);
});

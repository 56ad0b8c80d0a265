// A device: publishes ten seconds of a 5 Hz tone in raw int16 chunks, and sends each chunk again until it
// is acknowledged.
//
//     npm install && node device.mjs [nats://HOST:PORT [STREAM]]
import { randomBytes } from "node:crypto";
import { connect, headers } from "@nats-io/transport-node";

const FS_HZ = 100;
const CHUNK = 50;
const TRIES = 10;
const EPOCH = "boot-1";
const NONCE = randomBytes(8).toString("hex"); // no other client can use up the ids of this run
const stream = process.argv[3] ?? "node";
const definition = {
  name: stream,
  fs_hz: FS_HZ,
  channels: [{ name: "tone", unit: "counts" }],
  analyses: [
    { name: "power", op: "cwt", channels: ["tone"], fmin_hz: 2, fmax_hz: 16, hop_s: 1, quantity: "power" },
  ],
};

const connection = await connect({
  servers: process.argv[2] ?? process.env.CWT_NATS_URL ?? "nats://127.0.0.1:4222",
  reconnectTimeWait: 200,
});

// Only an acknowledgement from the log confirms that a message is stored. The log stores a message id
// once, so it is safe to send a message again after a timeout.
async function ask(subject, body, options = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = (await connection.request(subject, body, { timeout: 2000, ...options })).json();
      if (answer.error) throw new Error(answer.error.message ?? answer.error.description);
      return answer;
    } catch (error) {
      if (attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

try {
  await ask("cwt.stream.put", JSON.stringify(definition));
  for (let first = 0; first < 10 * FS_HZ; first += CHUNK) {
    // Int16Array has the byte order of the processor; this assumes a little-endian one.
    const samples = Int16Array.from({ length: CHUNK }, (_, i) =>
      Math.round(1000 * Math.sin((2 * Math.PI * 5 * (first + i)) / FS_HZ)),
    );
    const names = headers();
    names.set("Content-Type", "application/octet-stream");
    names.set("Cwt-Dtype", "<i2");
    names.set("Cwt-Channels", "1");
    names.set("Cwt-Epoch", EPOCH);
    names.set("Cwt-First-Sample", String(first));
    names.set("Nats-Msg-Id", `${stream}/${EPOCH}/${first}/${NONCE}`);
    const kept = await ask(`cwt.signal.${stream}`, new Uint8Array(samples.buffer), { headers: names });
    console.log(`samples ${first} to ${first + CHUNK - 1}: ${JSON.stringify(kept)}`);
  }
} finally {
  await connection.close();
}

// Publish two channels and follow their coherence at 10 Hz, with the client that the gateway
// serves. The client reconnects after an interruption; no result is lost or repeated.
//
//     curl -o pycwt-client.mjs http://127.0.0.1:8000/static/pycwt-client.js
//     [CWT_KEY=...] node follow.mjs [http://HOST:PORT]
//
// Node 20 needs the option --experimental-websocket.
import { Client } from "./pycwt-client.mjs";

const FS_HZ = 250;
const CHUNK = 250;
const N = 20 * FS_HZ;
const RHYTHM_HZ = 10;

// The key, for a gateway that needs one.
const key = process.env.CWT_KEY;
const client = new Client(process.argv[2] ?? "http://127.0.0.1:8000", { key });
const name = `example-${crypto.randomUUID().slice(0, 8)}`;
const coherence = {
  name: "coherence", op: "wct", quantity: "coherence", pairs: [["left", "right"]],
  fmin_hz: 4, fmax_hz: 40, hop_s: 0.5,
};
await client.putStream({
  name, fs_hz: FS_HZ, channels: [{ name: "left" }, { name: "right" }], analyses: [coherence],
});

const finished = new Promise((resolve, reject) => {
  const live = client.live(name, {
    result(result) {
      const { first_sample, step, n } = result.t;
      // A result covers one octave; print only the octave with the rhythm.
      const near = (hz) => Math.abs(Math.log2(hz / RHYTHM_HZ));
      const row = result.freqs_hz.findIndex((hz) => near(hz) < 0.05);
      if (row < 0) return;
      for (let i = 0; i < n; i += Math.ceil(FS_HZ / step)) {
        const time = (first_sample + step * i) / FS_HZ;
        const value = result.mask?.[row][i] ? "masked" : result.values[row][i].toFixed(2);
        console.log(`${time.toFixed(1)} s: coherence at ${result.freqs_hz[row].toFixed(1)} Hz ${value}`);
      }
      if (first_sample + step * n < N) return;
      live.close();
      resolve();
    },
    event: ({ kind, detail }) => console.log(kind, detail ?? ""),
    state: (state, { reason }) => state === "refused" && reject(new Error(reason)),
  }, { from: 1 });
});

// A device sends samples as it measures them; this program sends all of them immediately.
const epoch = crypto.randomUUID();
for (let first = 0; first < N; first += CHUNK) {
  const samples = Array.from({ length: CHUNK }, (_, i) => {
    const rhythm = Math.sin((2 * Math.PI * RHYTHM_HZ * (first + i)) / FS_HZ);
    return [rhythm + Math.random() - 0.5, rhythm + Math.random() - 0.5];
  });
  await client.publish(name, { samples, epoch, first_sample: first, final: first + CHUNK >= N });
}
await finished;
await client.deleteStream(name);

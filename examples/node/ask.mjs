// Compute the coherence of two signals, and print where it is significant.
//
//     npm install && node ask.mjs [nats://HOST:PORT]
import { connect } from "@nats-io/transport-node";

const FS_HZ = 100;
const N = 1000;

// Two 5 Hz tones in independent noise; the fixed seed makes every run send the same request.
let state = 1;
const noise = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
const tone = (lag) =>
  Array.from({ length: N }, (_, n) => Math.sin((2 * Math.PI * 5 * n) / FS_HZ - lag) + noise());

const connection = await connect({ servers: process.argv[2] ?? process.env.CWT_NATS_URL ?? "nats://127.0.0.1:4222" });
try {
  const question = { signal1: tone(0), signal2: tone(1), dt: 1 / FS_HZ, dj: 1 / 12, seed: 7 };
  const reply = await connection.request("cwt.query.wct", JSON.stringify(question), {
    timeout: 60_000,
  });
  const answer = reply.json();
  if (answer.error) {
    throw new Error(`${answer.error.code}: ${answer.error.message}`);
  }
  // WCT has one row per frequency and one value per sample; a missing value is null.
  const middle = answer.WCT.map((row) => row[N / 2]);
  answer.freqs.forEach((hz, k) => {
    // The ends of the signals affect periods longer than coi.
    if (middle[k] > answer.signif[k] && 1 / hz < answer.coi[N / 2]) {
      console.log(`${hz.toFixed(2)} Hz: ${middle[k].toFixed(3)} > ${answer.signif[k].toFixed(3)}`);
    }
  });
} finally {
  await connection.close();
}

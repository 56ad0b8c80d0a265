// Read the results of a stream from the log: the stored ones, then new ones as they arrive.
//
//     npm install && node watch.mjs STREAM [COUNT [nats://HOST:PORT]]
import { decode } from "@msgpack/msgpack";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [stream, count = "10", servers = process.env.CWT_NATS_URL ?? "nats://127.0.0.1:4222"] = process.argv.slice(2);
const KINDS = { "<f4": Float32Array, "<f8": Float64Array, "<i2": Int16Array, "<i4": Int32Array };

// An array on the bus is {dtype, shape, data}, in row-major order and little-endian. The bytes are copied
// because a typed array must begin at a multiple of its item size.
const numbers = ({ dtype, data }) => new KINDS[dtype](Uint8Array.from(data).buffer);

const connection = await connect({ servers });
try {
  const consumer = await jetstream(connection).consumers.get("CWT_RESULTS", {
    filter_subjects: [`cwt.result.${stream}.>`],
  });
  let left = Number(count);
  for await (const message of await consumer.consume()) {
    const result = decode(message.data);
    const freqs = numbers(result.freqs_hz);
    const values = numbers(result.values); // one row per frequency
    const width = result.values.shape[1];
    // A missing value is NaN, which is never the maximum; `mask` marks values that edges affect.
    const middle = Array.from(freqs, (_, k) => values[k * width + (width >> 1)]);
    const strongest = middle.reduce((best, value, k) => (value > middle[best] ? k : best), 0);
    console.log(
      `octave ${result.octave}, from sample ${result.t.first_sample}: ` +
        `strongest at ${freqs[strongest].toFixed(2)} Hz`,
    );
    if (--left === 0) break;
  }
} finally {
  await connection.close();
}

// Reads the results of a stream from the log: those that are there, then new ones as they come.
//
//     npm install && node watch.mjs STREAM [COUNT [nats://HOST:PORT]]
import { decode } from "@msgpack/msgpack";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [stream, count = "10", servers = "nats://127.0.0.1:4222"] = process.argv.slice(2);
const KINDS = { "<f4": Float32Array, "<f8": Float64Array, "<i2": Int16Array, "<i4": Int32Array };

// An array on the bus is {dtype, shape, data}: row by row, little-endian. A copy of the bytes is
// needed because a typed array has to begin at a multiple of its width.
function rows({ dtype, shape: [height, width], data }) {
  const flat = new KINDS[dtype](data.slice().buffer);
  return Array.from({ length: height }, (_, k) => flat.subarray(k * width, (k + 1) * width));
}

const connection = await connect({ servers });
try {
  const consumer = await jetstream(connection).consumers.get("CWT_RESULTS", {
    filter_subjects: [`cwt.result.${stream}.>`],
  });
  let left = Number(count);
  for await (const message of await consumer.consume()) {
    const result = decode(message.data);
    const values = rows(result.values);
    const middle = values.map((row) => row[row.length >> 1]);
    const strongest = middle.indexOf(Math.max(...middle));
    console.log(
      `octave ${result.octave}, from sample ${result.t.first_sample}: ` +
        `strongest at ${result.freqs_hz[strongest].toFixed(2)} Hz`,
    );
    if (--left === 0) break;
  }
} finally {
  await connection.close();
}

// Ask for the coherence of two signals over HTTP, and print where it exceeds its level. The same
// lines work in a browser.
//
//     node ask.mjs [http://HOST:PORT]
const gateway = process.argv[2] ?? "http://127.0.0.1:8000";
const FS_HZ = 100;
const N = 1000;

// Two tones of 5 Hz in noise of their own; a fixed seed, so that every run asks the same.
let state = 1;
const noise = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
const tone = (lag) =>
  Array.from({ length: N }, (_, n) => Math.sin((2 * Math.PI * 5 * n) / FS_HZ - lag) + noise());

const answer = await fetch(`${gateway}/api/v1/wavelet/wct`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    signal1: tone(0), signal2: tone(1), dt: 1 / FS_HZ, dj: 1 / 12, seed: 7,
  }),
});
const found = await answer.json();
if (!answer.ok) throw new Error(found.detail);

// WCT has a row per frequency, a column per sample; a missing value is null.
found.freqs.forEach((freq, k) => {
  const middle = found.WCT[k][N / 2];
  // Periods longer than coi feel the ends of the signals.
  if (middle > found.signif[k] && 1 / freq < found.coi[N / 2]) {
    console.log(`${freq.toFixed(2)} Hz: ${middle.toFixed(3)} > ${found.signif[k].toFixed(3)}`);
  }
});

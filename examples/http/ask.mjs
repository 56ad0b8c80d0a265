// Compute the coherence of two signals over HTTP, and print where it is significant. The code also
// runs in a browser.
//
//     [CWT_KEY=...] node ask.mjs [http://HOST:PORT]
const gateway = process.argv[2] ?? "http://127.0.0.1:8000";
const FS_HZ = 100;
const N = 1000;

// Two 5 Hz tones in independent noise; the fixed seed makes every run send the same request.
let state = 1;
const noise = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
const tone = (lag) =>
  Array.from({ length: N }, (_, n) => Math.sin((2 * Math.PI * 5 * n) / FS_HZ - lag) + noise());

const response = await fetch(`${gateway}/api/v1/wavelet/wct`, {
  method: "POST",
  headers: {
    // The key, for a gateway that needs one.
    Authorization: `Bearer ${process.env.CWT_KEY ?? ""}`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    signal1: tone(0), signal2: tone(1), dt: 1 / FS_HZ, dj: 1 / 12, seed: 7,
  }),
});
const result = await response.json();
if (!response.ok) throw new Error(result.detail);

// WCT has one row per frequency and one column per sample; a missing value is null.
result.freqs.forEach((freq, k) => {
  const middle = result.WCT[k][N / 2];
  // The ends of the signals affect periods longer than coi.
  if (middle > result.signif[k] && 1 / freq < result.coi[N / 2]) {
    console.log(`${freq.toFixed(2)} Hz: ${middle.toFixed(3)} > ${result.signif[k].toFixed(3)}`);
  }
});

"""The arithmetic of `docs/hardware-link.md` in gateware: the filter bank and Monte Carlo.

`Datapath` is the whole of it, with the ports that `ports.DatapathSignature` names. Whoever answers
the link writes coefficients and filters, gives a start its settings in the clock of its strobe,
and reads status and results; refusals, ranges and job numbers are not known here.

How it works. One engine (`engine.Engine`) computes every filter there is, two taps in a clock, from
coefficients and one of two memories of history. Two sequencers write samples into history and
tell the engine which filter is next: `bank.Bank` and `monte_carlo.MonteCarlo`; one works at a time.
The engine's sums go through one rounder, and from there where their command said: to the link, to
the next octave's history, or by `products.Products` and `binning.Binning` to the histograms.

Block memories, of 26 (18 kbit each):

| memory | shape | blocks |
|---|---|---|
| coefficients, even and odd | 2 of 1024 x 32 | 4 |
| filter table | 128 x 27 | 1 |
| sample history: 16 octaves of 256; Monte Carlo: 16 levels of 128 pairs | 4 of 1024 x 16 | 4 |
| product history: 31 rows of 32 instants; place 31: smoothed rows | 2 of 512 x 72 | 4 |
| histograms: 12 x 256 x u32 | 3072 x 32 | 6 |
| samples that wait | 1024 x 16 | 1 |
| outputs that wait | 512 x 32 | 1 |

That is 21, which leaves 5 to the link. Multipliers, of 20: 8 in the engine (two taps, up to four
data each), 2 for products and ratio, 1 for AR(1).
"""

"""The arithmetic of `docs/hardware-link.md` in gateware: the filter bank and Monte Carlo.

`Datapath` is the complete data path, with the ports of `ports.DatapathSignature`. The command
executor writes coefficients and filters, supplies the settings of a start in the clock of its
strobe, and reads status and results; refusals, ranges and job numbers are handled there.

How it works. One engine (`engine.Engine`) computes all filters, two taps per clock, from
coefficients and one of two history memories. Two sequencers, `bank.Bank` and
`monte_carlo.MonteCarlo`, write samples to the history and select the next filter of the engine; one
is active at a time. The sums of the engine pass one rounder, and from there go to the destination
in their command: the link, the history of the next octave, or via `products.Products` and
`binning.Binning` the histograms.

Block memories, of 26 (18 kbit each):

| memory | shape | blocks |
|---|---|---|
| coefficients, even and odd | 2 of 1024 x 32 | 4 |
| filter table | 128 x 27 | 1 |
| sample history: 16 octaves of 256; Monte Carlo: 16 levels of 128 pairs | 4 of 1024 x 16 | 4 |
| product history: 31 rows of 32 instants; place 31: smoothed rows | 2 of 512 x 72 | 4 |
| histograms: 12 x 256 x u32 | 3072 x 32 | 6 |
| queued samples | 1024 x 16 | 1 |
| queued outputs | 512 x 32 | 1 |

The total is 21, which leaves 5 for the link. Multipliers, of 20: 8 in the engine (two taps with up
to four data words each), 2 for products and ratio, 1 for AR(1).
"""

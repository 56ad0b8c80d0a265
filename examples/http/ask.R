# Compute the coherence of two signals over HTTP, and print where it is significant. Needs the
# packages httr and jsonlite.
#
#     [CWT_KEY=...] Rscript ask.R [http://HOST:PORT]
library(httr)
library(jsonlite)

gateway <- c(commandArgs(trailingOnly = TRUE), "http://127.0.0.1:8000")[1]
fs_hz <- 100
n <- 0:999
set.seed(1)
request <- list(
  signal1 = sin(2 * pi * 5 * n / fs_hz) + runif(1000) - 0.5,
  signal2 = sin(2 * pi * 5 * n / fs_hz - 1) + runif(1000) - 0.5,
  dt = 1 / fs_hz, dj = 1 / 12, seed = 7
)
# The key, for a gateway that needs one.
key <- add_headers(Authorization = paste("Bearer", Sys.getenv("CWT_KEY")))
response <- POST(paste0(gateway, "/api/v1/wavelet/wct"),
  key, content_type_json(), body = toJSON(request, auto_unbox = TRUE, digits = NA))
result <- fromJSON(content(response, "text", encoding = "UTF-8"))
if (http_error(response)) stop(result$detail)

# WCT is one row per frequency, one column per sample; a missing value is NA.
middle <- result$WCT[, 501]
# The ends of the signals affect periods longer than coi.
unaffected <- 1 / result$freqs < result$coi[501]
for (k in which(middle > result$signif & unaffected)) {
  cat(sprintf("%.2f Hz: %.3f > %.3f\n", result$freqs[k], middle[k], result$signif[k]))
}

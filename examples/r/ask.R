# Compute the coherence of two signals through a TCP socket, and print where it is
# significant. Needs the package jsonlite.
#
#     Rscript ask.R [HOST [PORT]]
library(jsonlite)

arguments <- c(commandArgs(trailingOnly = TRUE), "127.0.0.1", "4222")
if (length(arguments) == 3) arguments <- arguments[c(1, 3)]
wire <- socketConnection(arguments[1], as.integer(arguments[2]),
  blocking = TRUE, open = "r+b", timeout = 60)

say <- function(...) writeBin(charToRaw(paste0(...)), wire)

hear_line <- function() {
  line <- raw(0)
  while (length(line) == 0 || tail(line, 1) != as.raw(10)) line <- c(line, readBin(wire, "raw", 1))
  trimws(rawToChar(line))
}

hear <- function(count) {
  data <- raw(0)
  while (length(data) < count) data <- c(data, readBin(wire, "raw", count - length(data)))
  data
}

ask <- function(subject, question) {
  body <- as.character(toJSON(question, auto_unbox = TRUE, digits = NA))
  say("SUB _INBOX.r 1\r\nPUB ", subject, " _INBOX.r ", nchar(body, "bytes"), "\r\n", body, "\r\n")
  repeat {
    words <- strsplit(hear_line(), " ")[[1]]
    if (words[1] == "PING") say("PONG\r\n")
    if (words[1] == "-ERR") stop(paste(words, collapse = " "))
    if (words[1] %in% c("MSG", "HMSG")) break
  }
  sizes <- as.integer(tail(words, 2))
  head <- if (words[1] == "HMSG") sizes[1] else 0
  data <- hear(sizes[2] + 2)
  reply <- fromJSON(rawToChar(data[(head + 1):sizes[2]]))
  if (!is.null(reply$error)) stop(reply$error$message)
  reply
}

invisible(hear_line())  # INFO: name, version and limits of the server
say("CONNECT {\"verbose\":false,\"headers\":true}\r\n")

fs_hz <- 100
n <- 0:999
set.seed(1)
answer <- ask("cwt.query.wct", list(
  signal1 = sin(2 * pi * 5 * n / fs_hz) + runif(1000) - 0.5,
  signal2 = sin(2 * pi * 5 * n / fs_hz - 1) + runif(1000) - 0.5,
  dt = 1 / fs_hz, dj = 1 / 12, seed = 7
))
close(wire)

# WCT is one row per frequency, one column per sample; a missing value is NA.
middle <- answer$WCT[, 501]
# Periods longer than coi feel the ends of the signals.
sure <- 1 / answer$freqs < answer$coi[501]
for (k in which(middle > answer$signif & sure)) {
  cat(sprintf("%.2f Hz: %.3f > %.3f\n", answer$freqs[k], middle[k], answer$signif[k]))
}

#!/bin/sh
# Use a running system over HTTP with curl: health, a transform, an error, a job and its result.
#
#     [CWT_KEY=...] sh ask.sh [http://HOST:PORT]
set -eu
gateway=${1:-http://127.0.0.1:8000}
json='Content-Type: application/json'
key="Authorization: Bearer ${CWT_KEY:-}"  # for a gateway that needs a key

echo "health"
curl -fsS "$gateway/health"; echo

echo "wavelet transform of eight samples, the first 60 characters of the reply"
curl -fsS "$gateway/api/v1/wavelet/cwt" -H "$key" -H "$json" \
  -d '{"data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25}' | cut -c 1-60

echo "an error, with the wrong field"
curl -sS "$gateway/api/v1/wavelet/cwt" -H "$key" -H "$json" -d '{"data": [0, 1, 0, -1]}'; echo

echo "a job of two tasks"
job=$(curl -fsS "$gateway/api/v1/jobs" -H "$key" -H "$json" -d '{"tasks": [
  {"type": "cwt", "data": [0, 1, 0, -1, 0, 1, 0, -1], "dt": 0.25},
  {"type": "cwt", "data": [1, 2, 3, 4, 4, 3, 2, 1], "dt": 0.25}]}' |
  sed 's/.*"job_id":"\([^"]*\)".*/\1/')
# Read server-sent events until the job ends.
curl -fsSN "$gateway/api/v1/jobs/$job/events" -H "$key" | grep '^event:' | tail -n 1
curl -fsS "$gateway/api/v1/jobs/$job/results/0" -H "$key" | cut -c 1-120

% Compute the coherence of two signals with the NATS command line, and print where it is
% significant.
%
%     octave-cli ask.m [nats://HOST:PORT]
1;

function reply = ask(server, subject, request)
  file = [tempname() ".json"];
  handle = fopen(file, "w");
  fputs(handle, jsonencode(request));
  fclose(handle);
  command = sprintf("nats --server %s req %s --raw --timeout 60s < %s", server, subject, file);
  [status, text] = system(command);
  delete(file);
  if status ~= 0
    error("nats req failed: %s", text);
  end
  reply = jsondecode(text);
  if isfield(reply, "error")
    error("%s: %s", reply.error.code, reply.error.message);
  end
end

server = "nats://127.0.0.1:4222";
arguments = argv();
if numel(arguments) > 0
  server = arguments{1};
end

fs_hz = 100;
n = (0:999)';
rand("twister", 1);
request.signal1 = sin(2 * pi * 5 * n / fs_hz) + rand(1000, 1) - 0.5;
request.signal2 = sin(2 * pi * 5 * n / fs_hz - 1) + rand(1000, 1) - 0.5;
request.dt = 1 / fs_hz;
request.dj = 1 / 12;
request.seed = 7;
answer = ask(server, "cwt.query.wct", request);

% WCT is one row per frequency, one column per sample; a missing value is NaN here.
middle = answer.WCT(:, 501);
% The ends of the signals affect periods longer than coi.
unaffected = 1 ./ answer.freqs < answer.coi(501);
for k = find(middle > answer.signif & unaffected)'
  printf("%.2f Hz: %.3f > %.3f\n", answer.freqs(k), middle(k), answer.signif(k));
end

% Asks for the coherence of two signals with the command line of NATS, and says where it exceeds its
% level of significance.
%
%     octave-cli ask.m [nats://HOST:PORT]
1;

function reply = ask(server, subject, question)
  file = [tempname() ".json"];
  handle = fopen(file, "w");
  fputs(handle, jsonencode(question));
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
question.signal1 = sin(2 * pi * 5 * n / fs_hz) + rand(1000, 1) - 0.5;
question.signal2 = sin(2 * pi * 5 * n / fs_hz - 1) + rand(1000, 1) - 0.5;
question.dt = 1 / fs_hz;
question.dj = 1 / 12;
question.seed = 7;
answer = ask(server, "cwt.query.wct", question);

% WCT is one row per frequency, one column per sample; a missing value is NaN here.
middle = answer.WCT(:, 501);
% Periods longer than coi feel the ends of the signals.
sure = 1 ./ answer.freqs < answer.coi(501);
for k = find(middle > answer.signif & sure)'
  printf("%.2f Hz: %.3f > %.3f\n", answer.freqs(k), middle(k), answer.signif(k));
end

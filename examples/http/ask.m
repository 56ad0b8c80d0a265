% Compute the coherence of two signals over HTTP, and print where it is significant.
%
%     [CWT_KEY=...] octave-cli ask.m [http://HOST:PORT]
%
% Octave's webwrite cannot send a JSON body, so the program calls curl there. In MATLAB it uses webwrite,
% which is untested.
1;

function reply = ask(url, request)
  key = ["Bearer " getenv("CWT_KEY")];  % for a gateway that needs a key
  if exist("OCTAVE_VERSION", "builtin") == 0
    options = weboptions("MediaType", "application/json", "Timeout", 60);
    options.HeaderFields = {"Authorization", key};
    reply = webwrite(url, request, options);
    return
  end
  file = [tempname() ".json"];
  handle = fopen(file, "w");
  fputs(handle, jsonencode(request));
  fclose(handle);
  [status, text] = system(sprintf( ...
    "curl -sS -H 'Authorization: %s' -H 'Content-Type: application/json' --data-binary @%s %s", ...
    key, file, url));
  delete(file);
  if status ~= 0
    error("curl failed: %s", text);
  end
  reply = jsondecode(text);
  if isfield(reply, "detail")
    error("%s", reply.detail);
  end
end

gateway = "http://127.0.0.1:8000";
arguments = argv();
if numel(arguments) > 0
  gateway = arguments{1};
end

fs_hz = 100;
n = (0:999)';
rand("twister", 1);
request.signal1 = sin(2 * pi * 5 * n / fs_hz) + rand(1000, 1) - 0.5;
request.signal2 = sin(2 * pi * 5 * n / fs_hz - 1) + rand(1000, 1) - 0.5;
request.dt = 1 / fs_hz;
request.dj = 1 / 12;
request.seed = 7;
answer = ask([gateway "/api/v1/wavelet/wct"], request);

% WCT is one row per frequency, one column per sample; a missing value is NaN here.
middle = answer.WCT(:, 501);
% The ends of the signals affect periods longer than coi.
unaffected = 1 ./ answer.freqs < answer.coi(501);
for k = find(middle > answer.signif & unaffected)'
  printf("%.2f Hz: %.3f > %.3f\n", answer.freqs(k), middle(k), answer.signif(k));
end

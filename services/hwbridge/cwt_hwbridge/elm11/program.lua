-- The program of this project on an ELM11: an integer Fourier transform, and the Monte Carlo of
-- docs/hardware-link.md, answered one request at a time.
--
-- It is sent by program.py after the lines in BOOTSTRAP, which define _K (CRC-32) and _R (reply).
-- Lines that are comments, and indentation, are left out on the way.
--
-- Numbers. The same results are wanted from Lua with 32-bit and with 64-bit integers. So integers
-- stay within 32 bits signed, or are cut to 32 bits unsigned by `& M`; what can grow beyond is a
-- float that holds a whole number below 2^53, and exact. `//` is floor division for both. Floats are
-- never printed: the ELM11 writes them with six decimals. `v // 1 | 0` makes an integer of one.
--
-- Libraries. Functions of string and table are called by name, never as methods; math is not used.

local M = 0xFFFFFFFF
local sub, format, gmatch = string.sub, string.format, string.gmatch
local concat = table.concat

-- All that is kept between requests: coefficients, samples, filters, histograms, the job.
local S = { c = {}, x = {}, y = {}, f = {}, h = {}, sat = 0, session = "0" }

local function alive()
  if watchdog_reset then watchdog_reset() end
end

local function power(n)
  local p = 1.0
  for _ = 1, n do p = p * 2.0 end
  return p
end

local function hex32(v)
  return format("%08x", (v // 1 | 0) & M)
end

-- Fourier transform -----------------------------------------------------------------------------

-- 2^24 times cos and -sin of 2 pi / 2^k for k = 1, 2, ...; all other factors are made of these.
local ROOTS = {
  -16777216, 0, 0, -16777216, 11863283, -11863283, 15500126, -6420363, 16454846, -3273072,
  16696429, -1644455, 16757007, -823219, 16772163, -411733, 16775953, -205882, 16776900, -102943,
  16777137, -51472, 16777196, -25736, 16777211, -12868,
}
local ONE, HALF = 16777216.0, 8388608.0

local function roots(n)
  local wr, wi, m = { ONE }, { 0.0 }, 1
  while m < n // 2 do
    local k, left = 0, n // m
    while left > 1 do left, k = left // 2, k + 1 end
    local br, bi = ROOTS[2 * k - 1] + 0.0, ROOTS[2 * k] + 0.0
    for i = 1, m do
      wr[m + i] = (wr[i] * br - wi[i] * bi + HALF) // ONE
      wi[m + i] = (wr[i] * bi + wi[i] * br + HALF) // ONE
    end
    m = 2 * m
  end
  return wr, wi
end

local function reverse(re, n)
  local j = 0
  for i = 0, n - 1 do
    if i < j then re[i + 1], re[j + 1] = re[j + 1], re[i + 1] end
    local bit = n // 2
    while bit > 0 and j & bit ~= 0 do j, bit = j ~ bit, bit // 2 end
    j = j | bit
  end
end

-- S.x has the samples; afterwards S.x and S.y are real and imaginary parts, times 2^13 / n.
local function fourier(n)
  local re, im, scale = S.x, {}, 8192.0 / n
  for i = 1, n do re[i], im[i] = re[i] * scale, 0.0 end
  reverse(re, n)
  local wr, wi = roots(n)
  local half = 1
  while half < n do
    local stride = n // (2 * half)
    for k = 0, half - 1 do
      local ur, ui = wr[k * stride + 1], wi[k * stride + 1]
      alive()
      for i = k + 1, n, 2 * half do
        local j = i + half
        local tr = (re[j] * ur - im[j] * ui + HALF) // ONE
        local ti = (re[j] * ui + im[j] * ur + HALF) // ONE
        re[j], im[j] = re[i] - tr, im[i] - ti
        re[i], im[i] = re[i] + tr, im[i] + ti
      end
    end
    half = 2 * half
  end
  S.y = im
end

-- Filters ---------------------------------------------------------------------------------------

local function limit(v, top)
  if v > top then
    v = top
  elseif v < -top - 1 then
    v = -top - 1
  else
    return v
  end
  if S.sat < 65535 then S.sat = S.sat + 1 end
  return v
end

-- Taps, and the rounding of their sum. Integers where no sum of 16-bit samples can leave 32 bits,
-- floats otherwise or when asked for.
local function taps(place, floats)
  local f = S.f[place] or error("no filter " .. place)
  local re, im, a, b = {}, {}, 0.0, 0.0
  for m = 1, f.n do
    local u, v = S.c[2 * (f.start + m) - 1], S.c[2 * (f.start + m)]
    a, b = a + (u < 0 and -u or u), b + (v < 0 and -v or v)
    if floats then u, v = u + 0.0, v + 0.0 end
    re[m], im[m] = u, v
  end
  local scale = power(f.shift)
  local half = f.shift > 0 and scale / 2 or 0.0
  local zero = 0.0
  if a < b then a = b end
  if not floats and a * 32768.0 + half < 2147483648.0 and scale < 2147483648.0 then
    scale, half, zero = scale // 1 | 0, half // 1 | 0, 0
  end
  return { n = f.n, re = re, im = im, scale = scale, half = half, zero = zero }
end

-- A history of `n` values in each of `channels`, zeros at first; `p` is the newest. It moves to the
-- front of its tables when it has reached their end. Twenty rows have 80 of these tables, so the end
-- is near: with 256 values more instead of 64, a plan of 20 rows filled the heap.
local function history(n, channels)
  local h = { n = n, p = n }
  for c = 1, channels do
    h[c] = {}
    for i = 1, n do h[c][i] = 0 end
  end
  return h
end

local function room(h)
  local p = h.p + 1
  if p > h.n + 64 then
    for c = 1, #h do
      local values = h[c]
      for i = 1, h.n do values[i] = values[p - 1 - h.n + i] end
    end
    p = h.n + 1
  end
  h.p = p
  return p
end

local function real(t, values, p, top)
  local s, re = t.zero, t.re
  for m = 1, t.n do s = s + re[m] * values[p + 1 - m] end
  return limit((s + t.half) // t.scale, top)
end

-- Monte Carlo -----------------------------------------------------------------------------------

local function noise(J)
  local e = -262140
  for _ = 1, 4 do
    local t = (J.x ~ (J.x << 11)) & M
    J.x, J.y, J.z = J.y, J.z, J.w
    local w = J.w
    w = w ~ (w >> 19) ~ t ~ (t >> 8)
    J.w = w
    e = e + (w & 0xFFFF) + (w >> 16)
  end
  return e
end

local function redden(J, a, z)
  z = (a * z + 16384) // 32768 + noise(J) // J.noise_scale
  return z > 32767 and 32767 or z < -32768 and -32768 or z
end

local function row(J, r, h)
  local t, h1, h2, k = J.rows[r], h[1], h[2], h.p + 1
  local re, im = t.re, t.im
  local a, b, c, d = t.zero, t.zero, t.zero, t.zero
  for m = 1, t.n do
    local u, v, x1, x2 = re[m], im[m], h1[k - m], h2[k - m]
    a, b, c, d = a + u * x1, b + v * x1, c + u * x2, d + v * x2
  end
  local half, scale = t.half, t.scale
  a = limit((a + half) // scale, 32767) + 0.0
  b = limit((b + half) // scale, 32767) + 0.0
  c = limit((c + half) // scale, 32767) + 0.0
  d = limit((d + half) // scale, 32767) + 0.0
  local q, ph, ps = J.products[r], J.product_half, J.product_scale
  local p = room(q)
  q[1][p] = limit((a * a + b * b + ph) // ps, 131071)
  q[2][p] = limit((c * c + d * d + ph) // ps, 131071)
  q[3][p] = limit((a * c + b * d + ph) // ps, 131071)
  q[4][p] = limit((b * c - a * d + ph) // ps, 131071)
  for i = 1, 4 do J.smooth[i][r] = real(J.smoothing[r], q[i], p, 131071) end
end

local function bin(J, i)
  local v, t, before = {}, J.boxcar, J.first + i - J.reach - 1
  for k = 1, 4 do
    local s = 0.0
    for m = 1, t.n do s = s + t.re[m] * J.smooth[k][before + m] end
    v[k] = limit((s + t.half) // t.scale, 131071) + 0.0
  end
  if v[1] > 0 and v[2] > 0 then
    local b = 256.0 * (v[3] * v[3] + v[4] * v[4]) // (v[1] * v[2])
    if b > 255 then b = 255 end
    b = (b // 1 | 0) + 1
    S.h[i][b] = S.h[i][b] + 1
  end
end

local function instant(J, h)
  for r = 1, #J.rows do row(J, r, h) end
  if J.warmup > 0 then
    J.warmup = J.warmup - 1
    return
  end
  for i = 1, J.count do bin(J, i) end
  J.done = J.done + 1
end

-- One sample of both channels into octave `k`, and from there into the octaves below.
local function sample(J, k, z1, z2)
  local h = J.octaves[k]
  local p = room(h)
  h[1][p], h[2][p] = z1, z2
  h.count = h.count + 1
  if k < #J.octaves then
    if h.count == 2 then
      h.count = 0
      local d1 = real(J.decimator, h[1], p, 32767)
      sample(J, k + 1, d1, real(J.decimator, h[2], p, 32767))
    end
  elseif h.count == J.step then
    h.count = 0
    instant(J, h)
  end
end

local function prepare(a)
  local J = { x = a[1] & M, y = a[2] & M, z = a[3] & M, w = a[4] & M, warmup = a[5], total = a[6],
    a1 = a[7], a2 = a[8], z1 = 0, z2 = 0, noise_scale = 1 << a[9], step = 1 << a[11], count = a[14],
    first = a[13], done = 0, rows = {}, smoothing = {}, products = {}, octaves = {},
    smooth = { {}, {}, {}, {} } }
  J.product_scale = power(a[15])
  J.product_half = a[15] > 0 and J.product_scale / 2 or 0.0
  J.boxcar = taps(a[17], true)
  J.reach = (J.boxcar.n - 1) // 2
  local longest = 1
  for r = 1, a[12] do
    J.rows[r], J.smoothing[r] = taps(r - 1), taps(64 + r - 1, true)
    J.products[r] = history(J.smoothing[r].n, 4)
    if J.rows[r].n > longest then longest = J.rows[r].n end
  end
  if a[10] > 0 then J.decimator = taps(a[16]) end
  for k = 1, a[10] + 1 do
    J.octaves[k] = history(k > a[10] and longest or J.decimator.n, 2)
    J.octaves[k].count = 0
  end
  S.h, S.sat = {}, 0
  for i = 1, J.count do
    S.h[i] = {}
    for b = 1, 256 do S.h[i][b] = 0 end
  end
  return J
end

-- Requests --------------------------------------------------------------------------------------

local V = {}

-- Takes the number of this upload, or tells it; then what this is.
function V.hello(a)
  if a[1] then S.session = format("%d", a[1]) end
  local bits = #format("%x", -1) * 4
  local used = collectgarbage and collectgarbage("count") * 1024 // 1 | 0 or 0
  return concat({ cwtm_build, S.session, format("%d", bits), _SIMULATED and "1" or "0",
    format("%d", used) }, " ")
end

function V.about()
  return concat({ tostring(_VERSION), tostring(_sW), tostring(_fW), tostring(_hW) }, "|")
end

-- Whether the arithmetic is the one that all the rest relies on.
function V.numbers()
  local exact = 4503599627370497.0 * 2.0 - 9007199254740992.0
  local root = ((1 << 31) & M) >> 31
  return concat({ format("%d", exact // 1 | 0), format("%d", -7 // 2), hex32(-7.0 // 2.0),
    format("%d", root), hex32(-1), _K("123456789") }, " ")
end

function V.new()
  S.c, S.x, S.y, S.f, S.h, S.job = {}, {}, {}, {}, {}, nil
  if collectgarbage then collectgarbage() end
  return ""
end

-- 16-bit values in hexadecimal, into S.c or S.x from place a[2] on.
function V.put(a, data)
  local into, at = S[a[1]], a[2]
  for i = 1, #data, 4 do
    local v = tonumber(sub(data, i, i + 3), 16)
    at = at + 1
    into[at] = v < 32768 and v or v - 65536
  end
  return format("%d", at)
end

function V.filter(a)
  S.f[a[1]] = { start = a[2], n = a[3], shift = a[4] }
  return ""
end

function V.fft(a)
  fourier(a[1])
  return ""
end

function V.spectrum(a)
  local out = {}
  for i = a[1] + 1, a[1] + a[2] do
    out[#out + 1] = hex32(S.x[i])
    out[#out + 1] = hex32(S.y[i])
  end
  return concat(out)
end

function V.mc(a)
  S.job = prepare(a)
  return ""
end

-- Up to a[1] samples of noise. A job that was interrupted in the middle of one is lost.
function V.run(a)
  local J = S.job or error("no job")
  S.job = nil
  for _ = 1, a[1] do
    if J.done == J.total then break end
    alive()
    J.z1 = redden(J, J.a1, J.z1)
    J.z2 = redden(J, J.a2, J.z2)
    sample(J, 1, J.z1, J.z2)
  end
  S.job = J
  return format("%d %d", J.done, S.sat)
end

function V.counts(a)
  local out = {}
  for b = a[2] + 1, a[2] + a[3] do out[#out + 1] = format("%x", S.h[a[1] + 1][b]) end
  return concat(out, ",")
end

-- A request is: verb, numbers, and in the end perhaps data after a colon.
local function answer(text)
  local a, verb, data = {}, nil, ""
  for word in gmatch(text, "%S+") do
    if not verb then
      verb = word
    elseif sub(word, 1, 1) == ":" then
      data = sub(word, 2)
    else
      a[#a + 1] = tonumber(word) or word
    end
  end
  return V[verb](a, data)
end

-- The reply is kept, so that a repeated request is not executed twice.
local last, kept

function _Q(nonce, crc, text)
  if _K(nonce .. text) ~= crc then return _R(nonce, "damaged") end
  if nonce .. text ~= last then
    last, kept = nonce .. text, "failed interrupted"
    local ok, out = pcall(answer, text)
    kept = (ok and "ok " or "failed ") .. tostring(out)
  end
  _R(nonce, kept)
end

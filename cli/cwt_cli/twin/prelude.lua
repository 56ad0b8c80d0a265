-- Makes a bare Lua 5.4 look like the prompt of an ELM11; called once with two functions of the
-- host: `write(text)`, and `stopped()`, which says whether a q was typed while code ran.

local write, stopped, version = ...
local load, xpcall, select, tostring, error = load, xpcall, select, tostring, error
local sethook, traceback = debug.sethook, debug.traceback
local concat, sub, unpack, pack = table.concat, string.sub, table.unpack, table.pack
local libraries = { string = string, table = table, math = math }

-- What the board does not have, or only after an import.
for _, name in ipairs({ "python", "io", "os", "debug", "package", "require", "dofile", "loadfile",
  "utf8", "string", "table", "math" }) do _G[name] = nil end
getmetatable("").__index = nil

_SIMULATED = true
_sW, _fW, _hW = "semantics twin " .. version, "none", "none"

function print(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
  write(concat(words, "\t") .. "\r\n")
end

function import(name)
  if libraries[name] then
    _G[name] = libraries[name]
    if name == "string" then getmetatable("").__index = libraries.string end
  elseif name == "watchdog_reset" then
    watchdog_reset = function() end
  else
    error("nothing to import: " .. tostring(name), 2)
  end
end

-- Evaluates what was typed; returns true when it is not finished and more lines are wanted.
return function(source)
  local run, complaint = load("return " .. source, "=stdin")
  if not run then run, complaint = load(source, "=stdin") end
  if not run then
    if sub(complaint, -5) == "<eof>" then return true end
    write(complaint .. "\r\n")
    return false
  end
  sethook(function()
    if stopped() then error("<user interruption>", 2) end
  end, "", 10000)
  local results = pack(xpcall(run, traceback))
  sethook()
  if not results[1] or results.n > 1 then print(unpack(results, 2, results.n)) end
  return false
end

-- The twin's prompt on standard input and output of a bare Lua, for builds that lupa does not have.
local path = ...
local read, write, flush = io.read, io.write, io.flush
io.stdout:setvbuf("no")
local evaluate = assert(loadfile(path))(function(text) write(text) end,
  function() return false end, "32-bit")
local source, prompt = "", "$ "
write(prompt)
for line in function() return read("l") end do
  write(line, "\r\n")
  source = source .. line .. "\n"
  if evaluate(source) then prompt = "$$ " else source, prompt = "", "$ " end
  write(prompt)
end

-- Sent before the program, each line that is no comment as one line at the prompt.
-- Libraries, which the ELM11 has only after an import; and a place for the program's pieces.
if import then import("string") import("table") pcall(import,"watchdog_reset") end _P={}
-- CRC-32 (IEEE 802.3, as zlib's), bit by bit, with 32-bit and with 64-bit integers alike.
function _K(s) local c=0xFFFFFFFF for i=1,#s do c=c~string.byte(s,i) for _=1,8 do c=(c>>1)~(0xEDB88320&-(c&1)) end end return string.format("%08x",~c&0xFFFFFFFF) end
-- The reply to the line with nonce n.
function _R(n,s) print("="..n.." ".._K(n..s).." "..s) end

"""The ELM11, a microcontroller that runs Lua: its prompt, this project's program, its driver."""

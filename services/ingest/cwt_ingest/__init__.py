"""From the signal log to self-contained analysis windows.

`accounting` decides what a chunk is, `buffer` holds the samples that are still needed, `tiling`
says which windows are complete, `processor` joins the three for one stream: a pure function of
the log. `definitions` keeps the stream definitions, and `app` wires it all to the bus.
"""

"""From the signal log to self-contained analysis windows.

`accounting` classifies each chunk, `processor` turns the chunks of one stream into windows and
events as a pure function of the log, and `follower` reads the log and publishes what comes out.
`catalogue` stores the stream definitions, `stream_assignment` decides which process follows which
stream, and `app` connects all of it to the bus.
"""

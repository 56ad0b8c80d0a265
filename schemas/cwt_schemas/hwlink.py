"""The numbers of the serial link to the FPGA: frame, message types, refusals, states, limits.

``docs/hardware-link.md`` is the specification and says what they mean; the gateware and the host
both are to take them from here. The layouts of payloads are in ``cwt_schemas.hwlink_layouts``.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

#: Of the frame and everything in it. A frame of another version is refused.
PROTOCOL_VERSION = 1

#: First bytes of both HELLO payloads: what answers otherwise is another device.
MAGIC = b"CWTM"

#: Ends every frame; COBS keeps it out of the frame's bytes.
DELIMITER = 0

#: version u8, type u8, seq u16, job u16.
HEADER_BYTES = 6
CRC_BYTES = 4

#: Header and CRC with it stay below 254 bytes, so that COBS adds exactly one.
MAX_PAYLOAD_BYTES = 240
MIN_FRAME_BYTES = HEADER_BYTES + CRC_BYTES
MAX_FRAME_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES + CRC_BYTES

#: With the code byte of COBS and the delimiter.
MAX_ENCODED_BYTES = MAX_FRAME_BYTES + 2

#: A reply has the type of its request with this bit set.
REPLY = 0x80

#: Requests that may be unanswered at one time, and the replies that the device keeps.
WINDOW = 8

#: Bytes that the device can hold back while it works; a full window fits.
RECEIVE_CREDIT = 2048

#: Of a serial line after power-up and RESET.
DEFAULT_BAUD = 115_200

#: Clocks per bit below which the receiver cannot find the middle of a bit.
MIN_DIVISOR = 8
#: Above the first rate's, so that no rate is slower than it; 8 bits.
MAX_DIVISOR = 255

#: Frames that cannot be read, one after the other, before the device returns to its first rate.
BAD_FRAMES_TO_DEFAULT_RATE = 16

#: Longest time from the last byte of a request to the first of its reply, when nothing is queued.
TURNAROUND_S = 0.001

#: Times that a request is repeated before the link counts as down.
RETRIES = 3

#: Complex coefficients that one LOAD_COEFFS takes: index u16, pad u16, then 4 bytes each.
COEFFS_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 4

#: Filters that one LOAD_FILTERS takes.
FILTERS_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 8

#: Samples that one FIR_IO takes, and outputs that its reply brings.
SAMPLES_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 2
OUTPUTS_PER_FRAME = (MAX_PAYLOAD_BYTES - 8) // 4

#: Counts that one reply to MC_HISTOGRAM brings.
COUNTS_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 4

#: Places in the filter table. Filters of rows are the first half; the smoothing of row r in Monte
#: Carlo is filter SMOOTHING_BASE + r.
FILTERS = 128
SMOOTHING_BASE = 64

#: Complex coefficients of all filters together.
COEFFICIENTS = 2048

#: Longest filter: a row of the filter bank, a row in Monte Carlo, a smoothing filter.
MAX_TAPS = 256
MC_MAX_TAPS = 128
MC_MAX_SMOOTHING_TAPS = 32

#: Largest rows of the bank, octaves, and shift of a filter; largest log2 of a filter's step.
MAX_ROWS = 64
MAX_OCTAVES = 16
MAX_SHIFT = 31
MAX_STEP = 3

#: Samples that wait for the filter bank, and outputs that wait to be fetched.
SAMPLE_ROOM = 1024
OUTPUT_ROOM = 512

#: Rows computed and rows binned in one pass of Monte Carlo. A place for one row more holds what the
#: boxcar reads, in the memory of the products' histories.
MC_MAX_ROWS = 31
MC_MAX_BINNED_ROWS = 12
MC_MAX_DECIMATIONS = 15
MC_MAX_NOISE_SHIFT = 15
HISTOGRAM_BINS = 256


class MessageType(IntEnum):
    """What a request asks for."""

    HELLO = 0x01
    STATUS = 0x02
    SET_BAUD = 0x03
    CONFIRM_BAUD = 0x04
    RESET = 0x05
    ABORT = 0x06
    LOAD_COEFFS = 0x10
    LOAD_FILTERS = 0x11
    FIR_START = 0x12
    FIR_IO = 0x13
    SELFTEST = 0x18
    MC_START = 0x20
    MC_HISTOGRAM = 0x21


#: The type of a refusal, whatever was asked.
NAK = 0xFF


class NakCode(IntEnum):
    """Why a request was refused."""

    #: The frame's version is not the device's; its own is in the header of the refusal.
    VERSION = 1
    #: A frame that cannot be read: encoding, length or CRC.
    BAD_FRAME = 2
    #: Neither the next number nor one whose reply is kept.
    SEQUENCE = 3
    #: Nothing but HELLO is answered before a HELLO.
    NO_SESSION = 4
    #: No such type, or a feature that this gateware does not have.
    TYPE = 5
    #: The payload's length does not fit its type.
    LENGTH = 6
    #: A value outside its limits.
    RANGE = 7
    #: A job is running.
    BUSY = 8
    #: The running job has another number, or there is none.
    JOB = 9
    #: The first sample is not the next one.
    POSITION = 10
    #: More samples than there is room for.
    NO_ROOM = 11


class State(IntEnum):
    """What the device is doing."""

    IDLE = 0
    FIR = 1
    SELFTEST = 2
    SELFTEST_DONE = 3
    MC = 4
    MC_DONE = 5


class Feature(IntFlag):
    """What this gateware can do, and whether it is gateware in silicon."""

    FIR = 1 << 0
    SELFTEST = 1 << 1
    MC = 1 << 2
    #: There is a serial line whose rate can be set.
    BAUD = 1 << 3
    #: The design runs in a simulator.
    SIMULATED = 1 << 31

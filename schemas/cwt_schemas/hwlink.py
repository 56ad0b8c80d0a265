"""Constants of the serial link to the FPGA: frame, message types, NAK codes, states, limits.

``docs/hardware-link.md`` is the specification; gateware and host both import these constants. The
layouts of payloads are in ``cwt_schemas.hwlink_layouts``.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

#: Version of the frame and its content. A frame of another version is refused.
PROTOCOL_VERSION = 1

#: First bytes of both HELLO payloads, which identify the device.
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

#: Including the code byte of COBS and the delimiter.
MAX_ENCODED_BYTES = MAX_FRAME_BYTES + 2

#: A reply has the type of its request with this bit set.
REPLY = 0x80

#: Requests that may be outstanding at a time, and replies that the device stores.
WINDOW = 8

#: Bytes that the device buffers while it works; a full window fits.
RECEIVE_CREDIT = 2048

#: Rate of the serial line after power-up and RESET.
DEFAULT_BAUD = 115_200

#: Clocks per bit below which the receiver cannot find the middle of a bit.
MIN_DIVISOR = 8
#: Above the divisor of the first rate, so no rate is slower; 8 bits.
MAX_DIVISOR = 255

#: Consecutive unreadable frames before the device returns to its first rate.
BAD_FRAMES_TO_DEFAULT_RATE = 16

#: Longest time from the last byte of a request to the first byte of its reply, with an empty queue.
TURNAROUND_S = 0.001

#: Retries of a request before the link counts as down.
RETRIES = 3

#: Complex coefficients in one LOAD_COEFFS: index u16, pad u16, then 4 bytes each.
COEFFS_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 4

#: Filters in one LOAD_FILTERS.
FILTERS_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 8

#: Samples in one FIR_IO, and outputs in its reply.
SAMPLES_PER_FRAME = (MAX_PAYLOAD_BYTES - 4) // 2
OUTPUTS_PER_FRAME = (MAX_PAYLOAD_BYTES - 8) // 4

#: Counts in one reply to MC_HISTOGRAM.
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

#: Capacity for samples before the filter bank, and for outputs before they are fetched.
SAMPLE_ROOM = 1024
OUTPUT_ROOM = 512

#: Rows computed and rows binned in one pass of Monte Carlo. The memory of the products' histories
#: has room for one more row, which holds the input of the boxcar.
MC_MAX_ROWS = 31
MC_MAX_BINNED_ROWS = 12
MC_MAX_DECIMATIONS = 15
MC_MAX_NOISE_SHIFT = 15
HISTOGRAM_BINS = 256


class MessageType(IntEnum):
    """Type of a request."""

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


#: Type of a refusal of any request.
NAK = 0xFF


class NakCode(IntEnum):
    """Why a request was refused."""

    #: The frame's version is not the device's; its own is in the header of the refusal.
    VERSION = 1
    #: A frame that cannot be read: encoding, length or CRC.
    BAD_FRAME = 2
    #: Neither the next number nor one whose reply is stored.
    SEQUENCE = 3
    #: Before a HELLO, all other requests are refused.
    NO_SESSION = 4
    #: Unknown type, or a feature that this gateware does not have.
    TYPE = 5
    #: The payload's length does not fit its type.
    LENGTH = 6
    #: A value outside its limits.
    RANGE = 7
    #: A job is running.
    BUSY = 8
    #: The running job has another number, or no job is running.
    JOB = 9
    #: The first sample is not the next one.
    POSITION = 10
    #: More samples than the device has room for.
    NO_ROOM = 11


class State(IntEnum):
    """State of the device."""

    IDLE = 0
    FIR = 1
    SELFTEST = 2
    SELFTEST_DONE = 3
    MC = 4
    MC_DONE = 5


class Feature(IntFlag):
    """Features of the gateware, and whether it runs in a simulator."""

    FIR = 1 << 0
    SELFTEST = 1 << 1
    MC = 1 << 2
    #: The rate of the serial line can be set.
    BAUD = 1 << 3
    #: The design runs in a simulator.
    SIMULATED = 1 << 31

// The device as compiled by Verilator, behind a few C functions for ctypes.
// With SERIAL the other end of the wires is a host with a serial port of its own, bit by bit.
#include <cstdint>
#include "Vdevice.h"
#include "verilated.h"

namespace {

struct Simulation {
    VerilatedContext context;
    Vdevice device{&context};
    uint32_t host_divisor = 234;
    // What the host's port is sending, least bit first, and clocks left of the present bit.
    uint32_t sending = 0, sending_bits = 0, sending_clocks = 0;
    // What it is receiving: bit 0 is the start, 9 the stop.
    uint32_t receiving = 0, receiving_bits = 0, receiving_clocks = 0;
    bool rested = true;

    void clock() {
        device.clk = 1;
        device.eval();
        device.clk = 0;
        device.eval();
    }

#ifdef SERIAL
    bool line_free() const { return sending_bits == 0; }

    void send(uint8_t byte) {
        sending = 0x200u | (uint32_t(byte) << 1);
        sending_bits = 10;
        sending_clocks = host_divisor;
    }

    // Runs one clock; true when a byte has come, damaged or not.
    bool step(uint8_t *byte) {
        device.rx = sending_bits ? sending & 1 : 1;
        clock();
        if (sending_bits && --sending_clocks == 0) {
            sending >>= 1;
            sending_clocks = host_divisor;
            --sending_bits;
        }
        if (receiving_bits == 0) {
            if (device.tx) rested = true;
            else if (rested) {
                receiving_bits = 10;
                receiving = 0;
                receiving_clocks = host_divisor / 2;
            }
            return false;
        }
        if (--receiving_clocks) return false;
        if (receiving_bits == 10 && device.tx) {
            receiving_bits = 0;
            return false;
        }
        receiving = (receiving >> 1) | (uint32_t(device.tx) << 9);
        receiving_clocks = host_divisor;
        if (--receiving_bits) return false;
        rested = device.tx;
        *byte = uint8_t(receiving >> 1);
        return true;
    }

    bool busy() const { return sending_bits || receiving_bits || device.working; }
#else
    bool busy() const { return device.working; }
#endif
};

}  // namespace

extern "C" {

void *device_new(uint32_t entropy) {
    auto *simulation = new Simulation;
    Vdevice &device = simulation->device;
    device.clk = 0;
    device.entropy = entropy;
#ifdef SERIAL
    device.rx = 1;
#else
    device.line_idle = 1;
#endif
    device.rst = 1;
    simulation->clock();
    device.rst = 0;
    device.eval();
    return simulation;
}

void device_free(void *handle) { delete static_cast<Simulation *>(handle); }

void device_host_divisor(void *handle, uint32_t divisor) {
    static_cast<Simulation *>(handle)->host_divisor = divisor;
}

// Bits that last so many clocks go on while the device is at rest; then the call returns.
enum { SETTLE = 64 };

// Returns the bytes taken. `sent` has room for `clocks` bytes.
uint32_t device_run(void *handle, const uint8_t *received, uint32_t bytes, uint32_t clocks,
                    uint8_t *sent, uint32_t *sent_bytes, uint32_t *working, uint32_t *passed) {
    auto *simulation = static_cast<Simulation *>(handle);
    Vdevice &device = simulation->device;
    uint32_t taken = 0, made = 0, still = 0, i = 0;
    for (; i < clocks && still < SETTLE; i++) {
#ifdef SERIAL
        if (simulation->line_free() && taken < bytes) simulation->send(received[taken++]);
        uint8_t byte;
        if (simulation->step(&byte)) sent[made++] = byte;
#else
        device.sent_ready = 1;
        device.received_valid = taken < bytes;
        device.received_payload = taken < bytes ? received[taken] : 0;
        device.eval();
        if (device.received_valid && device.received_ready) taken++;
        if (device.sent_valid) sent[made++] = device.sent_payload;
        simulation->clock();
#endif
        still = taken == bytes && !simulation->busy() ? still + 1 : 0;
    }
    *sent_bytes = made;
    *working = simulation->busy();
    *passed = i;
    return taken;
}

}

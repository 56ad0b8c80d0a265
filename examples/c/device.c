/* A device in C that uses only POSIX sockets: it publishes ten seconds of a 5 Hz tone in raw int16
 * chunks. It sends each chunk again until the log acknowledges it, and reconnects when the connection
 * is lost. With lwIP or a modem's socket calls, the same code runs on a microcontroller.
 *
 *     cc -O2 -o device device.c -lm && ./device [HOST [PORT [STREAM]]]
 */
#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FS_HZ = 100, CHUNK = 50, CHUNKS = 20, TRIES = 20, SILENCE_S = 2, TEXT = 2048 };

static const char EPOCH[] = "boot-1";
static const char INBOX[] = "_INBOX.c";

static FILE *wire; /* for buffered reading; NULL while disconnected */
static int link_fd = -1;

static void hang_up(void) {
    if (wire) fclose(wire); /* closes link_fd too */
    wire = NULL;
}

/* Send all bytes; return 0 on failure. */
static int send_all(const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t sent = send(link_fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        at += sent;
        size -= (size_t)sent;
    }
    return 1;
}

static int send_text(const char *text) { return send_all(text, strlen(text)); }

static int dial(const char *host, const char *port) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    struct timeval silence = {.tv_sec = SILENCE_S};
    char line[TEXT];
    if (getaddrinfo(host, port, &wanted, &found)) return 0;
    link_fd = socket(found->ai_family, SOCK_STREAM, 0);
    /* Reads time out, so that a lost reply is detected. */
    setsockopt(link_fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    int failed = connect(link_fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    wire = failed ? NULL : fdopen(link_fd, "r");
    if (!wire) {
        close(link_fd);
        return 0;
    }
    snprintf(line, sizeof line, "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB %s 1\r\n", INBOX);
    if (send_text(line)) return 1;
    hang_up();
    return 0;
}

/* Return the body of the next message, or 0 if none arrives. Skips INFO and +OK. */
static int answer(char *body, size_t room) {
    char line[TEXT];
    while (fgets(line, sizeof line, wire)) {
        if (!strncmp(line, "PING", 4)) {
            if (!send_text("PONG\r\n")) return 0;
        } else if (!strncmp(line, "MSG ", 4) || !strncmp(line, "HMSG ", 5)) {
            char *last = strrchr(line, ' '), *before;
            size_t all = strtoul(last, NULL, 10), head = 0;
            if (line[0] == 'H') {
                *last = 0;
                before = strrchr(line, ' ');
                head = strtoul(before, NULL, 10);
            }
            for (size_t i = 0; i < all + 2; i++) {
                int byte = fgetc(wire);
                if (byte == EOF) return 0;
                if (i >= head && i - head + 1 < room && i < all) {
                    body[i - head] = (char)byte;
                    body[i - head + 1] = 0;
                }
            }
            return 1;
        } else if (!strncmp(line, "-ERR", 4)) {
            fputs(line, stderr);
            return 0;
        }
    }
    return 0;
}

/* Send a message until a reply without an error arrives; exit the program if none does. */
static void persist(const char *host, const char *port, const void *message, size_t size, char *kept) {
    const struct timespec pause = {.tv_nsec = 200000000};
    for (int attempt = 0; attempt < TRIES; attempt++) {
        kept[0] = 0;
        if (wire || dial(host, port)) {
            if (send_all(message, size) && answer(kept, TEXT) && !strstr(kept, "\"error\"")) return;
            hang_up(); /* after a timeout too: a late reply would be taken for the next one */
        }
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "given up: %s\n", kept[0] ? kept : "no answer");
    exit(1);
}

/* Random, so that no other client can use up the ids of this run. */
static unsigned long long nonce(void) {
    unsigned long long value;
    FILE *source = fopen("/dev/urandom", "rb"); /* on a microcontroller: its random generator */
    if (!source || fread(&value, sizeof value, 1, source) != 1) {
        perror("/dev/urandom");
        exit(1);
    }
    fclose(source);
    return value;
}

int main(int argc, char **argv) {
    const char *host = argc > 1 ? argv[1] : "127.0.0.1", *port = argc > 2 ? argv[2] : "4222";
    const char *stream = argc > 3 ? argv[3] : "c";
    char message[TEXT], body[TEXT], kept[TEXT];

    int length = snprintf(body, sizeof body,
        "{\"name\":\"%s\",\"fs_hz\":%d,\"channels\":[{\"name\":\"tone\",\"unit\":\"counts\"}],"
        "\"analyses\":[{\"name\":\"power\",\"op\":\"cwt\",\"channels\":[\"tone\"],\"fmin_hz\":2,"
        "\"fmax_hz\":16,\"hop_s\":1,\"quantity\":\"power\"}]}", stream, FS_HZ);
    int size = snprintf(message, sizeof message, "PUB cwt.stream.put %s %d\r\n%s\r\n", INBOX, length, body);
    persist(host, port, message, (size_t)size, kept);

    unsigned long long run = nonce();
    for (int first = 0; first < CHUNKS * CHUNK; first += CHUNK) {
        int head = snprintf(body, sizeof body,
            "NATS/1.0\r\nContent-Type: application/octet-stream\r\nCwt-Dtype: <i2\r\n"
            "Cwt-Channels: 1\r\n"
            "Cwt-Epoch: %s\r\nCwt-First-Sample: %d\r\nNats-Msg-Id: %s/%s/%d/%016llx\r\n\r\n",
            EPOCH, first, stream, EPOCH, first, run);
        size = snprintf(message, sizeof message, "HPUB cwt.signal.%s %s %d %d\r\n%s", stream, INBOX,
            head, head + 2 * CHUNK, body);
        for (int i = 0; i < CHUNK; i++) {
            double phase = 2 * acos(-1.0) * 5 * (first + i) / FS_HZ;
            uint16_t sample = (uint16_t)(int16_t)lround(1000 * sin(phase));
            message[size++] = (char)(sample & 0xFF); /* little-endian on any processor */
            message[size++] = (char)(sample >> 8);
        }
        memcpy(message + size, "\r\n", 2);
        persist(host, port, message, (size_t)size + 2, kept);
        printf("samples %d to %d: %s\n", first, first + CHUNK - 1, kept);
    }
    hang_up();
    return 0;
}

// What the load generator and the echo server share.
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef struct ssl_st SSL;
#endif

enum { OPCODE_TEXT = 1, OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
// For TLS: one recv() for as much as there is, not two for each record.
enum { TLS_READ_SIZE = 1 << 16 };
enum { FIN = 0x80, RSV1 = 0x40, MASK = 0x80, MAX_CONTROL_PAYLOAD = 125, MAX_HEADER = 14 };

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

// Have as many open files as allowed, and errors in place of SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
static inline void prepare_process(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
}

static inline void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (memory == NULL) fail("out of memory");
    return memory;
}

static inline uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Write the header of a frame (RFC 6455, 5.2) without a masking key; return its size.
static inline size_t write_header(uint8_t *out, uint8_t first, uint64_t size, uint8_t mask) {
    out[0] = first;
    if (size < 126) {
        out[1] = (uint8_t)(mask | size);
        return 2;
    }
    size_t width = size < 65536 ? 2 : 8;
    out[1] = (uint8_t)(mask | (width == 2 ? 126 : 127));
    for (size_t i = 0; i < width; i++) out[2 + i] = (uint8_t)(size >> (8 * (width - 1 - i)));
    return 2 + width;
}

// How long the header is that begins with these bytes, or 0 if more are needed to tell.
static inline size_t header_size(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint8_t announced = data[1] & 0x7f;
    size_t extended = announced < 126 ? 0 : announced == 126 ? 2 : 8;
    return 2 + extended + (data[1] & MASK ? 4 : 0);
}

// The payload size that a complete header announces.
static inline uint64_t payload_size(const uint8_t *header) {
    uint64_t announced = header[1] & 0x7f;
    if (announced < 126) return announced;
    size_t width = announced == 126 ? 2 : 8;
    uint64_t size = 0;
    for (size_t i = 0; i < width; i++) size = size << 8 | header[2 + i];
    return size;
}

// Return what was written or read, with TLS if there is any, 0 for "later", or -1 for the end of the connection.
static inline ssize_t transfer(int fd, SSL *ssl, const uint8_t *out, uint8_t *in, size_t size) {
#ifdef WITH_TLS
    if (ssl != NULL) {
        ERR_clear_error();
        int done = out ? SSL_write(ssl, out, (int)size) : SSL_read(ssl, in, (int)size);
        if (done > 0) return done;
        int error = SSL_get_error(ssl, done);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#else
    (void)ssl;
#endif
    ssize_t done = out ? send(fd, out, size, MSG_NOSIGNAL) : recv(fd, in, size, 0);
    if (done > 0) return done;
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

// TLS gives a record at a time, and may have read more of them.
static inline bool has_more(SSL *ssl) {
#ifdef WITH_TLS
    return ssl != NULL && SSL_has_pending(ssl);
#else
    (void)ssl;
    return false;
#endif
}

#endif

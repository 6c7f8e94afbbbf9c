// An echo server for WebSocket clients: one thread, epoll, as little as the protocol allows.
//
//     echoserver PORT [FILE]
//
// With a file, which holds a certificate and its key, it speaks TLS.
//
// It stands at the other end of clients that are measured, and shows as a server what the machine and the load
// generator have to give. It closes on a malformed frame and accepts no extension; it is no product.
#define _GNU_SOURCE
#include "common.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_EVENTS = 512, READ_SIZE = 1 << 18, MAX_HEAD = 8192, MAX_MESSAGE = 1 << 24, DIGEST_SIZE = 20 };

typedef struct {
    uint8_t *bytes;
    size_t start, end, capacity;
} buffer;

typedef struct {
    int fd;
    bool is_open, wants_write, is_closing;
    buffer in, out;
    SSL *ssl;   // with TLS only
} connection;

static int poll_fd;
static uint8_t *read_buffer;
#ifdef WITH_TLS
static SSL_CTX *tls_context;
#endif

static void append(buffer *b, const uint8_t *data, size_t size) {
    if (b->start == b->end) b->start = b->end = 0;
    if (b->end + size > b->capacity) {
        memmove(b->bytes, b->bytes + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
        if (b->end + size > b->capacity) {
            b->capacity = 2 * (b->end + size);
            b->bytes = realloc(b->bytes, b->capacity);
            if (b->bytes == NULL) fail("out of memory");
        }
    }
    memcpy(b->bytes + b->end, data, size);
    b->end += size;
}

// SHA-1 (RFC 3174) of a short text, for Sec-WebSocket-Accept.

static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
        else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else f = b ^ c ^ d, k = 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void sha1(const char *text, size_t size, uint8_t digest[DIGEST_SIZE]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[256] = {0};
    size_t padded = (size + 8) / 64 * 64 + 64;
    if (padded > sizeof blocks) fail("the text is too long");
    memcpy(blocks, text, size);
    blocks[size] = 0x80;
    for (int i = 0; i < 8; i++) blocks[padded - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < padded; i += 64) sha1_block(state, blocks + i);
    for (int i = 0; i < DIGEST_SIZE; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *data, size_t size, char *out) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16;
        if (i + 1 < size) three |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size) three |= data[i + 2];
        for (int j = 0; j < 4; j++) *out++ = i + (size_t)j > size ? '=' : letters[three >> (18 - 6 * j) & 63];
    }
    *out = 0;
}

// Take the request in; return false if it is none that can be answered.
static bool open_connection(connection *c) {
    buffer *in = &c->in;
    uint8_t *head = in->bytes + in->start;
    size_t size = in->end - in->start;
    uint8_t *end = memmem(head, size, "\r\n\r\n", 4);
    if (end == NULL) return size < MAX_HEAD;
    *end = 0;
    char *key = strcasestr((char *)head, "\r\nSec-WebSocket-Key:");
    char text[128], accept[32], response[256];
    uint8_t digest[DIGEST_SIZE];
    if (key == NULL || sscanf(key + 20, " %64[A-Za-z0-9+/=]", text) != 1) return false;
    strcat(text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    sha1(text, strlen(text), digest);
    base64(digest, sizeof digest, accept);
    int length = snprintf(response, sizeof response,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    append(&c->out, (uint8_t *)response, (size_t)length);
    in->start += (size_t)(end - head) + 4;
    c->is_open = true;
    return true;
}

static void unmask(uint8_t *payload, size_t size, const uint8_t *key) {
    uint64_t wide, word;
    memcpy(&wide, (uint8_t[8]){key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]}, 8);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, payload + i, 8);
        word ^= wide;
        memcpy(payload + i, &word, 8);
    }
    for (; i < size; i++) payload[i] ^= key[i & 3];
}

// Answer all frames that are complete; return false if there is one that must not be.
static bool echo(connection *c) {
    buffer *in = &c->in;
    while (!c->is_closing) {
        uint8_t *frame = in->bytes + in->start;
        size_t here = in->end - in->start, header = header_size(frame, here);
        if (header == 0 || here < header) return true;
        uint64_t size = payload_size(frame);
        if (!(frame[1] & MASK) || size > MAX_MESSAGE) return false;
        if (here < header + size) return true;
        uint8_t first = frame[0], answer[MAX_HEADER];
        unmask(frame + header, (size_t)size, frame + header - 4);
        if ((first & 0x0f) == OPCODE_PING) first = FIN | OPCODE_PONG;
        if ((first & 0x0f) == OPCODE_CLOSE) c->is_closing = true;
        if ((frame[0] & 0x0f) != OPCODE_PONG) {
            append(&c->out, answer, write_header(answer, first, size, 0));
            append(&c->out, frame + header, (size_t)size);
        }
        in->start += header + (size_t)size;
    }
    return true;
}

static void close_connection(connection *c) {
#ifdef WITH_TLS
    SSL_free(c->ssl);
#endif
    close(c->fd);
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
}

static bool flush_output(connection *c) {
    buffer *out = &c->out;
    while (out->start < out->end) {
        ssize_t done = transfer(c->fd, c->ssl, out->bytes + out->start, NULL, out->end - out->start);
        if (done < 0) return false;
        if (done == 0) break;
        out->start += (size_t)done;
    }
    bool wants_write = out->start < out->end;
    if (c->wants_write != wants_write) {
        // Who does not read is not read from.
        struct epoll_event event = {.events = wants_write ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        c->wants_write = wants_write;
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
    }
    return !(c->is_closing && !wants_write);
}

static bool is_readable(connection *c) {
    ssize_t got;
    do {
        got = transfer(c->fd, c->ssl, NULL, read_buffer, READ_SIZE);
        if (got <= 0) return got == 0;
        append(&c->in, read_buffer, (size_t)got);
        if (!c->is_open && !open_connection(c)) return false;
        if (c->is_open && !echo(c)) return false;
    } while (has_more(c->ssl));
    return true;
}

static void use_certificate(const char *file) {
#ifdef WITH_TLS
    tls_context = SSL_CTX_new(TLS_server_method());
    if (tls_context == NULL || SSL_CTX_use_certificate_chain_file(tls_context, file) != 1
        || SSL_CTX_use_PrivateKey_file(tls_context, file, SSL_FILETYPE_PEM) != 1)
        fail("%s: %s", file, ERR_reason_error_string(ERR_peek_error()));
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls_context, 1);
    SSL_CTX_set_default_read_buffer_len(tls_context, TLS_READ_SIZE);
#else
    fail("%s: this echo server was compiled without TLS", file);
#endif
}

static void start_tls(connection *c) {
#ifdef WITH_TLS
    if (tls_context == NULL) return;
    c->ssl = SSL_new(tls_context);
    if (c->ssl == NULL || !SSL_set_fd(c->ssl, c->fd)) fail("out of memory for TLS");
    SSL_set_accept_state(c->ssl);
#else
    (void)c;
#endif
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        connection *c = allocate(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        c->fd = fd;
        start_tls(c);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) fail("port %d: %s", port, strerror(errno));
    return listener;
}

int main(int count, char **arguments) {
    int port = count == 2 || count == 3 ? atoi(arguments[1]) : 0;
    if (port < 1 || port > 65535) fail("usage: echoserver PORT [FILE]");
    if (count == 3) use_certificate(arguments[2]);
    prepare_process();
    int listener = listen_on(port);
    read_buffer = allocate(1, READ_SIZE);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_EVENTS];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (c == NULL) {
                accept_all(listener);
                continue;
            }
            bool goes_on = events[i].events & EPOLLIN ? is_readable(c) : true;
            if (goes_on && !flush_output(c)) goes_on = false;
            if (events[i].events & (EPOLLERR | EPOLLHUP) && !(events[i].events & EPOLLIN)) goes_on = false;
            if (!goes_on) close_connection(c);
        }
    }
}

// A load generator for WebSocket servers: one thread, epoll, any number of connections.
//
//     loadgen --port PORT --mode echo|fan|idle|connect [OPTION VALUE]... [--text] [--tls]
//
//     echo      each connection keeps messages in flight and gets them back
//     fan       the first connection sends, the server sends each message to all
//     idle      connections are opened and kept until standard input ends; pings are answered
//     connect   connections are opened, and that is all
//
//     --connections N   --size BYTES   --in-flight N   --seconds S   --warmup S
//     --receivers N     how many get each message of fan, if not all
//     --stalled N       how many of the last connections never read
//     --messages N      end when so many came back, before the time is over
//     --concurrency N   handshakes in progress at the same time
//     --script FILE     messages to send instead of plain ones (bench/messages.py writes such files)
//     --extensions X    the value of Sec-WebSocket-Extensions, to offer compression
//     --watch PID       the server's process: report how much of a core it used
//
// Every frame that comes back is checked: opcode, size and payload (with a script: opcode only).
// The result is one line of JSON on standard output; for idle, one when all are open and one at the end.
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 20, MAX_EVENTS = 512, MAX_SAMPLES = 1 << 20, MAX_HEAD = 8192 };
enum { SOURCE_ADDRESSES = 16 };
enum mode { ECHO, FAN, IDLE, CONNECT };
enum phase { CONNECTING, TLS_HANDSHAKE, OPENING, OPEN };

// The answer to the key of RFC 6455's example (1.3), which all connections use.
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

typedef struct {
    int fd;
    enum phase phase;
    bool wants_write;
    uint8_t header[MAX_HEADER];
    uint8_t header_got;
    uint8_t control_got;
    uint8_t *control;        // the payload of a control frame, or what came of the response's head
    size_t head_got;
    uint64_t payload_left;   // of the frame whose header is complete
    uint32_t frames_due;     // of the batch that was sent
    uint32_t next_frame;     // of the script
    const uint8_t *out;
    size_t out_left;
    uint64_t sent_at;
    SSL *ssl;   // with TLS only
} connection;

static struct {
    enum mode mode;
    int port, connections, in_flight, concurrency, receivers, stalled;
    size_t size;
    double seconds, warmup;
    uint64_t messages;
    bool text, tls;
    const char *script, *extensions;
    int watch;
} options = {.connections = 1, .in_flight = 1, .concurrency = 32, .size = 64, .seconds = 1, .messages = UINT64_MAX, .extensions = ""};

// What is sent, again and again: frames, one behind the other.
static struct {
    uint8_t *bytes;
    size_t *starts;
    uint32_t count;
} script;

// What comes back: known to the byte if there is no script.
static uint8_t expected_header[MAX_HEADER];
static size_t expected_header_size;
static uint8_t *expected_payload;

static connection *connections;
static int poll_fd;
static uint8_t *read_buffer;
static int opened, started;
static char chosen_extensions[256];
static uint64_t messages, bytes, pings, fan_due;
static double *samples;
static size_t sample_count;
static bool counting;
// Processor time when measuring began, of this process and of the server.
static double load_cpu, server_cpu;
static char request[2048];
static int request_size;
#ifdef WITH_TLS
static SSL_CTX *tls_context;
#endif

static void make_plain_script(void) {
    static const uint8_t key[4] = {0x12, 0x9a, 0x5c, 0xe3};
    uint8_t first = FIN | (options.text ? OPCODE_TEXT : OPCODE_BINARY);
    uint8_t header[MAX_HEADER];
    size_t header_bytes = write_header(header, first, options.size, MASK);
    size_t frame_size = header_bytes + 4 + options.size;
    expected_header_size = write_header(expected_header, first, options.size, 0);
    expected_payload = allocate(1, options.size);
    for (size_t i = 0; i < options.size; i++) expected_payload[i] = (uint8_t)('a' + i % 26);
    script.count = (uint32_t)options.in_flight;
    script.bytes = allocate(script.count, frame_size);
    script.starts = allocate(script.count + 1, sizeof(size_t));
    for (uint32_t frame = 0; frame < script.count; frame++) {
        uint8_t *out = script.bytes + frame * frame_size;
        memcpy(out, header, header_bytes);
        memcpy(out + header_bytes, key, 4);
        for (size_t i = 0; i < options.size; i++) out[header_bytes + 4 + i] = expected_payload[i] ^ key[i & 3];
        script.starts[frame + 1] = (frame + 1) * frame_size;
    }
}

// A script is a count and, for each frame, its size and its bytes; numbers are 32 bits, little endian.
static void read_script(void) {
    FILE *file = fopen(options.script, "rb");
    if (file == NULL) fail("%s: %s", options.script, strerror(errno));
    if (fread(&script.count, 4, 1, file) != 1 || script.count == 0 || script.count > 1 << 20) fail("not a script");
    if (script.count % (uint32_t)options.in_flight) fail("the messages of a script must be a multiple of those in flight");
    script.starts = allocate(script.count + 1, sizeof(size_t));
    size_t total = 0;
    for (uint32_t frame = 0; frame < script.count; frame++) {
        uint32_t size;
        if (fread(&size, 4, 1, file) != 1 || size > 1 << 24) fail("not a script");
        script.bytes = realloc(script.bytes, total + size);
        if (script.bytes == NULL) fail("out of memory");
        if (fread(script.bytes + total, 1, size, file) != size) fail("the script ends too early");
        script.starts[frame + 1] = total += size;
    }
    fclose(file);
}

static void watch(connection *c, bool write, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    c->wants_write = write;
    if (epoll_ctl(poll_fd, operation, c->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

static void flush_output(connection *c) {
    while (c->out_left) {
        ssize_t done = transfer(c->fd, c->ssl, c->out, NULL, c->out_left);
        if (done < 0) fail("the server closed the connection while a message was sent");
        if (done == 0) break;
        c->out += done;
        c->out_left -= (size_t)done;
    }
    if (c->wants_write != (c->out_left > 0)) watch(c, c->out_left > 0, EPOLL_CTL_MOD);
}

static void send_batch(connection *c) {
    uint32_t end = c->next_frame + (uint32_t)options.in_flight;
    c->out = script.bytes + script.starts[c->next_frame];
    c->out_left = script.starts[end] - script.starts[c->next_frame];
    c->next_frame = end % script.count;
    c->frames_due = (uint32_t)options.in_flight;
    fan_due = (uint64_t)options.in_flight * (uint64_t)options.receivers;
    c->sent_at = now_ns();
    flush_output(c);
}

static void batch_is_back(connection *c) {
    if (counting && sample_count < MAX_SAMPLES) samples[sample_count++] = (double)(now_ns() - c->sent_at) / 1e3;
    send_batch(c);
}

static void message_is_back(connection *c) {
    if (counting) messages++;
    if (options.mode == ECHO) {
        if (c->frames_due == 0) fail("a message came back twice");
        // The next batch waits until this one is written: a server may answer a part.
        if (--c->frames_due == 0 && c->out_left == 0) batch_is_back(c);
    } else if (options.mode == FAN && --fan_due == 0) {
        batch_is_back(&connections[0]);
    }
}

static void control_is_here(connection *c) {
    uint8_t opcode = c->header[0] & 0x0f;
    if (opcode == OPCODE_CLOSE) {
        int code = c->control_got >= 2 ? c->control[0] << 8 | c->control[1] : 1005;
        fail("the server closed the connection with %d", code);
    }
    // In the middle of a message there is no room for a pong; the next ping will do.
    if (opcode == OPCODE_PING && c->out_left == 0) {
        // A masking key of zeros masks nothing.
        uint8_t pong[MAX_HEADER + MAX_CONTROL_PAYLOAD] = {0};
        size_t size = write_header(pong, FIN | OPCODE_PONG, c->control_got, MASK) + 4;
        memcpy(pong + size, c->control, c->control_got);
        size += c->control_got;
        if (transfer(c->fd, c->ssl, pong, NULL, size) != (ssize_t)size) fail("a pong could not be sent");
        pings++;
    }
    c->control_got = 0;
}

static void header_is_complete(connection *c) {
    uint8_t first = c->header[0];
    if (c->header[1] & MASK) fail("a server's frame is masked");
    c->payload_left = payload_size(c->header);
    if ((first & 0x0f) >= OPCODE_CLOSE) {
        if (c->payload_left > MAX_CONTROL_PAYLOAD) fail("a control frame is too long");
        if (c->control == NULL) c->control = allocate(1, MAX_CONTROL_PAYLOAD);
    } else if (expected_payload != NULL) {
        if (c->header_got != expected_header_size || memcmp(c->header, expected_header, expected_header_size))
            fail("a frame came back with another header: %02x %02x", first, c->header[1]);
    } else if ((first & ~RSV1) != (FIN | OPCODE_TEXT) && (first & ~RSV1) != (FIN | OPCODE_BINARY)) {
        fail("a frame came back fragmented: %02x", first);
    }
}

static void receive_payload(connection *c, const uint8_t *data, size_t size) {
    if ((c->header[0] & 0x0f) >= OPCODE_CLOSE) {
        memcpy(c->control + c->control_got, data, size);
        c->control_got += (uint8_t)size;
    } else if (expected_payload != NULL && memcmp(data, expected_payload + options.size - c->payload_left, size)) {
        fail("a message came back with another payload");
    }
    c->payload_left -= size;
}

static void receive(connection *c, const uint8_t *data, size_t size) {
    if (counting) bytes += size;
    const uint8_t *end = data + size;
    size_t frame_size = expected_header_size + options.size;
    for (;;) {
        // Whole frames, as nearly all are.
        while (expected_payload && !c->header_got && (size_t)(end - data) >= frame_size
               && !memcmp(data, expected_header, expected_header_size)) {
            if (memcmp(data + expected_header_size, expected_payload, options.size))
                fail("a message came back with another payload");
            data += frame_size;
            message_is_back(c);
        }
        if (data == end) return;
        size_t needed = header_size(c->header, c->header_got);
        if (needed == 0 || c->header_got < needed) {
            c->header[c->header_got++] = *data++;
            needed = header_size(c->header, c->header_got);
            if (needed == 0 || c->header_got < needed) continue;
            header_is_complete(c);
        }
        size_t here = (size_t)(end - data);
        if (here > c->payload_left) here = (size_t)c->payload_left;
        receive_payload(c, data, here);
        data += here;
        if (c->payload_left) return;
        c->header_got = 0;
        if ((c->header[0] & 0x0f) >= OPCODE_CLOSE) control_is_here(c);
        else message_is_back(c);
    }
}

static void make_request(void) {
    // As long as a browser's.
    request_size = snprintf(request, sizeof request,
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/140.0.0.0 Safari/537.36\r\n"
        "Upgrade: websocket\r\nOrigin: http%s://127.0.0.1:%d\r\nSec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
        "Cookie: session=5f2b8f0c9d7e4a3fb1c6d8e7f9a0b1c2; theme=dark\r\n"
        "Sec-WebSocket-Key: %s\r\n%s%s%s\r\n",
        options.port, options.tls ? "s" : "", options.port, KEY, *options.extensions ? "Sec-WebSocket-Extensions: " : "",
        options.extensions, *options.extensions ? "\r\n" : "");
    if (request_size >= (int)sizeof request) fail("--extensions is too long");
}

static void start_connection(void) {
    connection *c = &connections[started];
    struct sockaddr_in local = {.sin_family = AF_INET}, server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    // One address has ports for 28 000 connections only.
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(started % SOURCE_ADDRESSES));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (started >= options.connections - options.stalled) {
        // Soon full, so that the server notices.
        int small = 4096;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if (bind(c->fd, (void *)&local, sizeof local)) fail("bind: %s", strerror(errno));
    if (connect(c->fd, (void *)&server, sizeof server) && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
    c->phase = CONNECTING;
    watch(c, true, EPOLL_CTL_ADD);
    started++;
}

static void send_request(connection *c) {
    c->phase = OPENING;
    c->out = (const uint8_t *)request;
    c->out_left = (size_t)request_size;
    flush_output(c);
}

static void advance_tls(connection *c) {
#ifdef WITH_TLS
    ERR_clear_error();
    int done = SSL_connect(c->ssl);
    if (done == 1) {
        send_request(c);
        return;
    }
    int error = SSL_get_error(c->ssl, done);
    if (error == SSL_ERROR_WANT_READ) watch(c, false, EPOLL_CTL_MOD);
    else if (error != SSL_ERROR_WANT_WRITE) fail("the TLS handshake failed: %s", ERR_reason_error_string(ERR_peek_error()));
#else
    (void)c;
#endif
}

static void is_connected(connection *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) fail("connect: %s", strerror(error));
#ifdef WITH_TLS
    if (options.tls) {
        c->ssl = SSL_new(tls_context);
        if (c->ssl == NULL || !SSL_set_fd(c->ssl, c->fd)) fail("out of memory for TLS");
        c->phase = TLS_HANDSHAKE;
        advance_tls(c);
        return;
    }
#endif
    send_request(c);
}

static void check_response(char *head) {
    if (strncmp(head, "HTTP/1.1 101", 12) || strstr(head, ACCEPT) == NULL) fail("the handshake failed: %.200s", head);
    const char *found = strcasestr(head, "\r\nSec-WebSocket-Extensions:");
    if (found != NULL) sscanf(found + 27, " %255[^\r]", chosen_extensions);
    else if (strstr(options.extensions, "permessage-deflate")) fail("the server does not compress");
}

// Return how many of these bytes belong to the response's head.
static size_t receive_head(connection *c, const uint8_t *data, size_t size) {
    if (c->control == NULL) c->control = allocate(1, MAX_HEAD + 1);
    for (size_t i = 0; i < size; i++) {
        if (c->head_got == MAX_HEAD) fail("the response is too long");
        c->control[c->head_got++] = data[i];
        if (c->head_got >= 4 && !memcmp(c->control + c->head_got - 4, "\r\n\r\n", 4)) {
            c->control[c->head_got] = 0;
            check_response((char *)c->control);
            free(c->control);
            c->control = NULL;
            c->phase = OPEN;
            opened++;
            return i + 1;
        }
    }
    return size;
}

static void is_readable(connection *c) {
    for (;;) {
        ssize_t got = transfer(c->fd, c->ssl, NULL, read_buffer, READ_SIZE);
        if (got < 0) fail("the server cut the connection");
        if (got == 0) return;
        size_t used = c->phase == OPENING ? receive_head(c, read_buffer, (size_t)got) : 0;
        if (used < (size_t)got) receive(c, read_buffer + used, (size_t)got - used);
        if (!has_more(c->ssl)) return;
    }
}

static void handle_event(connection *c, uint32_t events) {
    if (c->phase == CONNECTING) {
        if (events & (EPOLLOUT | EPOLLERR)) is_connected(c);
    } else if (c->phase == TLS_HANDSHAKE) {
        advance_tls(c);
    } else {
        if (events & EPOLLOUT) {
            flush_output(c);
            if (c->phase == OPEN && options.mode == ECHO && !c->out_left && !c->frames_due) batch_is_back(c);
        }
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) is_readable(c);
    }
}

// Wait for events and handle them; return false if standard input ended.
static bool turn(int milliseconds) {
    struct epoll_event events[MAX_EVENTS];
    bool goes_on = true;
    int count = epoll_wait(poll_fd, events, MAX_EVENTS, milliseconds);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL) handle_event(events[i].data.ptr, events[i].events);
        else goes_on = false;
    }
    return goes_on;
}

static double open_all(void) {
    uint64_t begin = now_ns();
    while (opened < options.connections) {
        while (started < options.connections && started - opened < options.concurrency) start_connection();
        turn(100);
    }
    return (double)(now_ns() - begin) / 1e9;
}

static void stall_some(void) {
    for (int i = options.connections - options.stalled; i < options.connections; i++) {
        if (epoll_ctl(poll_fd, EPOLL_CTL_DEL, connections[i].fd, NULL)) fail("epoll_ctl: %s", strerror(errno));
    }
}

// The processor time that a process has used, in seconds; 0 stands for this one.
static double cpu_seconds(int process) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(process, &clock) || clock_gettime(clock, &time)) fail("--watch: there is no process %d", process);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void watch_cores(void) {
    load_cpu = cpu_seconds(0);
    if (options.watch) server_cpu = cpu_seconds(options.watch);
}

static void run_for(double seconds) {
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end && messages < options.messages) turn(10);
}

static void idle(double opening_seconds) {
    printf("{\"connections\": %d, \"opening_seconds\": %.6f}\n", opened, opening_seconds);
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event)) fail("standard input must be a pipe");
    uint64_t end = now_ns() + (uint64_t)(options.seconds * 1e9);
    while (now_ns() < end && turn(100)) continue;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double share) {
    return sample_count ? samples[(size_t)((double)(sample_count - 1) * share)] : 0;
}

static void report(double seconds, double opening_seconds) {
    load_cpu = cpu_seconds(0) - load_cpu;
    if (options.watch) server_cpu = cpu_seconds(options.watch) - server_cpu;
    double watched = options.mode == CONNECT ? opening_seconds : seconds;
    qsort(samples, sample_count, sizeof *samples, by_size);
    printf("{\"connections\": %d, \"opening_seconds\": %.6f, \"seconds\": %.6f, \"messages\": %llu, \"bytes\": %llu, "
           "\"pings\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"load_core\": %.3f, \"server_core\": %.3f, \"extensions\": \"",
           opened, opening_seconds, seconds, (unsigned long long)messages, (unsigned long long)bytes,
           (unsigned long long)pings, percentile(0.5), percentile(0.99), load_cpu / watched, server_cpu / watched);
    for (const char *c = chosen_extensions; *c; c++)
        if (*c >= ' ' && *c != '"' && *c != '\\') putchar(*c);
    puts("\"}");
}

static void start_tls(void) {
#ifdef WITH_TLS
    tls_context = SSL_CTX_new(TLS_client_method());
    if (tls_context == NULL) fail("TLS cannot be used");
    // Certificates are made for the run; what is measured is speed.
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls_context, 1);
    SSL_CTX_set_default_read_buffer_len(tls_context, TLS_READ_SIZE);
#else
    fail("this load generator was compiled without TLS: OpenSSL's headers (libssl-dev) were missing");
#endif
}

static double number(const char *name, const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= least && value <= most)) fail("--%s: not a number in range: %s", name, text);
    return value;
}

static void read_options(int count, char **arguments) {
    static const char *modes[] = {"echo", "fan", "idle", "connect"};
    static const struct option names[] = {
        {"port", 1, 0, 'p'}, {"mode", 1, 0, 'm'}, {"connections", 1, 0, 'c'}, {"size", 1, 0, 'b'},
        {"in-flight", 1, 0, 'f'}, {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'}, {"concurrency", 1, 0, 'j'}, {"receivers", 1, 0, 'r'}, {"stalled", 1, 0, 'i'}, {"messages", 1, 0, 'n'},
        {"script", 1, 0, 'x'}, {"extensions", 1, 0, 'e'}, {"watch", 1, 0, 'W'}, {"text", 0, 0, 't'}, {"tls", 0, 0, 'T'}, {0}};
    int letter, mode = -1;
    while ((letter = getopt_long(count, arguments, "", names, NULL)) != -1) switch (letter) {
        case 'p': options.port = (int)number("port", optarg, 1, 65535); break;
        case 'm': for (int i = 0; i < 4; i++) if (!strcmp(optarg, modes[i])) mode = i; break;
        case 'c': options.connections = (int)number("connections", optarg, 1, 1e6); break;
        case 'b': options.size = (size_t)number("size", optarg, 0, 1 << 26); break;
        case 'f': options.in_flight = (int)number("in-flight", optarg, 1, 1e5); break;
        case 's': options.seconds = number("seconds", optarg, 0, 3600); break;
        case 'w': options.warmup = number("warmup", optarg, 0, 3600); break;
        case 'j': options.concurrency = (int)number("concurrency", optarg, 1, 1e5); break;
        case 'r': options.receivers = (int)number("receivers", optarg, 1, 1e6); break;
        case 'i': options.stalled = (int)number("stalled", optarg, 0, 1e6); break;
        case 'n': options.messages = (uint64_t)number("messages", optarg, 1, 1e15); break;
        case 'x': options.script = optarg; break;
        case 'e': options.extensions = optarg; break;
        case 'W': options.watch = (int)number("watch", optarg, 1, 1 << 30); break;
        case 't': options.text = true; break;
        case 'T': options.tls = true; break;
        default: exit(2);
    }
    if (mode < 0 || !options.port || optind < count) fail("usage: loadgen --port PORT --mode echo|fan|idle|connect ...");
    options.mode = (enum mode)mode;
    if (options.stalled >= options.connections) fail("the first connection must not be stalled");
    if (!options.receivers) options.receivers = options.connections - options.stalled;
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    if (options.tls) start_tls();
    if (options.script != NULL) read_script();
    else make_plain_script();
    make_request();
    prepare_process();
    connections = allocate((size_t)options.connections, sizeof *connections);
    samples = allocate(MAX_SAMPLES, sizeof *samples);
    read_buffer = allocate(1, READ_SIZE);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    // Whatever happens, it ends.
    alarm((unsigned)(options.seconds + options.warmup) + 120);

    watch_cores();
    double opening_seconds = open_all();
    uint64_t begin = now_ns();
    if (options.mode == IDLE) {
        idle(opening_seconds);
    } else if (options.mode != CONNECT) {
        stall_some();
        for (int i = 0; i < (options.mode == ECHO ? opened : 1); i++) send_batch(&connections[i]);
        run_for(options.warmup);
        counting = true;
        watch_cores();
        begin = now_ns();
        run_for(options.seconds);
    }
    report((double)(now_ns() - begin) / 1e9, opening_seconds);
    return 0;
}

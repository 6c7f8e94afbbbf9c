/* Non-blocking reads and writes of a socket.
 *
 * Where there are no BSD sockets in the C library (Windows), SOCKETEER_SOCKETS
 * is 0 and the methods of the socket object are called instead.
 */
#ifndef SOCKETEER_SOCKETS_H
#define SOCKETEER_SOCKETS_H

#include <stddef.h>

#if defined(_WIN32)

#define SOCKETEER_SOCKETS 0
static ptrdiff_t socketeer_recv(int fd, void *data, size_t n) { return -1; }
static ptrdiff_t socketeer_send(int fd, const void *data, size_t n) { return -1; }
static int socketeer_error(int fd) { return 0; }
static int socketeer_would_block(void) { return 0; }
static int socketeer_interrupted(void) { return 0; }

#else

#include <errno.h>
#include <sys/socket.h>

#define SOCKETEER_SOCKETS 1

/* CPython ignores SIGPIPE, programs that embed it may not. */
#ifdef MSG_NOSIGNAL
#define SOCKETEER_SEND_FLAGS MSG_NOSIGNAL
#else
#define SOCKETEER_SEND_FLAGS 0
#endif

static ptrdiff_t
socketeer_recv(int fd, void *data, size_t n)
{
    return recv(fd, data, n, 0);
}

static ptrdiff_t
socketeer_send(int fd, const void *data, size_t n)
{
    return send(fd, data, n, SOCKETEER_SEND_FLAGS);
}

static int
socketeer_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? 0 : error;
}

static int
socketeer_would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

static int
socketeer_interrupted(void)
{
    return errno == EINTR;
}

#endif

#endif

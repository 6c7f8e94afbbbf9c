"""
The clock in C; ``_core/aio/clock.py`` is the portable twin and tells more.
"""

from time import monotonic


cdef extern from *:
    """
    #if defined(_WIN32)
    #define SOCKETEER_CLOCK 0
    static double socketeer_now(void) { return 0.0; }
    #else
    #include <time.h>
    #define SOCKETEER_CLOCK 1
    static double
    socketeer_now(void)
    {
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
    }
    #endif
    """
    const bint SOCKETEER_CLOCK
    double socketeer_now()


cpdef double now() except -1.0:
    return socketeer_now() if SOCKETEER_CLOCK else monotonic()

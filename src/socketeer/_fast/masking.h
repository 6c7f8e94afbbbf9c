/* Masking of payloads, RFC 6455, 5.3. */
#ifndef SOCKETEER_MASKING_H
#define SOCKETEER_MASKING_H

#include <stdint.h>
#include <string.h>

/* Copy n bytes while masking them. Eight bytes at a time, with memcpy for the
 * loads and stores, as neither side is aligned; compilers turn that into plain
 * moves and, at -O3, into vector instructions. */
static inline void
socketeer_mask(uint8_t *target, const uint8_t *source, size_t n, const uint8_t key[4])
{
    uint8_t twice[8];
    uint64_t wide, word;
    size_t i = 0;

    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    memcpy(&wide, twice, 8);
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, source + i, 8);
        word ^= wide;
        memcpy(target + i, &word, 8);
    }
    for (; i < n; i++)
        target[i] = source[i] ^ key[i & 3];
}

/* Whether any of n bytes has its top bit set: text without one is ASCII. */
static inline int
socketeer_has_top_bit(const uint8_t *data, size_t n)
{
    uint64_t seen = 0, word;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        memcpy(&word, data + i, 8);
        seen |= word;
    }
    for (; i < n; i++)
        seen |= (uint64_t)data[i] << 56;
    /* the shift above moves bit 7 of a single byte to bit 63 */
    return (seen & 0x8080808080808080ULL) != 0;
}

#endif

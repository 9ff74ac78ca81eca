/* The header's answers (ASKED: mode or mean) on COUNT points that it makes itself, as a sum for every thousand: crossing/points.py makes the
 * same points and sums. Prints "selftest" and its result, then a line for each thousand. Hosted, or bare (-DBARE) on a
 * Cortex-M under an emulator that does semihosting. */
#include "asked.h"

#ifdef BARE
#include "bare.h"
#else
#include <stdio.h>
static void put(const char *text) { fputs(text, stdout); }
static void leave(void) {}
#endif

#ifndef COUNT
#define COUNT 1000000u
#endif

static void put_word(uint32_t word)
{
    char text[10];
    int i;
    for (i = 0; i < 8; ++i)
        text[i] = "0123456789abcdef"[(word >> (28 - 4 * i)) & 15u];
    text[8] = ' ';
    text[9] = '\0';
    put(text);
}

static uint32_t mixed(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

static float number(uint32_t word) { return tanhlut_from_bits((int32_t)word); }

static void point(uint32_t i, float *loc, float *scale)
{
    static const uint32_t edges[32] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x000116C2, 0x00800000, 0x0DA24260, 0x15000000,
        0x358637BD, 0xB58637BD, 0x3DCCCCCD, 0x3E4CCCCD, 0xBE99999A, 0x3F000000, 0x3F3504F2, 0x3F3504F3,
        0x3F3504F4, 0x3F800000, 0xBF800000, 0x3F9FFFFF, 0x3FA00000, 0x3FA00001, 0x40400000, 0x40400001,
        0x41800000, 0x41800001, 0x42200000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000,
    };
    const uint32_t a = mixed(2u * i + 1u), b = mixed(2u * i + 2u);
    if (i < 1024u) {
        *loc = number(edges[i >> 5]);
        *scale = number(edges[i & 31u]);
    } else if ((i & 3u) == 0u) {
        *loc = (float)(int32_t)a * 1.3969839e-09f; /* 3/2^31 */
        *scale = (float)(int32_t)(b >> 8) * 1.1920929e-07f; /* 2/2^24 */
    } else if ((i & 3u) == 1u) {
        *loc = number(a);
        *scale = number(b);
    } else if ((i & 3u) == 2u) {
        *loc = number((a & 0x807FFFFFu) | ((60u + (a >> 24) % 71u) << 23));
        *scale = number((b & 0x007FFFFFu) | ((100u + (b >> 24) % 29u) << 23));
    } else {
        *loc = number((a & 0x807FFFFFu) | ((60u + (a >> 24) % 71u) << 23));
        *scale = number(0x3F3504F3u - 2048u + b % 4097u); /* the floats around 1/sqrt 2 */
    }
}

static uint32_t summed(uint32_t i, float y)
{
    const uint32_t word = y != y ? 0x7FC00000u : (uint32_t)tanhlut_bits(y);
    return mixed(word ^ mixed(i));
}

int main(void)
{
    uint32_t i, sum = 0u, bounded = 0u, array = 0u;
    put("selftest ");
    put_word((uint32_t)tanhlut_selftest());
    put("\n");
    for (i = 0u; i < COUNT; ++i) {
        float loc, scale, out;
        point(i, &loc, &scale);
        FUNCTION(_array)(&loc, &scale, &out, 1);
        sum += summed(i, FUNCTION()(loc, scale));
        bounded += summed(i, FUNCTION(_bounded)(loc, scale, -0.3f, 2.1f));
        array += summed(i, out);
        if ((i + 1u) % 1000u == 0u) {
            put_word(sum);
            put_word(bounded);
            put_word(array);
            put("\n");
            sum = bounded = array = 0u;
        }
    }
    leave();
    return 0;
}

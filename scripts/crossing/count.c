/* How many instructions a call executes on a Cortex-M whose emulator takes a nanosecond for each (-icount shift=0): the
 * system timer counts 25 MHz there, 40 instructions a tick. Prints, for each point, the ticks of CALLS calls, and of as
 * many of a function that does nothing. */
#include "asked.h"

#include "bare.h"

#define CALLS 1000
#define TIMER ((volatile uint32_t *)0xE000E010) /* control, reload, current: counts down from 2^24 - 1 */

static const uint32_t points[][2] = {POINTS};
static volatile float kept;

float lone(float m, float s);
float nothing(float m, float s);
__attribute__((noinline)) float lone(float m, float s) { return FUNCTION()(m, s); }
__attribute__((noinline)) float nothing(float m, float s)
{
    __asm__ volatile("" : "+t"(m) : "t"(s));
    return m;
}

static uint32_t ticks(float (*call)(float, float), const uint32_t *point)
{
    const volatile float m = tanhlut_from_bits((int32_t)point[0]), s = tanhlut_from_bits((int32_t)point[1]);
    const uint32_t before = TIMER[2];
    int i;
    for (i = 0; i < CALLS; ++i)
        kept = call(m, s);
    return (before - TIMER[2]) & 0xFFFFFFu;
}

static void put_number(uint32_t number, const char *end)
{
    char text[12];
    int i = 11;
    text[i] = '\0';
    do
        text[--i] = (char)('0' + number % 10u);
    while ((number /= 10u) != 0u);
    put(text + i);
    put(end);
}

int main(void)
{
    size_t i;
    TIMER[1] = 0xFFFFFFu;
    TIMER[2] = 0u;
    TIMER[0] = 5u;
    for (i = 0; i < sizeof points / sizeof points[0]; ++i) {
        put_number(ticks(lone, points[i]), " ");
        put_number(ticks(nothing, points[i]), "\n");
    }
    leave();
    return 0;
}

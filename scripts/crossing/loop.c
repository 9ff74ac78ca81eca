/* One lookup a tick, timed by itself, as scripts/control_loop does: loop <ticks> <nanoseconds a tick>. Prints, for each
 * contender, its name and the nanoseconds of every tick. */
#define _POSIX_C_SOURCE 200112L
#include "tanhlut.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static float next(float x) { return x > 3.0f ? -3.0f : x + 0.013f; }
static float mode(float loc, float scale) { return tanhlut_mode(loc, scale); }
static float squash(float loc, float scale) { return tanhf(loc) + 0.0f * scale; }
static float nothing(float loc, float scale) { return loc + scale; }

static long long nanoseconds(const struct timespec *t) { return t->tv_sec * 1000000000LL + t->tv_nsec; }

int main(int argc, char **argv)
{
    static float (*const calls[3])(float, float) = {mode, squash, nothing};
    static const char *const names[3] = {"C, mode", "C, tanhf", "C, the clock alone"};
    const long ticks = argc > 2 ? atol(argv[1]) : 0;
    const long long period = argc > 2 ? atoll(argv[2]) : 0;
    long *spent = malloc((size_t)ticks * 3u * sizeof *spent);
    volatile float kept;
    float loc = -3.0f, scale = 0.05f;
    struct timespec due;
    long i;
    int k;
    if (spent == NULL || tanhlut_selftest() != 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (i = 0; i < ticks; ++i) {
        const long long when = nanoseconds(&due) + period;
        due.tv_sec = (time_t)(when / 1000000000LL);
        due.tv_nsec = (long)(when % 1000000000LL);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        loc = next(loc);
        scale = scale > 2.0f ? 0.05f : scale + 0.003f;
        for (k = 0; k < 3; ++k) {
            const int turn = (int)((i + k) % 3);
            struct timespec before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            kept = calls[turn](loc, scale);
            clock_gettime(CLOCK_MONOTONIC, &after);
            spent[turn * ticks + i] = (long)(nanoseconds(&after) - nanoseconds(&before));
        }
    }
    (void)kept;
    for (k = 0; k < 3; ++k) {
        printf("%s:", names[k]);
        for (i = 0; i < ticks; ++i)
            printf(" %ld", spent[k * ticks + i]);
        printf("\n");
    }
    free(spent);
    return 0;
}

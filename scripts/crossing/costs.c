/* Nanoseconds an element beside tanhf, and a call to count the instructions of. */
#define _POSIX_C_SOURCE 199309L
#include "asked.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT 4096
#define ROUNDS 401

static float loc[COUNT], scale[COUNT], out[COUNT];
volatile float kept;

float lone(float m, float s);
__attribute__((noinline)) float lone(float m, float s) { return FUNCTION()(m, s); }

static void each_mode(void)
{
    int i;
    for (i = 0; i < COUNT; ++i)
        out[i] = lone(loc[i], scale[i]);
}
static void array_mode(void) { FUNCTION(_array)(loc, scale, out, COUNT); }
static void each_tanhf(void)
{
    int i;
    for (i = 0; i < COUNT; ++i)
        out[i] = tanhf(loc[i]);
}
/* One answer needed for the next question, as in a loop that has one joint. */
static void chain_mode(void)
{
    int i;
    float y = 0.0f;
    for (i = 0; i < COUNT; ++i)
        y = lone(loc[i] + 1e-9f * y, scale[i]);
    out[0] = y;
}
static void chain_tanhf(void)
{
    int i;
    float y = 0.0f;
    for (i = 0; i < COUNT; ++i)
        y = tanhf(loc[i] + 1e-9f * y);
    out[0] = y;
}

static int smaller(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double spent[5][ROUNDS];
    void (*const all[5])(void) = {each_mode, array_mode, each_tanhf, chain_mode, chain_tanhf};
    static const char *const names[5] = {"call", "array", "tanhf", "chained call", "chained tanhf"};
    int i, k;
    unsigned state = 12345u;
    if (argc > 2) {
        kept = lone(strtof(argv[1], NULL), strtof(argv[2], NULL));
        return 0;
    }
    for (i = 0; i < COUNT; ++i) {
        float sum = 0.0f;
        for (k = 0; k < 12; ++k)
            sum += (float)((state = state * 1664525u + 1013904223u) >> 8) * (1.0f / 16777216.0f);
        loc[i] = sum - 6.0f;
        scale[i] = 0.01f + 2.0f * (float)((state = state * 1664525u + 1013904223u) >> 8) * (1.0f / 16777216.0f);
    }
    for (i = 0; i < ROUNDS; ++i)
        for (k = 0; k < 5; ++k) {
            struct timespec before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            all[k]();
            clock_gettime(CLOCK_MONOTONIC, &after);
            kept = out[i % COUNT];
            spent[k][i] = ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) / COUNT;
        }
    for (k = 0; k < 5; ++k) {
        qsort(spent[k], ROUNDS, sizeof(double), smaller);
        printf("%s: %.2f\n", names[k], spent[k][ROUNDS / 2]);
    }
    return 0;
}

"""The parts of the header that are C by hand: what the text's operations are, and what is said once around them."""

TITLE = "tanhlut.h: the %s of tanh(Normal(loc, scale^2)), in constant time."

PROVEN = (
    "%s on (-1, 1), for every float loc and every float scale > 0, in binary32 arithmetic that "
    "rounds to nearest, keeps subnormals, fuses what is written fma and nothing else: where tanhlut_selftest() is 0. "
    "On [low, high] it is that times (high - low)/2, and the rounding of the result."
)

CALLS = (
    "tanhlut_%(name)s(loc, scale), tanhlut_%(name)s_bounded(loc, scale, low, high), "
    "tanhlut_%(name)s_array(loc, scale, out, n), "
)
GIVES = (
    "tanhlut_selftest(). NaN where an argument is NaN or scale < 0, and unless low < high, both finite; %s. "
    "No heap, no state, no libm."
)
SIDES = {
    "mode": "loc = +-0 picks the side by its sign bit; mode(-loc) = -mode(loc)",
    "mean": "mean(-loc) = -mean(loc)",
}

MACROS = (
    "TANHLUT_BRANCHING: faster, but how many instructions run depends on the data. TANHLUT_API: static inline unless "
    "defined; nothing, in one file, for functions to link to. TANHLUT_FLASH: what goes behind a table's name, such as "
    '__attribute__((section(".flash"))). TANHLUT_LIBM_FMA: where the hardware has no fma, fmaf of libm instead of '
    "double arithmetic. TANHLUT_NO_FMA: two roundings for one; other bits, nothing proven."
)

LICENCE = """MIT License

Copyright (c) 2026 the tanhlut authors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

HEAD = r"""#ifndef TANHLUT_H
#define TANHLUT_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__GNUC__) /* which needs no library for it, as a bare machine has none */
#define TANHLUT_COPY __builtin_memcpy
#else
#include <string.h>
#define TANHLUT_COPY memcpy
#endif

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0) \
    || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "tanhlut: fast-math voids the proven bound: compile without -ffast-math and its parts"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "tanhlut: float is not computed in float here: on x86 use -msse2 -mfpmath=sse"
#endif
#if FLT_RADIX != 2 || FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128
#error "tanhlut: float is not IEEE 754 binary32 here"
#endif

/* Which fma: of the hardware; else of libm, if asked for; else made of double arithmetic, with the same bits. */
#if !defined(TANHLUT_NO_FMA) && !defined(TANHLUT_LIBM_FMA)
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__riscv_flen)
#define TANHLUT_HARDWARE_FMA 1
#endif
#elif !defined(TANHLUT_NO_FMA)
#include <math.h>
#endif

#ifndef TANHLUT_FLASH
#define TANHLUT_FLASH
#endif
#ifndef TANHLUT_API
#define TANHLUT_API static inline
#endif

/* A product and a sum must not be fused where no fma is written. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif

#ifdef __cplusplus
extern "C" {
#endif

static inline int32_t tanhlut_bits(float x)
{
    int32_t word;
    TANHLUT_COPY(&word, &x, sizeof word);
    return word;
}

static inline float tanhlut_from_bits(int32_t word)
{
    float x;
    TANHLUT_COPY(&x, &word, sizeof x);
    return x;
}

/* a*b + c, rounded once. */
static inline float tanhlut_fma(float a, float b, float c)
{
#if defined(TANHLUT_NO_FMA)
    const float product = a * b;
    return product + c;
#elif defined(TANHLUT_HARDWARE_FMA)
    return __builtin_fmaf(a, b, c);
#elif defined(TANHLUT_LIBM_FMA)
    return fmaf(a, b, c);
#else
    /* The product is exact; the sum is rounded to odd, which keeps what the last rounding needs (Boldo and Melquiond
       2008). */
    const double product = (double)a * (double)b, other = (double)c;
    const double sum = product + other, back = sum - product;
    const double rest = (product - (sum - back)) + (other - back);
    uint64_t word, inexact, inwards;
    double odd;
    TANHLUT_COPY(&word, &sum, sizeof word);
    inexact = (uint64_t)((rest < 0.0) | (rest > 0.0)) & ~word & 1u;
    inwards = (uint64_t)((rest < 0.0) != (sum < 0.0));
    word += inexact - 2u * (inexact & inwards);
    TANHLUT_COPY(&odd, &word, sizeof odd);
    return (float)odd;
#endif
}

/* yes where the condition is 1, no where it is 0. By masks, since compilers make branches of ?: , whose time depends on
   the data; that is faster as a rule, and TANHLUT_BRANCHING asks for it. */
static inline float tanhlut_select(int condition, float yes, float no)
{
#if defined(TANHLUT_BRANCHING)
    return condition ? yes : no;
#else
    const uint32_t mask = 0u - (uint32_t)condition, other = (uint32_t)tanhlut_bits(no);
    return tanhlut_from_bits((int32_t)(other ^ ((other ^ (uint32_t)tanhlut_bits(yes)) & mask)));
#endif
}

/* NaN stays NaN, here and below. */
static inline float tanhlut_at_most(float x, float most)
{
    return tanhlut_select(x > most, most, x);
}

static inline float tanhlut_at_least(float x, float least)
{
    return tanhlut_select(x < least, least, x);
}

static inline float tanhlut_invalid_if(int condition, float x)
{
    return tanhlut_select(condition, tanhlut_from_bits(0x7FC00000), x);
}

static inline float tanhlut_absolute(float x)
{
    return tanhlut_from_bits(tanhlut_bits(x) & 0x7FFFFFFF);
}
"""

FLOOR = r"""/* The largest whole number <= x, |x| < 2^31. */
static inline float tanhlut_floor(float x)
{
    const float whole = (float)(int32_t)x;
    return tanhlut_select(whole > x, whole - 1.0f, whole);
}
"""

ARRAY = r"""/* out[i] = the %(name)s of loc[i], scale[i], for i < n; out may be loc or scale itself. */
TANHLUT_API void tanhlut_%(name)s_array(const float *loc, const float *scale, float *out, size_t n)
{
    size_t i;
    for (i = 0; i < n; ++i)
        out[i] = tanhlut_%(name)s(loc[i], scale[i]);
}
"""

FACTOR = 16777619  # odd, so that a product keeps all that a word says

SELFTEST = r"""/* Whether a number is not what it must be; one NaN is as good as another. */
static inline int tanhlut_unlike(float got, uint32_t want)
{
    const int no_number = (tanhlut_bits(got) & 0x7FFFFFFF) > 0x7F800000;
#if defined(TANHLUT_NO_FMA)
    const int other = !(tanhlut_absolute(got - tanhlut_from_bits((int32_t)want)) <= 1e-6f);
#else
    const int other = (uint32_t)tanhlut_bits(got) != want;
#endif
    return other & !(no_number & ((want & 0x7FFFFFFFu) > 0x7F800000u));
}

/* One more word of an array in a sum that any change of one word changes. */
static inline uint32_t tanhlut_summed(uint32_t sum, uint32_t word)
{
    return (sum ^ word) * %(factor)du;
}

/* How much of this build is not what it must be, bit for bit; 0 is right. Call it once, at start. The points are such
   that a product fused with a sum, or flushed subnormals, show themselves; the sums are over all numbers above. */
TANHLUT_API int tanhlut_selftest(void)
{
    /* loc, scale, %(asked)s on [%(low)s, %(high)s] */
    static const uint32_t rows[%(count)d][%(width)d] = {
%(rows)s
    };
    static const float numbers[] = {
%(numbers)s
    };
%(counts)s    int wrong = 0;
    uint32_t sum;
    size_t i;
    for (i = 0; i < %(count)d; ++i) {
        const volatile uint32_t asked[2] = {rows[i][0], rows[i][1]}; /* so that nothing is computed when compiling */
        const float loc = tanhlut_from_bits((int32_t)asked[0]), scale = tanhlut_from_bits((int32_t)asked[1]);
%(checks)s    }
%(sums)s    return wrong;
}
"""

CHECK = "        wrong += tanhlut_unlike(tanhlut_%s(loc, scale%s), rows[i][%d]);\n"
WITH_FMA = "#if !defined(TANHLUT_NO_FMA)\n%s#endif\n"
COUNTS = """    static const int32_t counts[] = {
%s
    };
"""

SUM = """    for (sum = 0u, i = 0; i < %(size)d; ++i)
        sum = tanhlut_summed(sum, (uint32_t)%(word)s);
    wrong += sum != 0x%(total)08Xu;
"""

TAIL = r"""#ifdef __cplusplus
}
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#else
#pragma STDC FP_CONTRACT DEFAULT
#endif
#endif
"""

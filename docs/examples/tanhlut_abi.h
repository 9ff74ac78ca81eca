/* What a library made of tanhlut.h exports, for Rust's bindgen, MATLAB's loadlibrary and their like:
 *   gcc -O3 -march=native -shared -fPIC -DTANHLUT_API= -x c tanhlut.h -o libtanhlut.so */
#include <stddef.h>

float tanhlut_mode(float loc, float scale);
float tanhlut_mode_bounded(float loc, float scale, float low, float high);
void tanhlut_mode_array(const float *loc, const float *scale, float *out, size_t n);
int tanhlut_selftest(void);

/* Of a header exported with --quantity mode,mean. */
float tanhlut_mean(float loc, float scale);
float tanhlut_mean_bounded(float loc, float scale, float low, float high);
void tanhlut_mean_array(const float *loc, const float *scale, float *out, size_t n);

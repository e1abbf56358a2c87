// Compiled for processors with AVX2 (src/data/CMakeLists.txt).
#define PIXELS_TARGET avx2
#include "data/kernels/pixels_loops.h"

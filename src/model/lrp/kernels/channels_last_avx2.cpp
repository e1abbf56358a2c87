// Compiled for processors with AVX2 and FMA (src/model/CMakeLists.txt).
#define KERNEL_TARGET avx2
#include "model/lrp/kernels/channels_last_kernels.h"

// A race within a parallel loop, which the thread sanitizer has to report.
#include <cstdio>

int main() {
  int before = 1, sum = 0;
#pragma omp parallel num_threads(2)
  for (int i = 0; i < 1000; ++i) sum += before;
  std::printf("%d\n", sum);
}

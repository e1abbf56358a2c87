#include "data/loading_options.h"

namespace isnet {

OptionSpec num_workers_option() {
  return of_this_machine(integer_option("num-workers", "1", "Threads that read data", 1, 1024));
}

std::vector<OptionSpec> loading_option_specs() {
  return {num_workers_option(),
          of_this_machine(integer_option("prefetch", "4", "Number of batches to read ahead", 1, 4096)),
          of_this_machine(integer_option(
              "prefetch-mb", "1024", "Memory for batches that are read ahead, in MB; one batch is always read", 1, 1 << 24)),
          of_this_machine(real_option(
              "read-retry-seconds", "60",
              "How long to retry a read that fails because a file vanished, shrank or cannot be read (EIO)", 0, 1e6)),
          fixed_at_resume(integer_option(
              "shuffle-block", "0",
              "Shuffle blocks of this many consecutive samples, and single samples within 16 blocks: for "
              "disks and file systems that are slow at random reads; 0: shuffle all samples",
              0))};
}

LoaderOptions loader_options(const OptionValues& values) {
  LoaderOptions options;
  options.workers = static_cast<int>(values.integer("num-workers"));
  options.prefetch = static_cast<int>(values.integer("prefetch"));
  options.prefetch_bytes = values.integer("prefetch-mb") * 1'000'000;
  options.retry_seconds = values.real("read-retry-seconds");
  return options;
}

}  // namespace isnet

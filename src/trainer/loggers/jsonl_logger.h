// metrics.jsonl: one JSON object a line.
#pragma once

#include "trainer/loggers/metric_logger.h"

namespace isnet {

/// {"epoch":0,"step":50,"split":"step","loss":1.25,…}; numbers that are not finite are null. A resumed run
/// keeps the lines of what it has done.
class JsonlLogger : public MetricLogger {
 public:
  explicit JsonlLogger(const std::filesystem::path& path) : file_(path) {}
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

 protected:
  void write(const LogEntry& entry) override;

 private:
  GrowingFile file_;
};

}  // namespace isnet

// --detect-anomaly and --deterministic, for as long as a training lasts.
#pragma once

namespace isnet {

struct TrainerOptions;

/// Sets LibTorch's global switches as the options say; the destructor puts them back.
class DebuggingAids {
 public:
  explicit DebuggingAids(const TrainerOptions& options);
  ~DebuggingAids();
  DebuggingAids(const DebuggingAids&) = delete;
  DebuggingAids& operator=(const DebuggingAids&) = delete;

 private:
  bool anomaly_before_, check_nan_before_, deterministic_before_, warn_only_before_;
};

}  // namespace isnet

#include "trainer/finite_guard.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/log.h"

namespace isnet {

void FiniteGuard::begin_step(const std::vector<at::Tensor>& buffers) {
  if (!tolerant()) return;
  buffers_ = buffers;
  kept_.clear();
  for (const auto& buffer : buffers_) kept_.push_back(buffer.detach().clone());
}

void FiniteGuard::found(const std::string& what) {
  if (!tolerant())
    fail(ErrorKind::runtime, what,
         ": training stops before anything is spoilt; resume from the last checkpoint with a smaller --lr or "
         "with "
         "--gradient-clip-val, or let --skip-bad-steps pass over some");
  if (what_.empty()) what_ = what;
}

bool FiniteGuard::end_step() {
  if (what_.empty()) {
    in_a_row_ = 0;
    return true;
  }
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < buffers_.size(); ++i) buffers_[i].copy_(kept_[i]);
  ++in_a_row_;
  ++total_;
  log::warning(cat(what_, ": the step is left out (", in_a_row_, " in a row, ", total_, " in all)"));
  last_cause_ = std::move(what_);
  what_.clear();
  return false;
}

void FiniteGuard::load_state(const nlohmann::json& state) {
  in_a_row_ = state.value("in_a_row", std::int64_t{0});
  total_ = state.value("total", std::int64_t{0});
  if (exhausted()) in_a_row_ = 0;  // the run was started again in spite of them
}

}  // namespace isnet

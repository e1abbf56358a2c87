#include "trainer/finite_guard.h"

#include <utility>

namespace isnet {

void FiniteGuard::begin_step(const std::vector<at::Tensor>& buffers) {
  buffers_.keep(buffers);
}

void FiniteGuard::found(const std::string& what) {
  if (what_.empty()) what_ = what;
}

bool FiniteGuard::end_step() {
  if (what_.empty()) {
    in_a_row_ = 0;
    return true;
  }
  ++in_a_row_;
  ++total_;
  last_cause_ = std::exchange(what_, {});
  buffers_.put_back();
  return false;
}

void FiniteGuard::abandon_step() {
  what_.clear();
  buffers_.put_back();
}

void FiniteGuard::load_state(const nlohmann::json& state) {
  in_a_row_ = state.value("in_a_row", std::int64_t{0});
  total_ = state.value("total", std::int64_t{0});
  if (exhausted()) in_a_row_ = 0;  // the run was started again in spite of them
}

}  // namespace isnet

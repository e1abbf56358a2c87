#include <ATen/record_function.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string_view>

#include "bench/convolutions.h"

namespace isnet::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<std::int64_t> nanoseconds{0};
thread_local int depth = 0;

// In every namespace and for every backend: aten::convolution, aten::mkldnn_convolution_backward, …; the
// second derivative is made of others that count by themselves.
bool is_convolution(const char* name) {
  const std::string_view text(name);
  return text.find("conv") != text.npos && text.find("double_backward") == text.npos;
}

struct Span : at::ObserverContext {
  Clock::time_point begin = Clock::now();
};

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  if (!is_convolution(function.name())) return nullptr;
  ++depth;
  return std::make_unique<Span>();
}

void leave(const at::RecordFunction&, at::ObserverContext* context) {
  if (!context) return;
  if (--depth == 0) nanoseconds += (Clock::now() - static_cast<Span*>(context)->begin).count();
}

struct Observer {
  at::CallbackHandle handle =
      at::addGlobalCallback(at::RecordFunctionCallback(enter, leave).scopes({at::RecordScope::FUNCTION}));
  ~Observer() { at::removeCallback(handle); }
};

}  // namespace

double seconds_in_convolutions(const std::function<void()>& action) {
  nanoseconds = 0;
  const Observer observer;
  action();
  return 1e-9 * static_cast<double>(nanoseconds.load());
}

}  // namespace isnet::bench

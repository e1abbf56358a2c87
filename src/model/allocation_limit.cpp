#include "model/allocation_limit.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

namespace isnet {
namespace {

// What is left for this thread; null: no limit.
thread_local MemoryAllowance* allowance_of_thread = nullptr;

// Hands on to the allocator that was there, and counts for threads that have a limit.
class CountingAllocator : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator& below) : below_(below) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    if (auto* left = allowance_of_thread) {
      if (bytes > left->bytes || left->tensors == 0) throw AllowanceExceeded();
      left->bytes -= bytes;
      --left->tensors;
    }
    return below_.allocate(bytes);
  }
  bool is_simple_data_ptr(const c10::DataPtr& data) const override { return below_.is_simple_data_ptr(data); }
  c10::DeleterFnPtr raw_deleter() const override { return below_.raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    below_.copy_data(to, from, count);
  }

 private:
  c10::Allocator& below_;
};

// torch keeps allocators for good, so that one is installed, once.
void install_counting_allocator() {
  static CountingAllocator counting(*c10::GetCPUAllocator());
  if (c10::GetCPUAllocator() != &counting) c10::SetCPUAllocator(&counting, /*priority=*/255);
}

}  // namespace

MemoryAllowance allowance_for(const NamedTensors& tensors) {
  MemoryAllowance allowance{64 << 20, 10'000};
  for (const auto& [name, tensor] : tensors) {
    allowance.bytes += 32 * static_cast<std::uint64_t>(tensor.numel());
    allowance.tensors += 20;
  }
  return allowance;
}

AllocationLimit::AllocationLimit(const MemoryAllowance& allowance) : left_(allowance) {
  install_counting_allocator();
  allowance_of_thread = &left_;
}

AllocationLimit::~AllocationLimit() {
  allowance_of_thread = nullptr;
}

}  // namespace isnet

#include "trainer/local_backward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/engine.h>

namespace isnet {

// Callbacks of the autograd engine run when all gradients are there, in the order in which they were queued.
// The first, queued before any layer's gradient, comes before the one in which c10d::Reducer waits for its
// buckets; what it queues itself comes after that.
LocalBackward::LocalBackward(const at::Tensor& loss) {
  if (!profile::active()) return;
  loss.register_hook([times = times_, now = profile::clock()](const at::Tensor& gradient) {
    auto& engine = torch::autograd::Engine::get_default_engine();
    engine.queue_callback([times, now, &engine] {
      times->local = now();
      engine.queue_callback([times, now] { times->reduced = now(); });
    });
    return gradient;
  });
}

}  // namespace isnet

// The one file that sees Gloo's headers. The wheel has Gloo inside but not its headers; those of another
// version (Debian's libgloo-dev) serve for the declarations, so nothing here may instantiate a class of
// Gloo's: the object file must define no vtable of theirs (a test looks).
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "trainer/distributed/process_group.h"

namespace isnet {
namespace {

c10::intrusive_ptr<c10d::Backend> connect(const BackendPlace& place) {
  auto options = c10d::ProcessGroupGloo::Options::create(place.startup_timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(place.interface));
  const c10::intrusive_ptr<c10d::Backend> group =
      c10::make_intrusive<c10d::ProcessGroupGloo>(place.store, place.rank, place.world_size, options);
  set_timeout(*group, place.timeout);
  return group;
}

const Registration<BackendFactory> registration(
    process_group_backends(), {"gloo", "TCP, for CPU tensors (and CUDA by way of the CPU)", {}, connect});

}  // namespace
}  // namespace isnet

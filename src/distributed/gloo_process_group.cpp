// The one file that sees Gloo's headers. The wheel has Gloo inside but not its headers; those of another
// version (Debian's libgloo-dev) serve for the declarations, so nothing here may instantiate a class of
// Gloo's: the object file must define no vtable of theirs (a test looks).
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "distributed/process_group.h"

#include <string>
#include <vector>

namespace isnet {
namespace {

// Gloo waits for a connection five times as long as it is told.
constexpr int patience_of_gloo = 5;

// Ranks may come here at different times; once all are here, connecting them takes no time of theirs.
void wait_for_all(const BackendPlace& place) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < place.world_size; ++rank) keys.push_back("comes/" + std::to_string(rank));
  place.store->set(keys[static_cast<std::size_t>(place.rank)], "1");
  place.store->wait(keys, place.startup_timeout);
}

c10::intrusive_ptr<c10d::Backend> connect(const BackendPlace& place) {
  wait_for_all(place);
  auto options = c10d::ProcessGroupGloo::Options::create(place.startup_timeout / patience_of_gloo);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(place.interface));
  const c10::intrusive_ptr<c10d::Backend> group =
      c10::make_intrusive<c10d::ProcessGroupGloo>(place.store, place.rank, place.world_size, options);
  set_timeout(*group, place.timeout);
  return group;
}

const Registration<BackendFactory> registration(
    process_group_backends(), {"gloo", "TCP, for CPU tensors (and for CUDA through the CPU)", {}, connect});

}  // namespace
}  // namespace isnet

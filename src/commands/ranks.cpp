#include "commands/ranks.h"

#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace isnet::cli {

int run_on_ranks(Invocation& invocation, const WorldOptions& options, const std::function<int(World&)>& body) {
  const auto world = std::make_shared<World>(options);
  invocation.on_failure = [world](const Failure& failure) { std::_Exit(world->fail(failure)); };
  return world->finish(body(*world));
}

int run_alone(Invocation& invocation, const std::function<int(World&)>& body) {
  return run_on_ranks(invocation, {}, [&](World& world) {
    if (world.size() > 1)
      fail(ErrorKind::usage, invocation.command, " runs as one process: start it without mpirun, or with -n 1");
    return body(world);
  });
}

}  // namespace isnet::cli

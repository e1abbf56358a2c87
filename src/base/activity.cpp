#include "base/activity.h"

#include <atomic>

namespace isnet::activity {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::atomic<std::uint64_t> done{0}, exchanges{0};
std::atomic<const char*> stage{"the start"}, phase{""}, exchange{""};
std::atomic<std::int64_t> epoch{-1}, batch{-1};
std::atomic<bool> waiting{false};
std::atomic<int> saving{0};

}  // namespace

Snapshot snapshot() {
  return {done.load(relaxed),     stage.load(relaxed),   phase.load(relaxed),
          epoch.load(relaxed),    batch.load(relaxed),   exchanges.load(relaxed),
          exchange.load(relaxed), waiting.load(relaxed), saving.load(relaxed) > 0};
}

void progress() {
  done.fetch_add(1, relaxed);
}

void at(std::int64_t now_epoch, std::int64_t now_batch) {
  epoch.store(now_epoch, relaxed);
  batch.store(now_batch, relaxed);
  progress();
}

const char* enter_phase(const char* name) {
  progress();
  return phase.exchange(name, relaxed);
}

Stage::Stage(const char* name) : outer_(stage.exchange(name, relaxed)) {
  progress();
}

Stage::~Stage() {
  stage.store(outer_, relaxed);
  progress();
}

Saving::Saving() {
  saving.fetch_add(1);
}

Saving::~Saving() {
  saving.fetch_sub(1);
}

void begin_exchange(const char* name) {
  exchange.store(name, relaxed);
  exchanges.fetch_add(1, relaxed);
  waiting.store(true, relaxed);
  progress();
}

void end_exchange() {
  waiting.store(false, relaxed);
  progress();
}

}  // namespace isnet::activity

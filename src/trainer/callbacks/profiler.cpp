// --profile: where the time of a step goes, on each rank, as a table, profile.json and Chrome traces.
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/profile.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

using profile::Clock;
using profile::Phase;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

std::string line(const std::string& name, double mean, double largest, double whole) {
  char text[96];
  std::snprintf(text, sizeof text, "\n  %-14s%11.3f%11.3f%9.1f %%", name.c_str(), 1e3 * mean, 1e3 * largest,
                whole > 0 ? 100 * mean / whole : 0.0);
  return text;
}

// Waits for what this thread has given to the device; nothing to wait for on the CPU.
std::function<void()> synchronisation(at::Device device) {
  if (device.is_cpu()) return nullptr;
  return [device] {
    const c10::impl::VirtualGuardImpl implementation(device.type());
    implementation.synchronizeStream(implementation.getStream(device));
  };
}

class Profiler : public Callback {
 public:
  Profiler(RunFolder folder, std::int64_t traced_steps)
      : folder_(std::move(folder)), traced_steps_(traced_steps) {}

  void on_train_start(Trainer& trainer) override {
    trainer.communicator().barrier();  // clocks of several machines have their origin here
    recorder_.emplace(traced_steps_, synchronisation(trainer.options().device));
    origin_ = Clock::now();
  }
  void on_exception(Trainer&, const std::exception&) override { recorder_.reset(); }

  void on_fit_end(Trainer& trainer) override {
    const Communicator& communicator = trainer.communicator();
    const auto ranks = communicator.all_gather(figures(communicator.rank()).dump());
    const auto traces = communicator.all_gather(trace(communicator.rank()).dump());
    recorder_.reset();
    if (!communicator.is_main()) return;
    nlohmann::json all = nlohmann::json::array();
    for (const auto& rank : ranks) all.push_back(nlohmann::json::parse(rank));
    write_file_atomically(folder_.path() / "profile.json", nlohmann::json{{"ranks", all}}.dump(1) + "\n");
    if (traced_steps_ > 0)
      for (std::size_t rank = 0; rank < traces.size(); ++rank)
        write_file_atomically(folder_.path() / cat("profile-rank", rank, ".json"), traces[rank]);
    log::info(table(all));
  }

 private:
  nlohmann::json figures(int rank) const {
    nlohmann::json parts;
    for (std::size_t i = 0; i < profile::phase_count; ++i)
      parts[profile::name_of(Phase(i))] = seconds(recorder_->time(Phase(i)));
    return {{"rank", rank},
            {"steps", recorder_->steps()},
            {"step_seconds", seconds(recorder_->step_time())},
            {"seconds", parts}};
  }

  // The Chrome trace event format: complete events, in microseconds; a rank is a process.
  nlohmann::json trace(int rank) const {
    const auto named = [&](const char* kind, const std::string& name) {
      return nlohmann::json{
          {"ph", "M"}, {"pid", rank}, {"tid", 0}, {"name", kind}, {"args", {{"name", name}}}};
    };
    nlohmann::json events{named("process_name", cat("rank ", rank)), named("thread_name", "training")};
    for (const auto& span : recorder_->spans())
      events.push_back({{"ph", "X"},
                        {"pid", rank},
                        {"tid", 0},
                        {"name", span.name},
                        {"cat", "step"},
                        {"ts", microseconds(span.begin - origin_)},
                        {"dur", microseconds(span.end - span.begin)}});
    return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
  }

  static std::string table(const nlohmann::json& ranks) {
    const auto row = [&](const std::string& name, double whole, const auto& value) {
      double sum = 0, largest = 0;
      for (const auto& rank : ranks) {
        const double each = value(rank) / std::max(1.0, rank.at("steps").template get<double>());
        sum += each;
        largest = std::max(largest, each);
      }
      const double mean = sum / static_cast<double>(ranks.size());
      return std::pair(mean, line(name, mean, largest, whole > 0 ? whole : mean));
    };
    const auto whole =
        row("step", 0, [](const auto& rank) { return rank.at("step_seconds").template get<double>(); });
    std::string text = cat("profile of ", ranks.front().at("steps"), " steps on ", ranks.size(),
                           " rank(s), ms a step:\n  phase            mean rank  slowest     share");
    for (std::size_t i = 0; i < profile::phase_count; ++i) {
      const std::string name = profile::name_of(Phase(i));
      text += row(name, whole.first, [&](const auto& rank) {
                return rank.at("seconds").at(name).template get<double>();
              }).second;
    }
    return text + whole.second;
  }

  RunFolder folder_;
  std::int64_t traced_steps_;
  std::optional<profile::Recorder> recorder_;
  Clock::time_point origin_;
};

const Registration<CallbackFactory> registration(
    callbacks(),
    {"profiler",
     "Measures where the time of a step goes",
     {of_this_machine(switch_option(
          "profile", false, "Measure where the time of a step goes: writes a table, profile.json and traces")),
      of_this_machine(integer_option(
          "profile-steps", "4", "Number of first steps that --profile writes as Chrome traces, one file for "
                                "each rank",
          0, 10000))},
     [](const CallbackContext& context) -> std::shared_ptr<Callback> {
       if (!context.options.flag("profile")) return nullptr;
       return std::make_shared<Profiler>(context.folder, context.options.integer("profile-steps"));
     }});

}  // namespace
}  // namespace isnet

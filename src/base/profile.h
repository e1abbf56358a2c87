// Where the time of a training step goes: phases, measured on the thread that trains.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isnet::profile {

/// The clock of all times here: monotonic.
using Clock = std::chrono::steady_clock;

/// The phases of a step. Every moment of a step belongs to exactly one of them.
enum class Phase {
  data_wait,      ///< until the loader delivers the batch
  transfer,       ///< to the network's device and type
  forward,        ///< of the network
  relevance,      ///< the walk back over the tape
  loss,           ///< of logits and heatmaps
  backward,       ///< until the last local gradient is there
  communication,  ///< waiting for other ranks: what does not happen during the backward pass
  optimizer,      ///< gradient clipping and the step
  other           ///< callbacks, loggers, metrics, and what lies between
};
/// Members of Phase.
inline constexpr std::size_t phase_count = 9;
/// "data_wait", …
const char* name_of(Phase phase);

/// Part of a traced step: a phase, or the step itself.
struct Span {
  std::string name;
  Clock::time_point begin, end;
};

/// Measures the steps of the thread that made it, for as long as it lives; one for each thread.
class Recorder {
 public:
  /// Keeps the spans of the first `traced_steps` steps. `synchronise` is called before each look at the
  /// clock: it waits for a device that works on while the host goes ahead.
  explicit Recorder(std::int64_t traced_steps, std::function<void()> synchronise = nullptr);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  std::int64_t steps() const { return steps_; }
  /// Sums over all steps; those of the phases add up to step_time() exactly.
  Clock::duration time(Phase phase) const { return times_[static_cast<std::size_t>(phase)]; }
  Clock::duration step_time() const { return step_time_; }
  const std::vector<Span>& spans() const { return spans_; }

 private:
  friend class Step;
  friend class Scope;
  friend bool active();
  friend std::function<Clock::time_point()> clock();
  using Times = std::array<Clock::duration, phase_count>;

  Clock::time_point now() const;
  void change(Phase next, Clock::time_point when);

  std::int64_t traced_steps_;
  std::function<void()> synchronise_;
  std::int64_t steps_ = 0;
  Times times_{};
  Clock::duration step_time_{};
  std::vector<Span> spans_;
  // Of the step that is being measured.
  bool in_step_ = false;
  Clock::time_point begun_, since_;
  Phase phase_ = Phase::other;
  Times step_times_{};
  std::vector<Span> step_spans_;
};

/// Whether a step is being measured on this thread.
bool active();
/// The clock of this thread's recorder (synchronised), for other threads too.
std::function<Clock::time_point()> clock();

/// A step: from its construction to finish(). Counts nothing if it dies before. Does nothing where no
/// recorder lives.
class Step {
 public:
  Step();
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  void finish();

 private:
  Recorder* recorder_;
};

/// The phase of what happens while it lives; then the phase before goes on. Measured within steps only; who
/// watches the thread (activity.h) always sees it.
class Scope {
 public:
  explicit Scope(Phase phase);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  /// Another phase from here on, or since a moment in the past that lies in the present phase.
  void next(Phase phase);
  void next(Phase phase, Clock::time_point since);

 private:
  Recorder* recorder_;  // null: nothing is measured
  Phase outer_ = Phase::other;
  const char* outer_activity_;
};

}  // namespace isnet::profile

#include "bench/rounds.h"

#include <chrono>
#include <thread>

namespace isnet::bench {

constexpr std::chrono::milliseconds settling{20};

std::vector<std::vector<double>> run_rounds(const std::vector<std::function<double()>>& steps,
                                            const RoundOptions& options) {
  std::vector<std::vector<double>> values(steps.size());
  for (std::int64_t round = 0; round < options.warmup + options.rounds; ++round)
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const double value = steps[i]();
      if (round >= options.warmup) values[i].push_back(value);
    }
  return values;
}

Group measure(std::string title, const std::vector<Subject>& subjects, const RoundOptions& options) {
  Group group;
  group.title = std::move(title);
  std::vector<std::function<double()>> steps, profiled;
  std::vector<Row> parts(subjects.size());
  for (const auto& subject : subjects) {
    Row row;
    row.name = subject.name;
    row.title = subject.title;
    group.rows.push_back(std::move(row));
  }
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    steps.push_back([&group, &parts, &subjects, i] {
      const Json answer = subjects[i].child->ask("step");
      Row& row = group.rows[i];
      row.peak_bytes = answer.at("peak_bytes");
      row.idle_cpu += answer.at("idle_cpu").get<double>();
      row.idle_wall += answer.at("idle_wall").get<double>();
      if (answer.contains("part")) {
        parts[i].name = subjects[i].name + "-part";
        parts[i].title = answer.at("part");
        parts[i].peak_bytes = row.peak_bytes;
        parts[i].seconds.push_back(answer.at("part_seconds"));
      }
      std::this_thread::sleep_for(settling);
      return answer.at("seconds").get<double>();
    });
    profiled.push_back(
        [&subjects, i] { return subjects[i].child->ask("convolutions").at("share").get<double>(); });
  }
  const auto seconds = run_rounds(steps, options);
  const auto shares = run_rounds(profiled, {0, options.profiled, 0});
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    group.rows[i].seconds = seconds[i];
    group.rows[i].convolution_share = shares[i];
  }
  for (Row& part : parts) {
    if (part.name.empty()) continue;
    part.seconds.erase(part.seconds.begin(), part.seconds.begin() + options.warmup);
    group.rows.push_back(std::move(part));
  }
  return group;
}

}  // namespace isnet::bench

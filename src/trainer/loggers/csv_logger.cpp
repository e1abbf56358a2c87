#include "trainer/loggers/csv_logger.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

std::string shortest(double value) {
  std::array<char, 64> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), result.ptr};
}

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream parts(line);
  for (std::string part; std::getline(parts, part, ',');) result.push_back(part);
  return result;
}

}  // namespace

void CsvLogger::add(const Trainer& trainer, std::int64_t epoch, const std::string& split,
                    const Metrics& metrics) {
  Row row{{"epoch", cat(epoch)}, {"step", cat(trainer.position().global_step)}, {"split", split}};
  for (const auto& [name, value] : metrics) {
    if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) columns_.push_back(name);
    row[name] = shortest(value);
  }
  rows_.push_back(std::move(row));
}

// At the end of an epoch together with its row of training; within one at once.
void CsvLogger::on_validated(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  if (trainer.position().batch == 0) {
    validation_ = metrics;
    return;
  }
  add(trainer, trainer.position().epoch, "val", metrics);
  write();
}

void CsvLogger::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  const std::int64_t epoch = trainer.position().epoch - 1;  // it has moved on to the next
  add(trainer, epoch, "train", metrics);
  if (!validation_.empty()) add(trainer, epoch, "val", validation_);
  validation_.clear();
  write();
}

void CsvLogger::write() const {
  std::string text;
  for (const auto& column : columns_) text += (text.empty() ? "" : ",") + column;
  text += '\n';
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto found = row.find(columns_[i]);
      if (i) text += ',';
      if (found != row.end()) text += found->second;
    }
    text += '\n';
  }
  try {
    write_file_atomically(path_, text);
  } catch (const Error& e) {
    log::warning(cat(e.what(), "; tried again after the next epoch"));
  }
}

void CsvLogger::on_load_checkpoint(const Trainer& trainer, const Checkpoint&) {
  if (!trainer.communicator().is_main() || !std::filesystem::exists(path_)) return;
  std::istringstream lines(read_file(path_));
  std::string line;
  if (!std::getline(lines, line)) return;
  columns_ = fields(line);
  while (std::getline(lines, line)) {
    Row row;
    const auto values = fields(line);
    for (std::size_t i = 0; i < std::min(values.size(), columns_.size()); ++i)
      if (!values[i].empty()) row[columns_[i]] = values[i];
    // Rows of what this run has done already: those of its unfinished epoch come from validations within it.
    const auto epoch = std::atoll(row["epoch"].c_str()), step = std::atoll(row["step"].c_str());
    if (epoch < trainer.position().epoch ||
        (epoch == trainer.position().epoch && row["split"] == "val" &&
         step <= trainer.position().global_step && trainer.position().batch > 0))
      rows_.push_back(std::move(row));
  }
}

namespace {

const Registration<CallbackFactory> registration(
    loggers(), {"csv", "metrics.csv: a row for each epoch and split", {}, [](const CallbackContext& context) {
                  return std::make_shared<CsvLogger>(context.folder.metrics());
                }});

}  // namespace
}  // namespace isnet

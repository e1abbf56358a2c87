#include "trainer/loggers/csv_logger.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
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
  std::map<std::string, std::string> row{
      {"epoch", cat(epoch)}, {"step", cat(trainer.position().global_step)}, {"split", split}};
  for (const auto& [name, value] : metrics) {
    if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) add_column(name);
    row[name] = shortest(value);
  }
  for (const auto& column : columns_) {
    const auto found = row.find(column);
    if (&column != &columns_.front()) rows_ += ',';
    if (found != row.end()) rows_ += found->second;
  }
  rows_ += '\n';
}

// The rows before it have no value there.
void CsvLogger::add_column(const std::string& name) {
  columns_.push_back(name);
  std::string wider;
  for (const char c : rows_) {
    if (c == '\n') wider += ',';
    wider += c;
  }
  rows_ = std::move(wider);
}

// At the end of an epoch together with its row of training; within one at once.
void CsvLogger::on_validated(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  if (trainer.position().batch == 0) {
    validation_ = metrics;
    return;
  }
  // One that is made again, after a checkpoint of the step before it, replaces its row.
  const std::string start = cat(trainer.position().epoch, ",", trainer.position().global_step, ",val,");
  const auto last = rows_.rfind('\n', rows_.size() < 2 ? 0 : rows_.size() - 2);
  const std::size_t begin = last == std::string::npos ? 0 : last + 1;
  if (rows_.compare(begin, start.size(), start) == 0) rows_.erase(begin);
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
  text += '\n' + rows_;
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
    const auto values = fields(line);
    const auto value = [&](const char* column) {
      const auto found = std::find(columns_.begin(), columns_.end(), column);
      const auto place = static_cast<std::size_t>(found - columns_.begin());
      return place < values.size() ? values[place] : std::string();
    };
    // Rows of what this run has done already, which come first: those of its unfinished epoch are of
    // validations within it. From the row of training on, which is written at an epoch's end, all is made
    // again.
    const auto epoch = std::atoll(value("epoch").c_str()), step = std::atoll(value("step").c_str());
    if (epoch > trainer.position().epoch ||
        (epoch == trainer.position().epoch &&
         (value("split") != "val" || trainer.position().batch == 0 || step > trainer.position().global_step)))
      break;
    rows_ += line + '\n';
  }
}

namespace {

const Registration<CallbackFactory> registration(
    loggers(), {"csv", "metrics.csv: a row for each epoch and split", {}, [](const CallbackContext& context) {
                  return std::make_shared<CsvLogger>(context.folder.metrics());
                }});

}  // namespace
}  // namespace isnet

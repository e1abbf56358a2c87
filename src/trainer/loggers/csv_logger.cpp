#include "trainer/loggers/csv_logger.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>

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

std::size_t count_of_rows(const std::string& rows) {
  return static_cast<std::size_t>(std::count(rows.begin(), rows.end(), '\n'));
}

std::string first_rows(const std::string& rows, std::int64_t count) {
  std::size_t end = 0;
  for (std::int64_t row = 0; row < count && end < rows.size(); ++row) end = rows.find('\n', end) + 1;
  return rows.substr(0, end);
}

std::string epoch_of_row(const std::string& rows, std::size_t row) {
  const std::size_t begin = first_rows(rows, static_cast<std::int64_t>(row)).size();
  return rows.substr(begin, rows.find(',', begin) - begin);
}

struct CsvTable {
  std::vector<std::string> columns;
  std::string rows;
};

// The same rows under other columns: values without a column there are left out.
std::string with_columns(const CsvTable& table, const std::vector<std::string>& columns) {
  if (table.columns == columns) return table.rows;
  std::string result, line;
  std::istringstream lines(table.rows);
  while (std::getline(lines, line)) {
    const auto values = fields(line);
    for (const auto& column : columns) {
      const auto found = std::find(table.columns.begin(), table.columns.end(), column);
      const auto place = static_cast<std::size_t>(found - table.columns.begin());
      if (&column != &columns.front()) result += ',';
      if (place < values.size()) result += values[place];
    }
    result += '\n';
  }
  return result;
}

constexpr std::size_t stored_bytes = std::size_t{256} << 10;
// Between further tries of a last write.
constexpr std::array<std::chrono::seconds, 3> pauses{std::chrono::seconds(1), std::chrono::seconds(2),
                                                     std::chrono::seconds(4)};

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

// A row for each split.
void CsvLogger::add_validation(const Trainer& trainer, std::int64_t epoch, const Metrics& metrics) {
  for (const auto& [split, of_split] : by_split(metrics, trainer.job().validation_name))
    add(trainer, epoch, split, of_split);
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
  // One that is made again, after a checkpoint of the step before it, replaces its rows.
  const std::string start = cat(trainer.position().epoch, ",", trainer.position().global_step, ",");
  while (!rows_.empty()) {
    const auto last = rows_.rfind('\n', rows_.size() < 2 ? 0 : rows_.size() - 2);
    const std::size_t begin = last == std::string::npos ? 0 : last + 1;
    if (rows_.compare(begin, start.size(), start) != 0 ||
        rows_.compare(begin + start.size(), 6, "train,") == 0)
      break;
    rows_.erase(begin);
  }
  add_validation(trainer, trainer.position().epoch, metrics);
  write();
}

void CsvLogger::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  if (!trainer.communicator().is_main()) return;
  const std::int64_t epoch = trainer.position().epoch - 1;  // it has moved on to the next
  add(trainer, epoch, "train", metrics);
  if (!validation_.empty()) add_validation(trainer, epoch, validation_);
  validation_.clear();
  write();
}

bool CsvLogger::try_to_write() {
  std::string text;
  for (const auto& column : columns_) text += (text.empty() ? "" : ",") + column;
  text += '\n' + rows_;
  try {
    write_file_atomically(path_, text);
    written_ = count_of_rows(rows_);
    trouble_.clear();
  } catch (const Error& e) {
    trouble_ = e.what();
  }
  return trouble_.empty();
}

void CsvLogger::write() {
  if (!try_to_write()) log::warning(cat(trouble_, "; tried again after the next epoch"));
}

void CsvLogger::on_train_end(Trainer& trainer) {
  if (trainer.communicator().is_main() && !trouble_.empty()) try_to_write();
}

void CsvLogger::on_interrupted(Trainer& trainer) {
  on_train_end(trainer);
  if (!trouble_.empty()) log::warning(cat(trouble_, "; the rows that are missing are in the checkpoint"));
}

void CsvLogger::on_run_end(Trainer& trainer) {
  if (!trainer.communicator().is_main()) return;
  for (const auto pause : pauses) {
    if (trouble_.empty()) break;
    std::this_thread::sleep_for(pause);
    try_to_write();
  }
  if (!trouble_.empty())
    fail(ErrorKind::runtime, trouble_, "; the rows from epoch ", epoch_of_row(rows_, written_),
         " on are missing there. They are in last.ckpt: --resume last writes them once that is fixed");
  if (lost_ > 0)
    fail(ErrorKind::runtime, path_.string(), ": the first ", lost_,
         " rows are missing: they could not be written, and no checkpoint has them any more");
}

// The last rows, as whole lines; and how many there are before them.
void CsvLogger::on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) {
  if (!trainer.communicator().is_main()) return;
  std::size_t begin = 0;
  if (rows_.size() > stored_bytes) begin = rows_.find('\n', rows_.size() - stored_bytes) + 1;
  checkpoint.state["callbacks"]["csv_logger"] = {
      {"columns", columns_},
      {"rows_before", lost_ + static_cast<std::int64_t>(count_of_rows(rows_.substr(0, begin)))},
      {"rows", rows_.substr(begin)}};
}

void CsvLogger::on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) {
  if (!trainer.communicator().is_main()) return;
  read_rows(trainer);
  const auto callbacks = checkpoint.state.find("callbacks");
  if (callbacks != checkpoint.state.end() && callbacks->contains("csv_logger"))
    take_over(callbacks->at("csv_logger"));
}

// Rows of the checkpoint take the place of the file's from the first of them on: the file may miss some.
void CsvLogger::take_over(const nlohmann::json& stored) {
  CsvTable table{stored.at("columns").get<std::vector<std::string>>(), stored.at("rows").get<std::string>()};
  const auto before = stored.at("rows_before").get<std::int64_t>();
  const bool had_file = !rows_.empty();
  const auto file_rows = static_cast<std::int64_t>(count_of_rows(rows_));
  std::string first = with_columns({columns_, first_rows(rows_, before)}, table.columns);
  columns_ = std::move(table.columns);
  rows_ = std::move(first) + table.rows;
  if (had_file && file_rows < before) lost_ = before - file_rows;
  written_ = static_cast<std::size_t>(file_rows);
  if (written_ >= count_of_rows(rows_)) return;
  trouble_ = cat(path_.string(), " has not all rows of the epochs before this");
  if (had_file) write();
}

void CsvLogger::read_rows(const Trainer& trainer) {
  if (!std::filesystem::exists(path_)) return;
  std::istringstream lines(read_file(path_, Links::refuse));
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
        (epoch == trainer.position().epoch && (value("split") == "train" || trainer.position().batch == 0 ||
                                               step > trainer.position().global_step)))
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

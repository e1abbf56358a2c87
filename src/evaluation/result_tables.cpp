#include "evaluation/result_tables.h"

#include "base/error.h"

namespace isnet {
namespace {

void append(std::string& text, const std::string& block) {
  if (!block.empty()) text += (text.empty() ? "" : "\n") + block;
}

std::string tables_of_split(const Scores& scores, const ScoreReport* report) {
  std::string text;
  const bool by_class = scores.class_names().size() <= most_classes_shown;
  if (by_class) append(text, confusion_table(scores));
  if (by_class && scores.kind() != ScoreKind::none)
    append(text, report ? report->class_table() : class_table(scores));
  if (report) append(text, report->figure_table());
  if (by_class) append(text, pixel_table(scores));
  return report ? text + report->further_tables() : text;
}

}  // namespace

std::string result_tables(const ScoresBySplit& scores, const ReportsBySplit& reports) {
  std::string text;
  for (const auto& [name, of_split] : scores) {
    const auto report = reports.find(name);
    const std::string tables = tables_of_split(of_split, report == reports.end() ? nullptr : &report->second);
    if (!tables.empty()) text += cat("\nSplit ", name, ":\n", tables);
  }
  return text;
}

}  // namespace isnet

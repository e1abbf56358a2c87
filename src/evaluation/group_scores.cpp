#include "evaluation/group_scores.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/figures.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

GroupScores scores_of(const std::string& group, const Predictions& predictions) {
  const Figures figures(predictions);
  const std::vector<double> values = figures.values();
  const auto value = [&](const char* name) { return values[figures.index({name, -1})]; };
  std::int64_t right = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) right += predictions.right(i);
  GroupScores scores;
  scores.group = group;
  scores.samples = static_cast<std::int64_t>(predictions.size());
  scores.accuracy = wilson(right, scores.samples);
  scores.balanced_accuracy =
      predictions.kind == ScoreKind::single_label ? value("balanced_accuracy") : value("macro_recall");
  scores.macro_f1 = value("macro_f1");
  scores.auc_macro = value("auc_macro");
  scores.log_loss = value("log_loss");
  return scores;
}

}  // namespace

double GroupTable::gap() const {
  return groups.empty() ? 0 : groups.back().accuracy.value - groups.front().accuracy.value;
}

nlohmann::ordered_json GroupTable::to_json() const {
  nlohmann::ordered_json json;
  json["by"] = by;
  json["worst"] = groups.front().group;
  json["worst_accuracy"] = groups.front().accuracy.to_json();
  json["gap"] = gap();
  json["groups"] = nlohmann::ordered_json::array();
  for (const auto& one : groups)
    json["groups"].push_back({{"group", one.group},
                              {"samples", one.samples},
                              {"accuracy", one.accuracy.to_json()},
                              {"balanced_accuracy", finite_or_null(one.balanced_accuracy)},
                              {"macro_f1", finite_or_null(one.macro_f1)},
                              {"auc_macro", finite_or_null(one.auc_macro)},
                              {"log_loss", finite_or_null(one.log_loss)}});
  return json;
}

std::string GroupTable::table() const {
  constexpr std::size_t most = 20;
  Table table({by, "samples", "accuracy (95 %)", "balanced", "macro F1", "AUC", "log loss"});
  for (std::size_t i = 0; i < std::min(groups.size(), most); ++i) {
    const auto& one = groups[i];
    table.add({one.group, cat(one.samples), one.accuracy.text(), fixed(one.balanced_accuracy, 4),
               fixed(one.macro_f1, 4), fixed(one.auc_macro, 4), fixed(one.log_loss, 4)});
  }
  std::string text = table.fitted(terminal_columns);
  if (groups.size() > most) text += cat("… and ", groups.size() - most, " groups with more\n");
  return text;
}

GroupTable scores_by_group(const Predictions& predictions, const std::string& by,
                           const std::vector<std::string>& values) {
  std::map<std::string, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < values.size(); ++i) members[values[i]].push_back(i);
  GroupTable table{by, {}};
  for (const auto& [group, samples] : members)
    table.groups.push_back(scores_of(group, predictions.subset(samples)));
  std::stable_sort(table.groups.begin(), table.groups.end(), [](const GroupScores& a, const GroupScores& b) {
    return a.accuracy.value < b.accuracy.value;
  });
  return table;
}

}  // namespace isnet

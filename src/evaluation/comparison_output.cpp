// How a Comparison is written: JSON, CSV, tables.
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "evaluation/comparison.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// "A", "B", …; numbers beyond 26.
std::string letter(std::size_t model) {
  return model < 26 ? std::string(1, static_cast<char>('A' + model)) : cat(model + 1);
}

std::string p_text(double p) {
  if (std::isnan(p)) return "–";
  return p < 0.0001 ? "< 0.0001" : fixed(p, 4);
}

// Of the shares of samples that each model has right.
Estimate difference_of_right(const Comparison& of, const ComparedPair& pair) {
  Estimate right;
  right.value = static_cast<double>(pair.mcnemar.only_first - pair.mcnemar.only_second) /
                static_cast<double>(of.samples);
  return right;
}

Json with_p(const Estimate& difference, double p, double adjusted) {
  Json json = difference.to_json();
  json["p"] = finite_or_null(p);
  json["adjusted_p"] = finite_or_null(adjusted);
  return json;
}

Json pair_json(const Comparison& of, const ComparedPair& pair) {
  Json areas = Json::object(), figures = Json::object();
  for (const auto& area : pair.areas) {
    Json json = with_p(area.test.difference, area.test.p, area.adjusted_p);
    json["z"] = finite_or_null(area.test.z);
    areas[of.class_names[area.of_class]] = std::move(json);
  }
  for (const auto& figure : pair.figures)
    figures[figure.name] = with_p(figure.difference, figure.p, figure.adjusted_p);
  return {{"first", of.models[pair.first]},
          {"second", of.models[pair.second]},
          {"mcnemar",
           {{"only_first_right", pair.mcnemar.only_first},
            {"only_second_right", pair.mcnemar.only_second},
            {"p", pair.mcnemar.exact_p},
            {"adjusted_p", pair.adjusted_mcnemar_p},
            {"statistic", pair.mcnemar.statistic},
            {"corrected_p", pair.mcnemar.corrected_p}}},
          {"delong", std::move(areas)},
          {"differences", std::move(figures)}};
}

std::string model_table(const Comparison& of) {
  Table table({"model", "accuracy (95 %)", "macro F1", "AUC (95 %)", "log loss", "ECE"});
  for (std::size_t i = 0; i < of.models.size(); ++i) {
    const auto& report = of.reports[i];
    table.add({cat(letter(i), "  ", of.models[i]), report.figure("accuracy").text(),
               fixed(report.figure("macro_f1").value, 4), report.figure("auc_macro").text(),
               fixed(report.figure("log_loss").value, 4), fixed(report.figure("ece").value, 4)});
  }
  return table.fitted(terminal_columns);
}

std::string pair_table(const Comparison& of, const ComparedPair& pair) {
  const std::string title = cat(letter(pair.first), " − ", letter(pair.second));
  Table table({title, "difference", "95 % interval", "test", "p", "p (Holm)"});
  const auto add = [&](const std::string& name, const Estimate& difference, const std::string& test, double p,
                       double adjusted) {
    table.add(
        {name, fixed(difference.value, 4),
         difference.has_interval() ? cat(fixed(difference.low, 4), " to ", fixed(difference.high, 4)) : "–",
         test, p_text(p), p_text(adjusted)});
  };
  add(cat("right: ", pair.mcnemar.only_first, " to ", pair.mcnemar.only_second),
      difference_of_right(of, pair), "McNemar", pair.mcnemar.exact_p, pair.adjusted_mcnemar_p);
  if (pair.areas.size() <= 20)
    for (const auto& area : pair.areas)
      add(cat("AUC ", of.class_names[area.of_class]), area.test.difference, "DeLong", area.test.p,
          area.adjusted_p);
  for (const auto& figure : pair.figures)
    add(figure.name, figure.difference, figure.difference.method.empty() ? "–" : figure.difference.method,
        figure.p, figure.adjusted_p);
  return table.fitted(terminal_columns);
}

}  // namespace

nlohmann::ordered_json Comparison::to_json() const {
  Json models_json = Json::array(), pairs_json = Json::array();
  for (std::size_t i = 0; i < models.size(); ++i) {
    Json json{{"name", models[i]}};
    json.update(reports[i].to_json());
    models_json.push_back(std::move(json));
  }
  for (const auto& pair : pairs) pairs_json.push_back(pair_json(*this, pair));
  Json json{{"samples", samples},
            {"classes", class_names},
            {"bootstrap", {{"replicates", replicates}, {"by_group", by_group}}},
            {"models", std::move(models_json)},
            {"pairs", std::move(pairs_json)}};
  if (!remarks.empty()) json["remarks"] = remarks;
  return json;
}

std::string Comparison::csv(const std::string& split) const {
  std::string text;
  for (const auto& pair : pairs) {
    const auto add = [&](const std::string& of_class, const std::string& test, const Estimate& difference,
                         double p, double adjusted) {
      text +=
          cat(csv_field(split), ",", csv_field(models[pair.first]), ",", csv_field(models[pair.second]), ",",
              csv_field(of_class), ",", test, ",", csv_number(difference.value), ",",
              csv_number(difference.low), ",", csv_number(difference.high), ",", csv_number(p), ",",
              csv_number(adjusted), "\n");
    };
    add("", "mcnemar", difference_of_right(*this, pair), pair.mcnemar.exact_p, pair.adjusted_mcnemar_p);
    for (const auto& area : pair.areas)
      add(class_names[area.of_class], "delong_auc", area.test.difference, area.test.p, area.adjusted_p);
    for (const auto& figure : pair.figures)
      add("", "bootstrap_" + figure.name, figure.difference, figure.p, figure.adjusted_p);
  }
  return text;
}

std::string Comparison::tables() const {
  std::string text = model_table(*this);
  for (const auto& pair : pairs) text += "\n" + pair_table(*this, pair);
  if (!remarks.empty()) text += "\n";
  for (const auto& remark : remarks) text += remark + "\n";
  return text;
}

}  // namespace isnet

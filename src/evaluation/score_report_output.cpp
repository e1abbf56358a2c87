// How a ScoreReport is written: JSON, CSV, tables.
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "evaluation/metrics.h"
#include "evaluation/score_report.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

Json reliability_json(const std::vector<ReliabilityBin>& bins) {
  Json rows = Json::array();
  for (const auto& bin : bins)
    rows.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"decisions", bin.weight},
                    {"confidence", bin.weight > 0 ? Json(bin.confidence) : Json()},
                    {"frequency", bin.weight > 0 ? Json(bin.frequency) : Json()}});
  return rows;
}

Json posterior_json(const ScoreReport& report) {
  Json json{{"model", "Dirichlet"}, {"prior", 1}, {"draws", report.posterior_draws}};
  if (report.posteriors) {
    json["accuracy"] = report.posteriors->accuracy.to_json();
    json["macro_precision"] = report.posteriors->macro_precision.to_json();
    json["macro_recall"] = report.posteriors->macro_recall.to_json();
    json["macro_f1"] = report.posteriors->macro_f1.to_json();
  }
  Json classes = Json::object();
  for (std::size_t k = 0; k < report.class_posteriors.size(); ++k) {
    const auto& of = report.class_posteriors[k];
    classes[report.class_names[k]] = {
        {"precision", of.precision.to_json()}, {"recall", of.recall.to_json()}, {"f1", of.f1.to_json()}};
  }
  json["per_class"] = std::move(classes);
  return json;
}

Json calibration_json(const CalibrationReport& of) {
  Json json = of.temperature.to_json();
  const auto pair = [](const double (&values)[2]) {
    return Json{{"before", finite_or_null(values[0])}, {"after", finite_or_null(values[1])}};
  };
  json["log_loss"] = pair(of.log_loss);
  json["brier"] = pair(of.brier);
  json["ece"] = pair(of.ece);
  json["reliability"] = reliability_json(of.reliability);
  return json;
}

// The K + 1 classes as scores: their matrix and ratios.
Scores scores_of(const ImplicitClassReport& of, std::vector<std::string> names) {
  names.push_back(of.chosen.name);
  Scores scores(ScoreKind::single_label, std::move(names), {});
  scores.set_flat(of.matrix.flat());
  return scores;
}

std::string implicit_table(const ImplicitClassReport& of, const std::vector<std::string>& names) {
  return cat("\nImplicit class '", of.chosen.name, "' below ", fixed(of.chosen.threshold, 4), ", chosen on ",
             of.chosen.chosen_on, ": accuracy ", of.accuracy.text(), ", AUC ", of.auc.text(), "\n",
             class_table(scores_of(of, names)));
}

Json implicit_json(const ImplicitClassReport& of, const std::vector<std::string>& names) {
  const Json scores = scores_of(of, names).to_json();
  return {{"class", of.chosen.name},
          {"chosen_on", of.chosen.chosen_on},
          {"threshold", of.chosen.threshold},
          {"validation_macro_f1", of.chosen.macro_f1},
          {"accuracy", of.accuracy.to_json()},
          {"auc", of.auc.to_json()},
          {"classes", scores.at("classes")},
          {"confusion_matrix", scores.at("confusion_matrix")},
          {"per_class", scores.at("per_class")}};
}

const char* class_name_or_empty(const ScoreReport& report, std::int64_t of_class) {
  return of_class < 0 ? "" : report.class_names[static_cast<std::size_t>(of_class)].c_str();
}

std::string curve_rows(const std::string& prefix, const char* curve, const std::vector<CurvePoint>& points) {
  std::string text;
  for (const auto& point : points)
    text += cat(prefix, curve, ",", csv_number(point.threshold), ",", csv_number(point.x), ",",
                csv_number(point.y), "\n");
  return text;
}

}  // namespace

nlohmann::ordered_json ScoreReport::to_json() const {
  Json scores = Json::object(), per_class = Json::object();
  for (std::size_t k = 0; k < class_names.size(); ++k)
    per_class[class_names[k]] = {{"samples", counts[k].true_positive + counts[k].false_negative}};
  for (const auto& [name, estimate] : figures) {
    Json& into = name.of_class < 0 ? scores : per_class[class_names[static_cast<std::size_t>(name.of_class)]];
    into[name.name] = estimate.to_json();
  }
  scores["maximum_calibration_error"] = maximum_calibration_error(reliability);
  scores["per_class"] = std::move(per_class);
  Json json;
  json["scores"] = std::move(scores);
  json["bootstrap"] = {{"replicates", replicates}, {"units", units}, {"by_group", by_group}, {"seed", seed}};
  json["reliability"] = reliability_json(reliability);
  if (!class_posteriors.empty()) json["posterior"] = posterior_json(*this);
  if (calibration) json["calibration"] = calibration_json(*calibration);
  if (!operating_points.empty()) {
    json["operating_points"] = Json::array();
    for (const auto& point : operating_points) json["operating_points"].push_back(point.to_json());
  }
  if (implicit_class) json["implicit_class"] = implicit_json(*implicit_class, class_names);
  if (!groups.empty()) {
    json["groups"] = Json::array();
    for (const auto& table : groups) json["groups"].push_back(table.to_json());
  }
  if (background) json["background"] = background->to_json();
  if (!explanations.empty()) {
    json["explanations"] = Json::array();
    for (const auto& one : explanations) json["explanations"].push_back(one.to_json());
  }
  if (!remarks.empty()) json["remarks"] = remarks;
  return json;
}

std::string ScoreReport::csv(const std::string& split) const {
  std::string text;
  const auto add = [&](std::int64_t of_class, const std::string& name, const Estimate& of) {
    text +=
        cat(csv_field(split), ",", csv_field(class_name_or_empty(*this, of_class)), ",", name, ",",
            csv_number(of.value), ",", csv_number(of.low), ",", csv_number(of.high), ",", of.method, "\n");
  };
  for (const auto& [name, estimate] : figures) add(name.of_class, name.name, estimate);
  const auto add_posterior = [&](std::int64_t of_class, const std::string& name, const PosteriorSummary& of) {
    Estimate estimate;
    estimate.value = of.mean;
    estimate.low = of.low;
    estimate.high = of.high;
    estimate.method = "posterior HDI";
    add(of_class, name, estimate);
  };
  if (posteriors) {
    add_posterior(-1, "posterior_accuracy", posteriors->accuracy);
    add_posterior(-1, "posterior_macro_precision", posteriors->macro_precision);
    add_posterior(-1, "posterior_macro_recall", posteriors->macro_recall);
    add_posterior(-1, "posterior_macro_f1", posteriors->macro_f1);
  }
  for (std::size_t k = 0; k < class_posteriors.size(); ++k) {
    add_posterior(static_cast<std::int64_t>(k), "posterior_precision", class_posteriors[k].precision);
    add_posterior(static_cast<std::int64_t>(k), "posterior_recall", class_posteriors[k].recall);
    add_posterior(static_cast<std::int64_t>(k), "posterior_f1", class_posteriors[k].f1);
  }
  return text;
}

std::string ScoreReport::curves_csv(const std::string& split) const {
  std::string text;
  for (std::size_t k = 0; k < curves.size(); ++k) {
    const std::string prefix = cat(csv_field(split), ",", csv_field(class_names[k]), ",");
    text += curve_rows(prefix, "roc", curves[k].roc);
    text += curve_rows(prefix, "precision_recall", curves[k].precision_recall);
  }
  for (const auto& bin : reliability)
    if (bin.weight > 0)
      text += cat(csv_field(split), ",,reliability,,", csv_number(bin.confidence), ",",
                  csv_number(bin.frequency), "\n");
  return text;
}

std::string ScoreReport::figure_table() const {
  Table table({"score", "value", "95 % interval", "method", "posterior (95 % HDI)"});
  const auto posterior_of = [&](const std::string& name) -> const PosteriorSummary* {
    if (!posteriors) return nullptr;
    if (name == "accuracy") return &posteriors->accuracy;
    if (name == "macro_precision") return &posteriors->macro_precision;
    if (name == "macro_recall") return &posteriors->macro_recall;
    return name == "macro_f1" ? &posteriors->macro_f1 : nullptr;
  };
  for (const auto& [name, of] : figures) {
    if (name.of_class >= 0) continue;
    const auto* posterior = posterior_of(name.name);
    table.add({name.name, fixed(of.value, 4),
               of.has_interval() ? cat(fixed(of.low, 4), "–", fixed(of.high, 4)) : "–",
               of.method.empty() ? (of.defined() ? "–" : "undefined") : of.method,
               posterior ? cat(fixed(posterior->mean, 4), " (", fixed(posterior->low, 4), "–",
                               fixed(posterior->high, 4), ")")
                         : ""});
  }
  std::string text = table.fitted(terminal_columns);
  for (const auto& remark : remarks) text += remark + "\n";
  return text;
}

std::string ScoreReport::class_table() const {
  Table table({"class", "samples", "precision", "recall", "specificity", "NPV", "F1", "AUC (95 %)", "AP"});
  for (std::size_t k = 0; k < class_names.size(); ++k) {
    const auto value = [&](const char* name) -> const Estimate& {
      return figure(name, static_cast<std::int64_t>(k));
    };
    table.add({class_names[k], cat(counts[k].true_positive + counts[k].false_negative),
               fixed(value("precision").value, 4), fixed(value("recall").value, 4),
               fixed(value("specificity").value, 4), fixed(value("npv").value, 4),
               fixed(value("f1").value, 4), value("auc").text(3),
               fixed(value("average_precision").value, 3)});
  }
  return table.fitted(terminal_columns);
}

std::string ScoreReport::further_tables() const {
  std::string text;
  if (calibration) {
    Table table({"temperature", "log loss", "Brier", "ECE"});
    for (const int i : {0, 1})
      table.add({i == 0 ? "1" : fixed(calibration->temperature.value, 4), fixed(calibration->log_loss[i], 4),
                 fixed(calibration->brier[i], 4), fixed(calibration->ece[i], 4)});
    text += cat("\nTemperature chosen on ", calibration->temperature.chosen_on, ":\n",
                table.fitted(terminal_columns));
  }
  if (!operating_points.empty()) {
    Table table({"operating point", "criterion", "threshold", "sensitivity", "specificity", "precision",
                 "NPV", "F1"});
    for (const auto& point : operating_points)
      table.add({point.class_name, point.criterion.text(), fixed(point.threshold, 4),
                 fixed(point.counts.recall(), 4), fixed(point.counts.specificity(), 4),
                 fixed(point.counts.precision(), 4), fixed(point.counts.npv(), 4),
                 fixed(point.counts.f1(), 4)});
    text += cat("\nThresholds chosen on ", operating_points.front().chosen_on, ":\n",
                table.fitted(terminal_columns));
  }
  if (implicit_class) text += implicit_table(*implicit_class, class_names);
  for (const auto& table : groups)
    text += cat("\nBy ", table.by, " (worst first; gap ", fixed(table.gap(), 4), "):\n", table.table());
  if (background) text += background->table();
  return text + explanation_table(explanations);
}

}  // namespace isnet

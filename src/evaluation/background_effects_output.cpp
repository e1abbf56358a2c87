// How BackgroundEffects are written: JSON, CSV, table.
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "evaluation/background_effects.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

Json per_class_json(const BackgroundEffects& effects, const BackgroundCondition& condition) {
  Json classes = Json::object();
  for (std::size_t k = 0; k < effects.class_names.size(); ++k) {
    Json& of = classes[effects.class_names[k]];
    of["samples"] = effects.samples_by_class[k];
    for (const auto& figure : condition.figures)
      if (k < figure.by_class.size() && figure.name != "logit_change")
        of[figure.name] = figure.by_class[k].to_json();
    if (!condition.logit_change_by_class.empty())
      of["logit_change"] = finite_or_null(condition.logit_change_by_class[k]);
  }
  return classes;
}

Json condition_json(const BackgroundEffects& effects, const BackgroundCondition& of) {
  Json json{{"name", of.condition.name}, {"background", of.condition.background}};
  for (const auto& figure : of.figures) {
    json[figure.name] = figure.mean.to_json();
    if (figure.class_mean) json["balanced_accuracy"] = figure.class_mean->to_json();
  }
  json["per_class"] = per_class_json(effects, of);
  return json;
}

std::string csv_row(const std::string& start, const std::string& of_class, const std::string& figure,
                    const Estimate& of) {
  return cat(start, csv_field(of_class), ",", figure, ",", csv_number(of.value), ",", csv_number(of.low), ",",
             csv_number(of.high), ",", of.method, "\n");
}

std::string mean_text(const std::vector<FigureSummary>& figures, const char* name, bool interval) {
  const auto* figure = find_figure(figures, name);
  if (!figure) return "";
  return interval ? figure->mean.text(3) : fixed(figure->mean.value, 3);
}

}  // namespace

nlohmann::ordered_json BackgroundEffects::to_json() const {
  Json json;
  json["samples"] = samples;
  json["left_out"] = {{"no_object", setting.without_object}, {"no_background", setting.without_background}};
  json["draws"] = setting.draws;
  json["seed"] = setting.seed;
  json["fill"] = setting.fill;
  if (majority_share) json["majority_share"] = *majority_share;
  json["conditions"] = Json::array();
  for (const auto& one : conditions) json["conditions"].push_back(condition_json(*this, one));
  json["gaps"] = Json::object();
  for (const auto& gap : gaps) json["gaps"][gap.name] = gap.mean.to_json();
  if (!remarks.empty()) json["remarks"] = remarks;
  return json;
}

std::string BackgroundEffects::csv(const std::string& split) const {
  std::string text;
  for (const auto& one : conditions) {
    const std::string start = cat(csv_field(split), ",", one.condition.name, ",");
    for (const auto& figure : one.figures) {
      text += csv_row(start, "", figure.name, figure.mean);
      if (figure.class_mean) text += csv_row(start, "", "balanced_accuracy", *figure.class_mean);
      for (std::size_t k = 0; k < figure.by_class.size(); ++k)
        if (figure.name != "logit_change")
          text += csv_row(start, class_names[k], figure.name, figure.by_class[k]);
    }
    for (std::size_t k = 0; k < one.logit_change_by_class.size(); ++k) {
      Estimate change;
      change.value = one.logit_change_by_class[k];
      text += csv_row(start, class_names[k], "logit_change", change);
    }
  }
  for (const auto& gap : gaps) text += csv_row(cat(csv_field(split), ",,"), "", gap.name, gap.mean);
  return text;
}

std::string BackgroundEffects::table() const {
  Table table(
      {"background", "accuracy (95 %)", "balanced", "flip rate (95 %)", "|Δ logit|", "|Δ p|", "follows"});
  for (const auto& [condition, figures, by_class] : conditions) {
    const auto& accuracy = figure_of(figures, "accuracy");
    table.add({condition.name, accuracy.mean.text(3),
               accuracy.class_mean ? fixed(accuracy.class_mean->value, 3) : "",
               mean_text(figures, "flip_rate", true), mean_text(figures, "logit_change", false),
               mean_text(figures, "probability_change", false),
               mean_text(figures, "follows_background", false)});
  }
  std::string text =
      cat("\nOther backgrounds, ", samples, " samples",
          setting.draws > 1 ? cat(", ", setting.draws, " draws") : "", ":\n", table.fitted(terminal_columns));
  if (const auto* gap = find_figure(gaps, "background_gap"))
    text += cat("Background gap (mixed_same − mixed_rand): ", gap->mean.text(3), "\n");
  for (const auto& remark : remarks) text += remark + "\n";
  return text;
}

}  // namespace isnet

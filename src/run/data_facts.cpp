#include "run/data_facts.h"

#include "data/summary.h"
#include "run/validation_scores.h"

namespace isnet {
namespace {

std::string splits_text(const DataSet& data) {
  if (data.is_single_shard()) return "it is one shard";
  std::string text;
  for (const auto& name : data.split_names()) text += (text.empty() ? "it has " : ", ") + name;
  return text;
}

bool needs_class_counts(const OptionValues& options) {
  for (const char* name : balanced_options)
    if (options.known(name) && options.text(name) == "balanced") return true;
  return false;
}

}  // namespace

DataFacts facts_of(const DataSet& data, const SplitReader& train, const OptionValues& options) {
  DataFacts facts;
  facts.source = data.path().string();
  facts.classes = data.class_count();
  facts.class_names = data.description().class_names;
  facts.samples = train.size();
  facts.labelled = train.layout().labels != LabelKind::none;
  facts.masked = train.layout().mask_channels > 0;
  const auto validation = validation_splits(options, data);
  for (const auto& name : validation)
    if (facts.validation.empty() || validation_name(name) == "val") facts.validation = validation_name(name);
  facts.splits = splits_text(data);
  if (facts.labelled && needs_class_counts(options)) {
    const bool stated = options.known("num-classes") && options.has("num-classes");
    facts.class_counts =
        summarise(train, stated ? options.integer("num-classes") : facts.classes, 0).class_counts;
  }
  return facts;
}

}  // namespace isnet

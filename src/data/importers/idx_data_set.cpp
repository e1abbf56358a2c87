#include "data/importers/idx_data_set.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "data/importers/idx.h"
#include "data/object_mask.h"
#include "data/split_writer.h"

namespace isnet {
namespace {

// A pair of IDX files.
struct Source {
  std::string name;  // of the image file, without folder and extension: for ids
  IdxArray images;
  IdxArray labels;
};

// A sample of a source: its number there and its class, renumbered.
struct Selected {
  std::int64_t index;
  std::int64_t label;
};

enum class MarkUse { none, own, confounding };

// The numbers decide random draws: never renumber.
enum class SplitNumber : std::uint64_t {
  train = 0,
  val = 1,
  test = 2,
  test_biased = 3,
  test_unbiased = 4,
  test_confounding = 5
};

struct SplitPlan {
  std::string name;
  SplitNumber number;
  const Source* source;
  std::vector<Selected> samples;
  MarkUse mark;
};

Source read_source(const std::filesystem::path& images, const std::filesystem::path& labels) {
  Source source{images.stem().string(), read_idx(images, 3), read_idx(labels, 1)};
  if (source.images.shape[0] != source.labels.shape[0])
    fail(ErrorKind::data, labels.string(), ": ", source.labels.shape[0], " labels for ",
         source.images.shape[0], " images of ", images.string(), ": do the files belong together?");
  return source;
}

std::vector<std::int64_t> classes_in(const Source& source) {
  const std::set<std::int64_t> present(source.labels.values.begin(), source.labels.values.end());
  return {present.begin(), present.end()};
}

std::string joined(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const auto value : values) text += cat(text.empty() ? "" : ",", value);
  return text;
}

// The first `limit` samples of each class (0: all), in the order of the file.
std::vector<Selected> select(const Source& source, const std::vector<std::int64_t>& classes,
                             std::int64_t limit) {
  std::map<std::int64_t, std::int64_t> number_of;
  for (const auto original : classes)
    number_of.emplace(original, static_cast<std::int64_t>(number_of.size()));
  std::vector<std::int64_t> taken(classes.size(), 0);
  std::vector<Selected> samples;
  for (std::size_t i = 0; i < source.labels.values.size(); ++i) {
    const auto found = number_of.find(source.labels.values[i]);
    if (found == number_of.end()) continue;
    auto& count = taken[static_cast<std::size_t>(found->second)];
    if (limit > 0 && count >= limit) continue;
    ++count;
    samples.push_back({static_cast<std::int64_t>(i), found->second});
  }
  for (std::size_t k = 0; k < classes.size(); ++k)
    if (taken[k] == 0)
      fail(ErrorKind::usage, "--classes: ", source.name, " holds no sample of class ", classes[k],
           "; it holds ", joined(classes_in(source)));
  return samples;
}

// Moves `share` of each class from train to what is returned: those whose random number is smallest.
std::vector<Selected> take_validation(std::vector<Selected>& train, std::int64_t classes, double share,
                                      std::uint64_t seed) {
  std::vector<std::vector<std::pair<double, std::int64_t>>> draws(static_cast<std::size_t>(classes));
  for (const auto& sample : train) {
    SampleRandom random(seed, Purpose::split, 0, static_cast<std::uint64_t>(sample.index));
    draws[static_cast<std::size_t>(sample.label)].emplace_back(random.uniform(), sample.index);
  }
  std::set<std::int64_t> chosen;
  for (auto& of_class : draws) {
    std::sort(of_class.begin(), of_class.end());
    const auto count = static_cast<std::size_t>(std::lround(share * static_cast<double>(of_class.size())));
    for (std::size_t i = 0; i < count; ++i) chosen.insert(of_class[i].second);
  }
  std::vector<Selected> validation;
  std::vector<Selected> rest;
  for (const auto& sample : train) (chosen.contains(sample.index) ? validation : rest).push_back(sample);
  train = std::move(rest);
  if (validation.empty() || train.empty())
    fail(ErrorKind::usage, "--validation-share: ", share, " of ", chosen.size() + train.size(),
         " samples leaves no sample for ", train.empty() ? "training" : "validation",
         "; allowed: 0, or more samples");
  return validation;
}

// Writes the splits of one data set.
class Packer {
 public:
  Packer(const IdxDataSetOptions& options, std::int64_t classes, std::int64_t height, std::int64_t width)
      : options_(options), classes_(classes) {
    layout_.height = options.pad_to > 0 ? options.pad_to : height;
    layout_.width = options.pad_to > 0 ? options.pad_to : width;
    layout_.mask_channels = options.mask == MaskSource::none ? 0 : 1;
    layout_.labels = LabelKind::single;
    if (layout_.height < height || layout_.width < width)
      fail(ErrorKind::usage, "--pad-to: ", options.pad_to, " is less than the images' ", height, "×", width);
    if (options.mark == "none") return;
    if (classes < 2) fail(ErrorKind::usage, "--mark: tells classes apart, but there is only one");
    for (std::int64_t label = 0; label < classes; ++label)
      marks_.push_back(
          marks().at(options.mark).make(label, classes, layout_.height, layout_.width, options.mark_options));
  }

  const SampleLayout& layout() const { return layout_; }

  std::vector<ShardEntry> write(const SplitPlan& plan, SplitReport& report) const {
    SplitWriter writer(options_.output, plan.name, layout_, static_cast<std::int64_t>(plan.samples.size()),
                       options_.shard_size);
    for (const auto& sample : plan.samples) {
      GreyImage image = padded(original(*plan.source, sample.index), layout_.height, layout_.width);
      auto mask = std::vector<std::uint8_t>(image.pixels.size(), 0);
      if (options_.mask == MaskSource::object)
        mask = object_mask(image, options_.mask_threshold, options_.mask_dilation);
      put_mark_of(plan, sample, mask, image, report);
      writer.add(image.pixels.data(), mask.data(), sample.label, cat(plan.source->name, ":", sample.index));
      ++report.samples;
    }
    return writer.finish();
  }

 private:
  static GreyImage original(const Source& source, std::int64_t index) {
    const std::int64_t height = source.images.shape[1], width = source.images.shape[2];
    const auto first = source.images.values.begin() + index * height * width;
    return {height, width, {first, first + height * width}};
  }

  void put_mark_of(const SplitPlan& plan, const Selected& sample, const std::vector<std::uint8_t>& mask,
                   GreyImage& image, SplitReport& report) const {
    if (plan.mark == MarkUse::none) return;
    const auto split = static_cast<std::uint64_t>(plan.number);
    const auto index = static_cast<std::uint64_t>(sample.index);
    std::int64_t label = sample.label;
    if (plan.mark == MarkUse::confounding)
      label = confounding_class(label, classes_, options_.seed, split, index);
    else if (!gets_mark(options_.mark_correlation, options_.seed, split, index))
      return;
    const auto& shape = marks_[static_cast<std::size_t>(label)];
    const auto kept_out = put_mark(shape, options_.mark_options.value, mask.data(), image.pixels.data());
    ++report.marked;
    if (kept_out == static_cast<std::int64_t>(shape.pixels.size()))
      ++report.fully_covered;
    else if (kept_out > 0)
      ++report.partly_covered;
  }

  const IdxDataSetOptions& options_;
  std::int64_t classes_;
  SampleLayout layout_;
  std::vector<MarkShape> marks_;
};

std::vector<SplitPlan> plan_splits(const IdxDataSetOptions& options, const std::vector<std::int64_t>& classes,
                                   const Source& source, const Source* test) {
  const bool marked = options.mark != "none";
  const MarkUse own = marked ? MarkUse::own : MarkUse::none;
  std::vector<SplitPlan> plans;
  auto train = select(source, classes, options.limit_per_class);
  std::vector<Selected> validation;
  if (options.validation_share > 0)
    validation = take_validation(train, static_cast<std::int64_t>(classes.size()), options.validation_share,
                                 options.seed);
  plans.push_back({"train", SplitNumber::train, &source, std::move(train), own});
  if (!validation.empty()) plans.push_back({"val", SplitNumber::val, &source, std::move(validation), own});
  if (!test) return plans;
  const auto samples = select(*test, classes, options.test_limit_per_class);
  if (!marked) {
    plans.push_back({"test", SplitNumber::test, test, samples, MarkUse::none});
    return plans;
  }
  plans.push_back({"test-biased", SplitNumber::test_biased, test, samples, MarkUse::own});
  plans.push_back({"test-unbiased", SplitNumber::test_unbiased, test, samples, MarkUse::none});
  plans.push_back({"test-confounding", SplitNumber::test_confounding, test, samples, MarkUse::confounding});
  return plans;
}

std::vector<std::string> class_names(const IdxDataSetOptions& options,
                                     const std::vector<std::int64_t>& classes) {
  std::vector<std::string> names = options.class_names;
  if (names.empty())
    for (const auto original : classes) names.push_back(cat(original));
  if (names.size() != classes.size())
    fail(ErrorKind::usage, "--class-names: ", names.size(), " names for ", classes.size(), " classes (",
         joined(classes), ")");
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
    fail(ErrorKind::usage, "--class-names: a name comes twice");
  return names;
}

// An old description goes first: a half-replaced data set must not be taken for a whole one.
void clear_output(const std::filesystem::path& folder, bool overwrite) {
  const auto file = folder / "dataset.json";
  std::error_code code;
  if (!std::filesystem::exists(file, code)) return;
  if (!overwrite)
    fail(ErrorKind::usage, "--output: ", folder.string(),
         " holds a data set already: choose another folder, or --overwrite");
  std::vector<std::filesystem::path> shards;
  try {
    for (const auto& [name, entries] : read_description(folder).splits)
      for (const auto& entry : entries) shards.push_back(folder / entry.file);
  } catch (const Error&) {
    // Unreadable: its shards cannot be told from other files, and stay unless they are written over.
    shards.clear();
  }
  for (const auto& path : shards) std::filesystem::remove(path, code);
  if (!std::filesystem::remove(file, code) || code)
    fail(ErrorKind::runtime, file.string(), ": cannot remove: ", code.message());
}

std::vector<std::int64_t> chosen_classes(const IdxDataSetOptions& options, const Source& source) {
  const auto classes = options.classes.empty() ? classes_in(source) : options.classes;
  if (std::set<std::int64_t>(classes.begin(), classes.end()).size() != classes.size())
    fail(ErrorKind::usage, "--classes: ", joined(classes), " names a class twice");
  return classes;
}

}  // namespace

std::map<std::string, SplitReport> pack_idx(const IdxDataSetOptions& options) {
  if (options.test_images.empty() != options.test_labels.empty())
    fail(ErrorKind::usage, "--test-images and --test-labels: give both, or none");
  if (options.mark != "none") marks().at(options.mark);  // a wrong name is said before files are read
  const Source source = read_source(options.images, options.labels);
  const auto classes = chosen_classes(options, source);
  const bool with_test = !options.test_images.empty();
  const Source test = with_test ? read_source(options.test_images, options.test_labels) : Source{};
  const std::int64_t height = source.images.shape[1], width = source.images.shape[2];
  if (with_test && (test.images.shape[1] != height || test.images.shape[2] != width))
    fail(ErrorKind::data, options.test_images.string(), ": images of ", test.images.shape[1], "×",
         test.images.shape[2], ", but ", options.images.string(), " has ", height, "×", width);

  DataSetDescription description;
  description.class_names = class_names(options, classes);
  const Packer packer(options, static_cast<std::int64_t>(classes.size()), height, width);
  description.height = packer.layout().height;
  description.width = packer.layout().width;
  const auto plans = plan_splits(options, classes, source, with_test ? &test : nullptr);
  create_folders(options.output);
  clear_output(options.output, options.overwrite);
  std::map<std::string, SplitReport> reports;
  for (const auto& plan : plans) description.splits[plan.name] = packer.write(plan, reports[plan.name]);
  write_description(options.output, description);
  return reports;
}

}  // namespace isnet

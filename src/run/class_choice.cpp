#include "run/class_choice.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace isnet {
namespace {

// The same class for all samples.
class OneClass : public HeatmapSelection {
 public:
  explicit OneClass(std::int64_t index) : index_(index) {}
  Selected select(const Logits& logits, const Batch&, std::uint64_t) const override {
    const at::Tensor classes =
        at::full({logits.live.size(0), 1}, index_, logits.live.options().dtype(at::kLong));
    return {start_at(classes, logits.live), classes};
  }

 private:
  std::int64_t index_;
};

class HighestLogit : public HeatmapSelection {
 public:
  Selected select(const Logits& logits, const Batch&, std::uint64_t) const override {
    const at::Tensor classes = logits.live.detach().argmax(1, /*keepdim=*/true);
    return {start_at(classes, logits.live), classes};
  }
};

// All classes whose logit is above 0, together; of none a map of zeros.
class DecidedClasses : public HeatmapSelection {
 public:
  Selected select(const Logits& logits, const Batch&, std::uint64_t) const override {
    const at::Tensor decided = logits.live.detach().gt(0);
    const at::Tensor one = decided.sum(1, /*keepdim=*/true).eq(1);
    const at::Tensor classes = at::where(one, decided.to(at::kLong).argmax(1, /*keepdim=*/true), -1);
    return {{decided.to(logits.live.scalar_type()).unsqueeze(1), false}, classes};
  }
};

std::optional<std::int64_t> number_in(const std::string& text, std::size_t classes) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if (number < 0 || number >= static_cast<std::int64_t>(classes)) return {};
  return number;
}

}  // namespace

std::unique_ptr<HeatmapSelection> select_classes(const std::string& choice, const char* option,
                                                 const std::vector<std::string>& class_names,
                                                 bool multi_label, const OptionValues& options) {
  if (choice == "predicted" && multi_label) return std::make_unique<DecidedClasses>();
  if (choice == "predicted" || choice == "highest") return std::make_unique<HighestLogit>();
  if (choice == "label" || choice == "all") return heatmap_selections().at(choice).make(options);
  const auto named = std::find(class_names.begin(), class_names.end(), choice);
  if (named != class_names.end()) return std::make_unique<OneClass>(named - class_names.begin());
  if (const auto number = number_in(choice, class_names.size())) return std::make_unique<OneClass>(*number);
  std::string names;
  constexpr std::size_t shown = 20;
  for (std::size_t k = 0; k < std::min(class_names.size(), shown); ++k) names += ", " + class_names[k];
  if (class_names.size() > shown) names += ", …";
  fail(ErrorKind::usage, "--", option, ": '", choice,
       "' is not allowed; allowed: all, label, predicted, highest, a number from 0 to ",
       class_names.size() - 1, names);
}

}  // namespace isnet

// The reading half of predictions_csv.h.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <unordered_map>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "evaluation/predictions_csv.h"

namespace isnet {
namespace {

// By which a probability in single precision may miss 0 or 1.
constexpr double rounding = 1e-6;

constexpr std::size_t none = static_cast<std::size_t>(-1);

// Where the columns of a file are.
struct Columns {
  std::size_t id = none, label = none, prediction = none, group = none, split = none;
  std::vector<std::string> class_names;
  std::vector<std::size_t> classes;  // in the order of class_names
  std::vector<std::size_t> logits;   // likewise; empty: there are none
};

std::optional<double> number_of(const std::string& text) {
  const auto first = text.find_first_not_of(" +\t"), last = text.find_last_not_of(" \t");
  if (first == std::string::npos) return {};
  double value = 0;
  const char* end = text.data() + last + 1;
  const auto result = std::from_chars(text.data() + first, end, value);
  // Too small for a double is 0, too large is infinite.
  if (result.ec == std::errc::result_out_of_range && result.ptr == end)
    return std::strtod(text.c_str(), nullptr);
  if (result.ec != std::errc() || result.ptr != end) return {};
  return value;
}

std::optional<std::size_t> class_number(const std::string& text) {
  const auto value = number_of(text);
  if (!value || *value < 0 || *value > 1e9 || *value != std::floor(*value)) return {};
  return static_cast<std::size_t>(*value);
}

// A row before it is known what its labels mean: places of their fields in FieldTexts.
struct RawRow {
  std::int64_t line;
  std::uint32_t label, prediction;
};

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// Different texts of fields of labels, which are few, each once, in words.
class FieldTexts {
 public:
  template <typename Split>
  std::uint32_t place(const std::string& text, Split&& split) {
    const auto [known, added] = places_.emplace(text, static_cast<std::uint32_t>(words_.size()));
    if (added) words_.push_back(split(text));
    return known->second;
  }
  const std::vector<std::string>& words(std::uint32_t place) const { return words_[place]; }

 private:
  std::unordered_map<std::string, std::uint32_t> places_;
  std::vector<std::vector<std::string>> words_;
};

class Reader {
 public:
  Reader(const std::filesystem::path& path, const PredictionsInput& input)
      : where_(path.string()), text_(read_file(path)), reader_(text_, where_), input_(input) {}

  PredictionsBySplit read() {
    read_header();
    CsvRow row;
    while (reader_.next(row)) add(row);
    if (splits_.empty()) fail(ErrorKind::data, where_, ": names columns, and no sample");
    const ScoreKind kind = kind_of_task();
    if (kind == ScoreKind::single_label && columns_.classes.size() == 1)
      fail(ErrorKind::data, where_, ": line 1: the only class is '", columns_.class_names[0],
           "'; two classes need a column of probabilities each");
    settle_meaning_of_numbers(kind);
    PredictionsBySplit result;
    for (auto& [name, split] : splits_) {
      refuse_double_ids(split);
      finish(split, kind);
      check(split.predictions, splits_.size() == 1 ? where_ : cat(where_, ": split ", name));
      result.emplace_back(name, std::move(split.predictions));
    }
    return result;
  }

 private:
  struct Split {
    Predictions predictions;
    std::vector<RawRow> rows;
  };

  template <typename... Parts>
  [[noreturn]] void refuse(std::int64_t line, const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": line ", line, ": ", parts...);
  }

  void read_header() {
    CsvRow header;
    if (!reader_.next(header)) fail(ErrorKind::data, where_, ": is empty; its first line names the columns");
    std::map<std::string, std::size_t> logits;
    const std::map<std::string, std::size_t*> known{{"id", &columns_.id},
                                                    {"label", &columns_.label},
                                                    {"prediction", &columns_.prediction},
                                                    {"predicted", &columns_.prediction},
                                                    {"group", &columns_.group},
                                                    {"split", &columns_.split}};
    std::set<std::string> seen;
    for (std::size_t i = 0; i < header.fields.size(); ++i) {
      std::string name = header.fields[i];
      if (!seen.insert(name).second) refuse(header.line, "two columns are named '", name, "'");
      if (const auto found = known.find(name); found != known.end()) {
        *found->second = i;
      } else if (name.starts_with("logit:")) {
        logits[name.substr(6)] = i;
      } else {
        if (name.starts_with("probability:")) name = name.substr(12);
        columns_.class_names.push_back(name);
        columns_.classes.push_back(i);
      }
    }
    if (columns_.id == none) refuse(header.line, "there is no column 'id'");
    if (columns_.classes.empty())
      refuse(header.line, "there are no columns with probabilities, one for each class, named as the class");
    for (const auto& name : columns_.class_names)
      if (logits.contains(name)) columns_.logits.push_back(logits[name]);
    if (!logits.empty() &&
        (columns_.logits.size() != columns_.classes.size() || logits.size() != columns_.logits.size()))
      refuse(header.line, "the columns 'logit:<class>' are not those of the ", columns_.classes.size(),
             " classes");
  }

  Split& split_of(const std::string& name) {
    for (auto& [known, split] : splits_)
      if (known == name) return split;
    splits_.emplace_back(name, Split{});
    splits_.back().second.predictions.class_names = columns_.class_names;
    return splits_.back().second;
  }

  double number_in(const CsvRow& row, std::size_t column, const std::string& name) const {
    const auto value = number_of(row.fields[column]);
    if (!value)
      refuse(
          row.line, "class '", name, "': '", row.fields[column],
          "' is not a number (columns other than id, label, prediction, group, split and logit:<class> are "
          "probabilities of classes)");
    return *value;
  }

  void add(const CsvRow& row) {
    Split& split = split_of(columns_.split == none ? input_.split : row.fields[columns_.split]);
    Predictions& into = split.predictions;
    const std::string& id = row.fields[columns_.id];
    if (id.empty()) refuse(row.line, "the id is empty");
    into.ids.push_back(id);
    for (std::size_t k = 0; k < columns_.classes.size(); ++k) {
      const double p = number_in(row, columns_.classes[k], columns_.class_names[k]);
      if (!(p >= -rounding && p <= 1 + rounding))
        refuse(row.line, "class '", columns_.class_names[k], "': ", p, " is not a probability; allowed: 0 to 1");
      into.probabilities.push_back(std::clamp(p, 0.0, 1.0));
      if (columns_.logits.empty()) continue;
      const double logit = number_in(row, columns_.logits[k], columns_.class_names[k]);
      if (!std::isfinite(logit))
        refuse(row.line, "logit of class '", columns_.class_names[k], "': ", logit, " is not finite");
      into.logits.push_back(logit);
    }
    if (columns_.group != none) into.groups.push_back(row.fields[columns_.group]);
    split.rows.push_back({row.line, place_of(row, columns_.label), place_of(row, columns_.prediction)});
  }

  // The first line that repeats an id of a line before it.
  void refuse_double_ids(const Split& split) const {
    const auto& ids = split.predictions.ids;
    std::vector<std::size_t> order(ids.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return ids[a] != ids[b] ? ids[a] < ids[b] : a < b; });
    std::size_t first = ids.size(), before = 0;
    for (std::size_t i = 1; i < order.size(); ++i)
      if (ids[order[i]] == ids[order[i - 1]] && order[i] < first) {
        first = order[i];
        before = order[i - 1];
      }
    if (first < ids.size())
      refuse(split.rows[first].line, "id '", ids[first], "' is in line ", split.rows[before].line,
             " already");
  }

  // The whole field where it names a class, whose name may hold blanks.
  std::uint32_t place_of(const CsvRow& row, std::size_t column) {
    return texts_.place(column == none ? std::string() : row.fields[column],
                        [&](const std::string& field) -> std::vector<std::string> {
                          const auto& names = columns_.class_names;
                          const bool named = field == input_.implicit_class ||
                                             std::find(names.begin(), names.end(), field) != names.end();
                          return named && !field.empty() ? std::vector<std::string>{field} : words_of(field);
                        });
  }

  // Sets of classes make a task multi-label; empty ones alone do not where probabilities sum to 1: labels are
  // missing then.
  ScoreKind kind_of_task() const {
    if (!input_.implicit_class.empty()) return ScoreKind::multi_label;
    if (input_.kind) return *input_.kind;
    bool empty = false, sums_to_one = true;
    for (const auto& [name, split] : splits_)
      for (std::size_t i = 0; i < split.rows.size(); ++i) {
        const auto& row = split.rows[i];
        const auto labels = texts_.words(row.label).size(), predictions = texts_.words(row.prediction).size();
        if (labels > 1 || predictions > 1) return ScoreKind::multi_label;
        empty = empty || (columns_.label != none && labels == 0) ||
                (columns_.prediction != none && predictions == 0);
        double sum = 0;
        for (const double p : split.predictions.row(i)) sum += p;
        sums_to_one = sums_to_one && std::abs(sum - 1) <= sum_tolerance;
      }
    return empty && !sums_to_one ? ScoreKind::multi_label : ScoreKind::single_label;
  }

  // Are "1" and "2" numbers of classes, or names of classes called so? Where these are not the same,
  // predictions tell it: they have the largest probability.
  void settle_meaning_of_numbers(ScoreKind kind) {
    bool numeric = true, same = true;
    for (std::size_t k = 0; k < columns_.class_names.size(); ++k) {
      const auto value = class_number(columns_.class_names[k]);
      numeric = numeric && value;
      same = same && value == k;
    }
    if (!numeric || same || (columns_.label == none && columns_.prediction == none)) return;
    std::size_t as_names = 0, as_numbers = 0;
    for (const auto& [name, split] : splits_) {
      if (kind == ScoreKind::multi_label) break;  // the largest probability decides nothing there
      Predictions decided = split.predictions;
      decide(decided);
      for (std::size_t i = 0; i < split.rows.size(); ++i)
        for (const auto& word : texts_.words(split.rows[i].prediction)) {
          const auto k = static_cast<std::size_t>(decided.predicted[i]);
          as_names += word == columns_.class_names[k];
          as_numbers += class_number(word) == k;
        }
    }
    if (as_names == as_numbers)
      fail(ErrorKind::data, where_,
           ": its classes are named by numbers other than 0, 1, …: are labels names or numbers? Write "
           "columns 'probability:<class>' with names that are not numbers, or add a column 'prediction', which shows it");
    names_first_ = as_names > as_numbers;
  }

  // K: none of the classes.
  std::size_t class_of(const std::string& word, std::int64_t line, const char* what) const {
    const auto& names = columns_.class_names;
    const auto named = static_cast<std::size_t>(std::find(names.begin(), names.end(), word) - names.begin());
    const auto numbered = class_number(word);
    if (named < names.size() && (names_first_ || !numbered)) return named;
    const bool implicit = !input_.implicit_class.empty();
    if (implicit && word == input_.implicit_class) return names.size();
    if (numbered && *numbered < names.size() + (implicit ? 1 : 0)) return *numbered;
    refuse(line, what, " '", word, "' is not one of the ", names.size(), " classes (0 to ", names.size() - 1,
           ", or the names of the columns)");
  }

  void finish(Split& split, ScoreKind kind) const {
    Predictions& into = split.predictions;
    into.kind = kind;
    for (const auto& row : split.rows) {
      if (columns_.label != none)
        take(texts_.words(row.label), row.line, "label", kind, into.labels, into.label_flags);
      if (columns_.prediction != none)
        take(texts_.words(row.prediction), row.line, "prediction", kind, into.predicted,
             into.predicted_flags);
    }
    if (columns_.prediction == none) decide(into);
    split.rows.clear();
  }

  void take(const std::vector<std::string>& words, std::int64_t line, const char* what, ScoreKind kind,
            std::vector<std::int64_t>& numbers, std::vector<std::uint8_t>& flags) const {
    const std::size_t classes = columns_.class_names.size();
    if (kind == ScoreKind::single_label) {
      if (words.size() != 1) refuse(line, "the ", what, " is missing, or there are several");
      numbers.push_back(static_cast<std::int64_t>(class_of(words.front(), line, what)));
      return;
    }
    const std::size_t first = flags.size();
    flags.resize(first + classes, 0);
    for (const auto& word : words) {
      const std::size_t k = class_of(word, line, what);
      if (k < classes) flags[first + k] = 1;
    }
  }

  std::string where_, text_;
  CsvReader reader_;
  PredictionsInput input_;
  Columns columns_;
  FieldTexts texts_;
  std::vector<std::pair<std::string, Split>> splits_;
  bool names_first_ = false;
};

}  // namespace

PredictionsBySplit read_predictions(const std::filesystem::path& path, const PredictionsInput& input) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    fail(ErrorKind::data, path.string(), ": there is no such file");
  return Reader(path, input).read();
}

}  // namespace isnet

#include "base/json.h"

#include <set>
#include <vector>

#include "base/printable.h"

namespace isnet {
namespace {

using nlohmann::json;

// Follows a text without making its values: its numbers and texts are gone with the next event. What is
// wrong is kept, and ends the parser.
class Inspector : public nlohmann::json_sax<json> {
 public:
  explicit Inspector(const JsonLimits& limits) : limits_(limits) {}

  const std::string& refusal() const { return refusal_; }

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second)
      return refuse("field " + quoted_name(name) + " appears twice: delete one of them");
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    return refuse(cat("is not valid JSON, by byte ", position));
  }

 private:
  bool count() {
    if (++values_ > limits_.values) return refuse(cat("holds more than ", limits_.values, " values"));
    return true;
  }
  bool open() {
    if (names_.size() == limits_.depth) return refuse(cat("is nested more than ", limits_.depth, " deep"));
    names_.emplace_back();
    return count();
  }
  bool close() {
    names_.pop_back();
    return true;
  }
  bool refuse(std::string what) {
    refusal_ = std::move(what);
    return false;
  }

  JsonLimits limits_;
  std::vector<std::set<std::string>> names_;  // of the objects and lists that are open
  std::size_t values_ = 0;
  std::string refusal_;
};

}  // namespace

template <typename Json>
Json parse_json(std::string_view text, const JsonSource& source, const JsonLimits& limits) {
  const auto refuse = [&](const auto&... what) {
    fail(source.kind, source.where, ": ", what..., source.remedy);
  };
  if (text.size() > limits.bytes) refuse("has ", text.size(), " bytes; allowed: up to ", limits.bytes);
  Inspector inspector(limits);
  if (!json::sax_parse(text.begin(), text.end(), &inspector)) refuse(inspector.refusal());
  Json value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) refuse("is not valid JSON");
  return value;
}

template nlohmann::json parse_json(std::string_view, const JsonSource&, const JsonLimits&);
template nlohmann::ordered_json parse_json(std::string_view, const JsonSource&, const JsonLimits&);

}  // namespace isnet

#include "trainer/checkpoint_state.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/names.h"
#include "base/printable.h"

namespace isnet {
namespace {

using Json = nlohmann::json;
using Fields = JsonFields<Json>;

// Far beyond any run, and small enough for products of two of them.
constexpr std::int64_t most = 1'000'000'000;
constexpr std::size_t most_metrics = 1000;

void check_optional_number(const Fields& fields, const std::string& name) {
  if (fields.has(name) && !fields.at(name).is_null()) fields.number(name);
}

void check_counts(const Fields& fields, std::initializer_list<const char*> names) {
  for (const char* name : names) fields.integer(name, 0, most);
}

void check_loop(const Fields& loop) {
  check_counts(loop, {"epoch", "batch", "global_step"});
  if (loop.has("validated")) loop.integer("validated", 0, loop.integer("batch", 0));
  if (loop.has("metric_names")) {
    const auto names = loop.texts("metric_names");
    if (names.size() > most_metrics) loop.refuse("metric_names", " has ", names.size(), " names");
    for (const auto& name : names)
      if (!name_refusal(NameKind::label, name).empty() || name.find_first_of(",\"") != std::string::npos)
        loop.refuse("metric_names", " holds ", quoted_name(name), ", which is not the name of a metric");
  }
  if (loop.has("bad_steps")) {
    const Fields bad = loop.object("bad_steps");
    for (const char* name : {"in_a_row", "total"})
      if (bad.has(name)) bad.integer(name, 0, most);
  }
  if (loop.has("gradient_scaler")) {
    const Fields scaler = loop.object("gradient_scaler");
    if (scaler.has("scale")) scaler.number("scale", std::numeric_limits<float>::denorm_min(), 1e38);
    if (scaler.has("growth_tracker")) scaler.integer("growth_tracker", 0, most);
  }
  if (loop.has("nonfinite_relevance")) {
    const Json& counts = loop.array("nonfinite_relevance");
    const auto is_count = [](const Json& one) { return one.is_number() && one.get<double>() >= 0; };
    if (counts.size() != 2 || !std::all_of(counts.begin(), counts.end(), is_count))
      loop.refuse("nonfinite_relevance", " is not a list of two numbers ≥ 0");
  }
}

void check_bucket_plan(const Fields& state) {
  for (const auto& bucket : state.array("bucket_plan")) {
    const auto is_index = [](const Json& one) { return one.is_number_unsigned(); };
    if (!bucket.is_array() || !std::all_of(bucket.begin(), bucket.end(), is_index))
      state.refuse("bucket_plan", " is not a list of lists of integers ≥ 0");
  }
}

void check_best(const Fields& callbacks) {
  for (const auto& one : callbacks.array("model_checkpoint")) {
    if (!one.is_object() || !one.contains("file") || !one["file"].is_string() || !one.contains("value") ||
        !one["value"].is_number())
      callbacks.refuse("model_checkpoint", " is not a list of {\"file\", \"value\"}");
    // These files are opened and removed: a name leads to no other place, and means no other file.
    if (const auto file = one["file"].get<std::string>(); !is_checkpoint_name(file))
      callbacks.refuse("model_checkpoint", " names the file ", quoted_name(file),
                       ", which is not the name of a checkpoint in this folder");
  }
}

void check_callbacks(const Fields& callbacks) {
  if (callbacks.has("model_checkpoint")) check_best(callbacks);
  if (callbacks.has("early_stopping")) {
    const Fields stopping = callbacks.object("early_stopping");
    check_counts(stopping, {"waited"});
    check_optional_number(stopping, "best");
  }
  if (callbacks.has("plateau")) {
    const Fields plateau = callbacks.object("plateau");
    check_counts(plateau, {"bad_epochs", "cooldown_left", "reductions"});
    check_optional_number(plateau, "best");
  }
  if (callbacks.has("weight_averaging")) check_counts(callbacks.object("weight_averaging"), {"count"});
  if (callbacks.has("csv_logger")) {
    const Fields table = callbacks.object("csv_logger");
    table.texts("columns");
    table.text("rows");
    check_counts(table, {"rows_before"});
  }
}

void check_labels(const Fields& fields, const char* name) {
  for (const auto& text : fields.texts(name))
    if (const auto refusal = name_refusal(NameKind::label, text); !refusal.empty())
      fields.refuse(name, " holds ", quoted_name(text), ": ", refusal);
}

// Texts by name, which become lines of an option file.
void check_found_options(const Fields& found, const Json& json) {
  for (const auto& item : json.items())
    for (const auto& text : {item.key(), found.text(item.key())})
      if (const auto refusal = name_refusal(NameKind::label, text); !refusal.empty())
        found.refuse(item.key(), " is ", quoted_name(text), ": ", refusal);
}

bool all_digits(const std::string& text) {
  return !text.empty() && text.size() < 19 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Takes "KEY=DIGITS-" off the beginning.
bool take_number(std::string& text, const std::string& key) {
  const auto end = text.find('-');
  if (text.rfind(key + "=", 0) != 0 || end == std::string::npos) return false;
  if (!all_digits(text.substr(key.size() + 1, end - key.size() - 1))) return false;
  text.erase(0, end + 1);
  return true;
}

}  // namespace

bool is_checkpoint_name(const std::string& name) {
  if (!name_refusal(NameKind::bare, name).empty() || !name.ends_with(".ckpt")) return false;
  if (name == "last.ckpt") return true;
  std::string rest = name.substr(0, name.size() - 5);
  if (!take_number(rest, "epoch")) return false;
  take_number(rest, "step");
  const auto equals = rest.rfind('=');
  return equals != std::string::npos && equals > 0 && equals + 1 < rest.size();
}

void check_checkpoint_state(const Json& state, const std::string& source) {
  const Fields fields({source, ErrorKind::checkpoint, ""}, state, "state");
  if (fields.has("loop")) check_loop(fields.object("loop"));
  if (fields.has("bucket_plan")) check_bucket_plan(fields);
  for (const char* name : {"world_size", "train_samples"})
    if (fields.has(name)) fields.integer(name, 1, most);
  if (fields.has("batches"))
    for (const char* name : {"ranks", "size"}) fields.object("batches").integer(name, 1, most);
  if (fields.has("backend")) fields.text("backend");
  if (fields.has("validation_metrics")) {
    const Fields metrics = fields.object("validation_metrics");
    for (const auto& item : state.at("validation_metrics").items())
      check_optional_number(metrics, item.key());
  }
  if (fields.has("callbacks")) check_callbacks(fields.object("callbacks"));
  if (fields.has("found_options"))
    check_found_options(fields.object("found_options"), state.at("found_options"));
  if (fields.has("class_names")) check_labels(fields, "class_names");
}

std::string options_text(const Json& state, const std::string& source) {
  const Fields fields({source, ErrorKind::checkpoint, ""}, state, "state");
  return fields.has("options") ? fields.text("options") : "";
}

void check_position(const Json& state, const EpochLength& length, const std::string& source) {
  const Fields loop = Fields({source, ErrorKind::checkpoint, ""}, state, "state").object("loop");
  const auto epoch = loop.integer("epoch", 0, most), step = loop.integer("global_step", 0, most);
  const auto batch = loop.integer("batch", 0, length.batches);
  const auto window = length.accumulate.at(epoch);
  std::int64_t whole = 0;
  if (__builtin_mul_overflow(epoch, length.batches, &whole))
    loop.refuse("epoch", " is ", epoch, ", more than can be counted");
  const auto steps = length.accumulate.steps_before(epoch, length.batches) + (batch + window - 1) / window;
  const auto bad = loop.has("bad_steps") ? loop.object("bad_steps") : loop;
  std::int64_t left_out = bad.has("total") ? bad.integer("total", 0, most) : 0;
  if (length.scaled_loss) left_out += 100 + steps / 100;
  if (step > steps || step < steps - left_out)
    loop.refuse("global_step", " is ", step, ", but ", epoch, " epochs of ", length.batches, " batches and ",
                batch, " batches have ", steps,
                " steps: the checkpoint is damaged, or its run had other batches");
}

}  // namespace isnet

// isnet bench data: how many samples a second come from shards, against Python's usual way and against
// nothing but reading the bytes.
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/benchmark.h"
#include "bench/data_loader.h"
#include "bench/reading.h"
#include "bench/rounds.h"
#include "bench/scratch.h"
#include "bench/statistics.h"
#include "bench/variant.h"
#include "evaluation/table.h"

namespace isnet::bench {
namespace {

std::vector<OptionGroup> data_options() {
  return {{"Data",
           {integer_option("samples", "2048", "data: images of the data set that is made", 1, 1 << 24),
            integer_option("data-batch-size", "32", "data: samples of a batch", 1),
            integers_option("python-workers", "0,1,2,4", "data: worker counts of Python's DataLoader", 0),
            text_option("scratch", "", "DIR",
                        "data: folder for the data set, removed afterwards (default: the system's temporary "
                        "folder)")},
           {}}};
}

class DataBenchmark {
 public:
  explicit DataBenchmark(const OptionValues& options)
      : options_(options),
        samples_(options.integer("samples")),
        side_(options.integer("image-size")),
        reading_{options.integer("data-batch-size"), static_cast<int>(options.integer("threads")),
                 static_cast<std::uint64_t>(options.integer("seed"))},
        scratch_(options.text("scratch")),
        python_(options.has("python")
                    ? options.text("python")
                    : python_of_torch(reinterpret_cast<const void*>(&at::get_num_threads))) {
    rounds_.rounds = options.integer("steps");
    rounds_.warmup = options.integer("warmup");
    if (python_ == "none") unavailable_ = "--python none";
  }

  Report run() {
    log::info(cat("writing ", samples_, " samples"));
    shards_ = write_samples(scratch_.path() / "plain", samples_, side_);
    split_ = open_split(shards_);
    floats();
    bare();
    bytes();
    deflated();
    describe();
    return std::move(report_);
  }

 private:
  using Pass = std::function<double()>;

  void floats() {
    log::info("measuring float batches");
    Group group = started("float batches, an epoch each");
    for (const std::int64_t workers : options_.integers("python-workers")) add_python(group, workers);
    add(group, "ours", "Loader", std::make_shared<LoaderPass>(split_, reading_, false));
    measure(group, rounds_);
    if (const std::string best = fastest_python(group); !best.empty()) {
      group.add_ratio("Python's best / ours (ours is so many times as fast)", best, "ours", 1);
      best_workers_ = std::stoll(best.substr(std::string("python-").size()));
    }
    report_.groups.push_back(std::move(group));
  }

  void bare() {
    log::info("measuring bare reads");
    Group group = started("float batches against bare reads, an epoch each");
    add(group, "ours", "Loader", std::make_shared<LoaderPass>(split_, reading_, false));
    add(group, "bare", "bare pread and conversion", std::make_shared<BarePass>(shards_, reading_, true));
    measure(group, short_rounds());
    group.add_ratio("bare / ours (share of what is possible)", "bare", "ours", 1);
    report_.groups.push_back(std::move(group));
  }

  void bytes() {
    Group group = started("uint8 batches against bare reads, an epoch each");
    add(group, "ours-uint8", "Loader, as stored", std::make_shared<LoaderPass>(split_, reading_, true));
    add(group, "raw", "bare pread", std::make_shared<BarePass>(shards_, reading_, false));
    measure(group, short_rounds());
    group.add_ratio("bare / ours (share of what is possible)", "raw", "ours-uint8", 1);
    report_.groups.push_back(std::move(group));
  }

  // Python writes them: our own shards are not compressed.
  void deflated() {
    if (children_.empty()) return;
    log::info("measuring compressed shards");
    const auto folder = scratch_.path() / "deflate";
    std::filesystem::create_directories(folder);
    children_.front()->ask(cat("deflate ", folder.string()));
    std::vector<std::filesystem::path> shards;
    for (const auto& shard : shards_) shards.push_back(folder / shard.filename());
    children_.clear();
    Group group = started("float batches from deflate shards, level 4, a chunk a sample, an epoch each");
    add_python(group, best_workers_, "-deflate", shards);
    add(group, "ours-deflate", "Loader", std::make_shared<LoaderPass>(open_split(shards), reading_, false));
    measure(group, rounds_);
    group.add_ratio("Python's / ours", cat("python-", best_workers_, "-deflate"), "ours-deflate", 1);
    report_.groups.push_back(std::move(group));
  }

  Group started(std::string title) {
    passes_.clear();
    Group group;
    group.title = std::move(title);
    return group;
  }

  void add_row(Group& group, std::string name, std::string title, Pass pass) {
    Row row;
    row.name = std::move(name);
    row.title = std::move(title);
    group.rows.push_back(std::move(row));
    passes_.push_back(std::move(pass));
  }

  template <typename Ours>
  void add(Group& group, std::string name, std::string title, std::shared_ptr<Ours> pass) {
    add_row(group, std::move(name), std::move(title), [pass, &group, at = group.rows.size()] {
      const double seconds = (*pass)();
      group.rows[at].peak_bytes = static_cast<double>(peak_bytes());
      return seconds;
    });
  }

  void add_python(Group& group, std::int64_t workers, const std::string& suffix = "",
                  std::vector<std::filesystem::path> shards = {}) {
    if (!unavailable_.empty()) return;
    Json request{{"workers", workers}, {"batch-size", reading_.batch_size}, {"shards", Json::array()}};
    for (const auto& shard : shards.empty() ? shards_ : shards) request["shards"].push_back(shard.string());
    const std::string title = cat("Python's DataLoader, ", workers, " workers");
    std::shared_ptr<Child> child;
    Json greeting;
    try {
      child = std::make_shared<Child>(
          title, std::vector<std::string>{python_, "-W", "ignore", "-c", data_loader_script, request.dump()},
          // Threads that wait do not spin: they would take the cores from the workers.
          std::vector<std::string>{cat("OMP_NUM_THREADS=", reading_.threads), "GOMP_SPINCOUNT=1000"});
      greeting = child->answer();
      unavailable_ = greeting.value("unavailable", "");
    } catch (const Error& error) {
      unavailable_ = error.what();
    }
    if (!unavailable_.empty()) return log::warning(cat("Python is left out: ", python_, ": ", unavailable_));
    versions_ = greeting;
    children_.push_back(child);
    add_row(group, cat("python-", workers, suffix), title, [this, child, &group, at = group.rows.size()] {
      const Json answer = child->ask("step");
      if (answer.at("samples") != samples_)
        fail(ErrorKind::internal, "bench/data_loader.py reads an epoch of another length");
      group.rows[at].peak_bytes = answer.at("peak_bytes");
      return answer.at("seconds").get<double>();
    });
  }

  // Of passes that take a fraction of a second: more of them.
  RoundOptions short_rounds() const { return {rounds_.warmup, 5 * rounds_.rounds, 0}; }

  void measure(Group& group, const RoundOptions& rounds) {
    const auto seconds = run_rounds(passes_, rounds);
    for (std::size_t i = 0; i < group.rows.size(); ++i) group.rows[i].seconds = seconds[i];
    passes_.clear();
    for (const auto& row : group.rows)
      rates_.emplace_back(cat(group.title.substr(0, group.title.find(',')), ": ", row.title),
                          static_cast<double>(samples_) / summary_of(row.seconds).median);
  }

  static std::string fastest_python(const Group& group) {
    const Row* best = nullptr;
    for (const auto& row : group.rows)
      if (row.name.rfind("python-", 0) == 0 &&
          (!best || summary_of(row.seconds).median < summary_of(best->seconds).median))
        best = &row;
    return best ? best->name : "";
  }

  void describe() {
    report_.benchmark = "data";
    report_.header = {
        cat(samples_, " samples of 3×", side_, "×", side_, " with masks, uint8, in ", shards_.size(),
            " shards, random order, batches of ", reading_.batch_size, ", page cache warm; ",
            reading_.threads, " reading threads on ", available_cores(), " cores"),
        unavailable_.empty() ? cat("Python ", versions_.at("python").get<std::string>(), " with torch ",
                                   versions_.at("torch").get<std::string>(), " and h5py ",
                                   versions_.at("h5py").get<std::string>())
                             : cat("no Python rows and ratios: ", python_, ": ", unavailable_),
        cat(rounds_.rounds, " rounds after ", rounds_.warmup,
            " of warm-up, 5 times as many without Python; in a round each variant of a table reads one epoch,"
            " from top to bottom"),
    };
    report_.facts = {{"torch", TORCH_VERSION},   {"cores", available_cores()},
                     {"samples", samples_},      {"rounds", rounds_.rounds},
                     {"warmup", rounds_.warmup}, {"samples_per_second", Json::object()}};
    for (const auto& [title, rate] : rates_) {
      report_.header.push_back(cat(title, ": ", fixed(rate, 0), " samples/s"));
      report_.facts["samples_per_second"][title] = rate;
    }
    for (const char* name : {"image-size", "data-batch-size", "threads", "seed", "python-workers"})
      report_.facts["options"][name] = options_.text(name);
  }

  const OptionValues& options_;
  std::int64_t samples_, side_, best_workers_ = 0;
  Reading reading_;
  RoundOptions rounds_;
  Scratch scratch_;
  std::string python_, unavailable_;
  Json versions_;
  std::vector<std::filesystem::path> shards_;
  std::shared_ptr<const SplitReader> split_;
  std::vector<std::shared_ptr<Child>> children_;
  std::vector<Pass> passes_;
  std::vector<std::pair<std::string, double>> rates_;
  Report report_;
};

int run_data(cli::Invocation& invocation) {
  return measure_alone(invocation, "data", [&] { return DataBenchmark(invocation.options).run(); });
}

const Registration<Benchmark> registration(
    benchmarks(),
    {"data",
     "samples a second from shards, against h5py in PyTorch's DataLoader and against bare reads",
     {},
     {data_options, run_data}});

}  // namespace
}  // namespace isnet::bench

// isnet bench systems: a training step of each system, beside that of the plain classifier.
#include <torch/version.h>

#include <algorithm>
#include <sstream>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/benchmark.h"
#include "bench/rounds.h"
#include "bench/subjects.h"
#include "bench/variant.h"

namespace isnet::bench {
namespace {

using Words = std::vector<std::string>;

struct System {
  std::string name, title;
  std::string size;      // of the network as published, behind the title
  Words network, small;  // options of the network as published, and with few channels
  Words objective;
  std::string plain;  // the plain classifier of the same backbone; empty: it is one, or there is none
  std::string group;  // measured in the same rounds: what fits into memory together; empty: in all
};

constexpr const char* reference = "densenet";  // that all are compared with

const Words small_densenet{"growth-rate=8", "blocks=4,4,4", "init-features=16"};
const Words padded{"padding=1", "batch-norm=1"};
const Words small_unet{"depth=3", "wf=4"};
const Words small_resnet{"stem=small", "blocks=1,1,1,1", "widths=16,24,32,48"};

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::string text_of(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Defaults of networks and objectives, but for what stands here.
std::vector<System> all_systems() {
  const Words densenet{"network=densenet121"}, little_densenet = joined({"network=densenet"}, small_densenet);
  const auto unet = [](const Words& more) { return joined({"network=unet"}, joined(padded, more)); };
  const auto multitask = [](const Words& more) {
    return joined({"network=multitask-unet"}, joined(padded, more));
  };
  const Words little_head = joined(small_unet, {"pool=5,5", "hidden=128,128"});
  const auto pipeline = [](const Words& unet_words, const Words& classifier) {
    return joined({"network=pipeline", "unet-options=" + text_of(unet_words)}, classifier);
  };
  const Words sononet{"network=ag-sononet"}, little_sononet = joined(sononet, {"feature-scale=8"});
  const char *const of_densenet = "DenseNets", *const of_unets = "U-Nets", *const of_sononet = "AG-Sononets",
                    *const of_others = "ResNets and ViTs";
  return {
      {"densenet", "plain DenseNet", "121", densenet, little_densenet, {"objective=classifier"}, {}, {}},
      {"isnet", "ISNet", "", densenet, little_densenet, {"objective=isnet"}, reference, of_densenet},
      {"rrr", "RRR", "", densenet, little_densenet, {"objective=rrr"}, reference, of_densenet},
      {"gradient-x-input",
       "gradient × input ISNet",
       "",
       densenet,
       little_densenet,
       {"objective=gradient-x-input"},
       reference,
       of_densenet},
      {"gain", "GAIN", "", densenet, little_densenet, {"objective=gain"}, reference, of_densenet},
      {"pipeline",
       "U-Net, then DenseNet",
       "121",
       pipeline(padded, {"classifier=densenet121"}),
       pipeline(joined(padded, small_unet), joined({"classifier=densenet"}, small_densenet)),
       {"objective=classifier"},
       reference,
       of_densenet},
      {"unet", "U-Net", "", unet({}), unet(small_unet), {"objective=segmentation"}, {}, of_unets},
      {"multitask",
       "multi-task U-Net",
       "",
       multitask({}),
       multitask(little_head),
       {"objective=multitask"},
       {},
       of_unets},
      {"ag-sononet",
       "plain AG-Sononet",
       "",
       sononet,
       little_sononet,
       {"objective=classifier"},
       {},
       of_sononet},
      {"ag-sononet-isnet",
       "AG-Sononet as ISNet",
       "",
       sononet,
       little_sononet,
       {"objective=isnet"},
       "ag-sononet",
       of_sononet},
      {"resnet50",
       "plain ResNet",
       "50",
       {"network=resnet50"},
       joined({"network=resnet"}, small_resnet),
       {"objective=classifier"},
       {},
       of_others},
      {"ham",
       "HAM",
       "",
       {"network=ham", "normal-class=0"},
       joined({"network=ham", "normal-class=0", "ham-backbone=resnet"}, small_resnet),
       {"objective=ham"},
       "resnet50",
       of_others},
      {"vit",
       "ViT",
       "-B/16",
       {"network=vit-b-16"},
       {"network=vit", "patch-size=8", "hidden-dim=96", "encoder-layers=6", "heads=3", "mlp-dim=192"},
       {"objective=classifier"},
       {},
       of_others},
  };
}

OptionSpec systems_option() {
  std::string known;
  for (const auto& system : all_systems())
    if (!system.group.empty()) known += (known.empty() ? "" : ",") + system.name;
  OptionSpec spec = text_option("systems", known, "NAME,NAME", "systems: what to measure");
  spec.refusal = [known](const std::string& text) -> std::string {
    std::istringstream parts(text + ",");
    std::string part;
    while (std::getline(parts, part, ','))
      if (("," + known + ",").find("," + part + ",") == std::string::npos || part.empty())
        return "some of " + known;
    return "";
  };
  return spec;
}

std::vector<OptionGroup> systems_options() {
  return {{"Systems",
           {systems_option(),
            choice_option("network-size", "published",
                          "systems: networks as published, or of the same kind with few channels, for small "
                          "images",
                          {"published", "small"})},
           {}}};
}

class SystemsBenchmark {
 public:
  explicit SystemsBenchmark(const OptionValues& options)
      : options_(options),
        small_(options.text("network-size") == "small"),
        systems_(all_systems()),
        processes_("systems", options) {
    for (const auto& system : systems_)
      for (const auto& word : words_of(system))
        if (const std::string name = word.substr(0, word.find('=')); options.given(name))
          fail(ErrorKind::usage, "--", name,
               ": the benchmark sets it for each system; use --systems and --network-size");
  }

  Report run() {
    std::vector<std::string> groups;
    for (const auto& system : systems_)
      if (!system.group.empty() && std::find(groups.begin(), groups.end(), system.group) == groups.end())
        groups.push_back(system.group);
    for (const auto& group : groups) measure_group(group);
    describe();
    return std::move(report_);
  }

 private:
  bool wanted(const System& system) const {
    const auto names = options_.list("systems");
    return std::find(names.begin(), names.end(), system.name) != names.end();
  }

  Words words_of(const System& system) const {
    return joined(small_ ? system.small : system.network, system.objective);
  }

  const System& named(const std::string& name) const {
    return *std::find_if(systems_.begin(), systems_.end(),
                         [&](const System& system) { return system.name == name; });
  }

  // Those of the group that are wanted, and what they are compared with, in the table's order.
  std::vector<const System*> chosen(const std::string& group) const {
    std::vector<const System*> all;
    for (const auto& system : systems_) {
      const bool compared = std::any_of(systems_.begin(), systems_.end(), [&](const System& other) {
        return other.group == group && wanted(other) &&
               (system.name == reference || system.name == other.plain);
      });
      if (compared || (system.group == group && wanted(system))) all.push_back(&system);
    }
    return all;
  }

  void measure_group(const std::string& title) {
    const auto systems = chosen(title);
    if (systems.empty()) return;
    log::info(cat("measuring ", title));
    std::vector<Subject> subjects;
    for (const System* system : systems) start(subjects, *system);
    Group group = measure(title, subjects, processes_.rounds());
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      const Json work = subjects[i].child->ask("work");
      group.rows[i].work = Work{work.at("parameters"), work.at("forward"), work.at("step")};
    }
    for (const System* system : systems) add_ratios(group, *system);
    report_.groups.push_back(std::move(group));
  }

  void start(std::vector<Subject>& subjects, const System& system) {
    Words words{"--variant=system"};
    for (const auto& word : words_of(system)) words.push_back("--" + word);
    processes_.start_ours(subjects, system.name, title_of(system), words);
  }

  std::string title_of(const System& system) const {
    return cat(system.title, small_ ? ", small" : system.size);
  }

  // To the plain DenseNet121, and to the plain classifier of its own backbone where that is another.
  void add_ratios(Group& group, const System& system) const {
    std::vector<std::string> plain{reference};
    if (!system.plain.empty() && system.plain != reference) plain.push_back(system.plain);
    for (const auto& denominator : plain)
      if (denominator != system.name)
        group.add_ratio(cat(title_of(system), " / ", title_of(named(denominator))), system.name, denominator,
                        1);
  }

  void describe() {
    const std::string side = options_.text("image-size");
    processes_.describe(
        report_,
        {cat(options_.text("batch-size"), " images of ", side, "×", side, ", ",
             options_.has("num-classes") ? options_.text("num-classes") : "3", " classes, networks ",
             small_ ? "with few channels" : "as published", ", precision ", options_.text("precision"), ", ",
             options_.text("threads"), " of ", available_cores(), " cores; torch ", TORCH_VERSION),
         "parameters; multiply-adds of a forward pass in prediction and of a training step, for one image"});
  }

  const OptionValues& options_;
  bool small_;
  std::vector<System> systems_;
  Subjects processes_;
  Report report_;
};

int run_systems(cli::Invocation& invocation) {
  OptionValues& options = invocation.options;
  if (options.has("variant")) return serve_variant(options);
  if (!options.given("python")) options.set("python", "none");  // has no part in this
  return measure_alone(invocation, "systems", [&] { return SystemsBenchmark(options).run(); });
}

const Registration<Benchmark> registration(
    benchmarks(), {"systems",
                   "a training step of each system beside the plain classifier's: time, memory, work",
                   {},
                   {systems_options, run_systems}});

}  // namespace
}  // namespace isnet::bench

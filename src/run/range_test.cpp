#include "run/range_test.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "evaluation/plot.h"
#include "trainer/learning_rate_finder.h"

namespace isnet {

std::vector<OptionSpec> range_test_options() {
  return {
      of_this_machine(integer_option(
          "find-lr", "0",
          "Instead of training, try rising learning rates in this many steps and suggest one (100 is "
          "a good number)",
          0)),
      of_this_machine(real_option("find-lr-min", "1e-8", "First learning rate of --find-lr", 0, 1e6, true)),
      of_this_machine(real_option("find-lr-max", "1", "Last learning rate of --find-lr", 0, 1e6, true))};
}

void find_learning_rate(const TrainingJob& job, TrainerOptions trainer, const Communicator& communicator,
                        const OptionValues& options, const std::filesystem::path& folder) {
  RangeTestOptions test;
  test.steps = options.integer("find-lr");
  test.min_rate = options.real("find-lr-min");
  test.max_rate = options.real("find-lr-max");
  if (!(test.min_rate < test.max_rate))
    fail(ErrorKind::usage, "--find-lr-min ", test.min_rate, " is not below --find-lr-max ", test.max_rate);
  TrainingJob rising = job;
  rising.learning_rate = std::make_shared<LearningRate>(range_test_rate(test));
  rising.validation = nullptr;
  trainer.max_epochs = -1;
  trainer.max_steps = test.steps;
  trainer.recompute_bn_statistics = 0;
  trainer.skip_bad_steps = 1;  // a loss that is not finite ends the test, not the program
  const auto finder = std::make_shared<LearningRateFinder>(test);
  Trainer(trainer, communicator, {finder}).fit(rising);
  if (!communicator.is_main()) return;

  create_folders(folder);
  std::string table = "learning_rate,loss\n";
  for (std::size_t i = 0; i < finder->rates().size(); ++i)
    table +=
        nlohmann::json(finder->rates()[i]).dump() + "," + nlohmann::json(finder->losses()[i]).dump() + "\n";
  write_file_atomically(folder / "lr_find.csv", table);
  const auto steepest = finder->steepest();
  if (finder->rates().size() > 1)
    write_png(folder / "lr_find.png",
              curve_picture({"loss against learning rate; the square is the suggestion", "learning rate",
                             "loss", finder->rates(), finder->losses(), steepest}));
  log::info(cat("losses of ", finder->rates().size(), " steps written to ", (folder / "lr_find.csv").string(),
                " and lr_find.png"));
  if (steepest)
    std::cout << "suggested --lr " << nlohmann::json(finder->rates()[*steepest]).dump() << "\n";
  else
    log::warning("too few steps for a suggestion: --find-lr needs at least 13 that do not diverge");
}

}  // namespace isnet

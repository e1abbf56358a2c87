// Writes options.ini anew with what training has found (--tune-cut): the options in force.
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

class FoundOptions : public Callback {
 public:
  explicit FoundOptions(const CallbackContext& context)
      : options_(context.options), folder_(context.folder) {}

  void on_fit_start(Trainer& trainer) override { write(trainer); }
  void on_train_epoch_end(Trainer& trainer, const Metrics&) override { write(trainer); }

 private:
  void write(const Trainer& trainer) {
    const auto found = trainer.job().objective->found_options();
    if (found.empty() || found == written_ || !trainer.communicator().is_main()) return;
    for (const auto& [name, value] : found) options_.set(name, value);
    try {
      write_file_atomically(folder_.options(), options_.ini());
      written_ = found;
    } catch (const Error& e) {
      log::warning(cat(e.what(), "; tried again after the next epoch"));
    }
  }

  OptionValues options_;
  RunFolder folder_;
  NamedTexts written_;
};

const Registration<CallbackFactory> registration(callbacks(),
                                                 {"found-options",
                                                  "Keeps options.ini true when training finds options",
                                                  {},
                                                  [](const CallbackContext& context) {
                                                    return std::make_shared<FoundOptions>(context);
                                                  }});

}  // namespace
}  // namespace isnet

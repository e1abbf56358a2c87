// The plain classifier.
#include "base/profile.h"
#include "model/losses/classification_loss.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

class Classifier : public Objective {
 public:
  explicit Classifier(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))), classification_loss_(options) {}

  Losses compute(Network& network, const Batch& batch) override {
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, /*recording=*/false));
    const Value logits = network.forward(tape, batch.images);
    scope.next(profile::Phase::loss);
    const at::Tensor loss = classification_loss_(tape, logits, batch);
    Losses losses;
    losses.total = loss;
    losses.parts = {{"loss_classification", loss}};
    losses.parts.insert(losses.parts.end(), tape.remarks().begin(), tape.remarks().end());
    losses.logits = tape.prediction(logits);
    return losses;
  }

  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }

 private:
  std::uint64_t seed_;
  ClassificationLoss classification_loss_;
};

const Registration<ObjectiveFactory> classifier(
    objectives(), {.name = "classifier",
                   .description = "Cross-entropy alone: the plain classifier",
                   .options = classification_loss_options(),
                   .make = [](const OptionValues& options) { return std::make_unique<Classifier>(options); },
                   .capabilities = {.trains_heatmaps = false}});

}  // namespace
}  // namespace isnet

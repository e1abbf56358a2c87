// The plain classifier.
#include "model/objectives/objective.h"

namespace isnet {
namespace {

class Classifier : public Objective {
 public:
  explicit Classifier(std::uint64_t seed) : seed_(seed) {}

  Losses compute(Network& network, const Batch& batch) override {
    Tape tape(context_for(network, batch, seed_, /*recording=*/false));
    const at::Tensor logits = tape.output(network.forward(tape, batch.images));
    const at::Tensor loss = classification_loss(logits, batch.labels);
    return {loss, {{"loss_classification", loss}}, logits};
  }

 private:
  std::uint64_t seed_;
};

const Registration<ObjectiveFactory> classifier(
    objectives(),
    {"classifier", "cross-entropy alone: the plain classifier", {}, [](const OptionValues& options) {
       return std::make_unique<Classifier>(static_cast<std::uint64_t>(options.integer("seed")));
     }});

}  // namespace
}  // namespace isnet

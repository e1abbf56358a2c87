#include "trainer/callbacks/late_parameters.h"

#include "trainer/trainer.h"

namespace isnet {

void LateParameters::on_fit_start(Trainer& trainer) {
  const Network& network = *trainer.job().network;
  NamedParameters all;
  for (const auto& entry : network.named_parameters()) all.emplace_back(entry.key(), entry.value());
  parameters_ = freeze(all, options_, network.head_name());
}

void LateParameters::on_after_backward(Trainer& trainer) {
  if (trainer.position().epoch >= options_.integer("freeze-until-epoch")) return;
  for (auto& parameter : parameters_) parameter.second.mutable_grad() = at::Tensor();
}

namespace {

const Registration<CallbackFactory> registration(
    callbacks(), {"late-parameters",
                  "Starts training of what --freeze names in --freeze-until-epoch",
                  {},
                  [](const CallbackContext& context) -> std::shared_ptr<Callback> {
                    if (context.options.integer("freeze-until-epoch") == 0) return nullptr;
                    return std::make_shared<LateParameters>(context.options);
                  }});

}  // namespace
}  // namespace isnet

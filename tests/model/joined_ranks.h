// A step of several ranks in one process: what each gathers is learnt first, then each is given all of it.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/objectives/objective.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet::testing {

/// Gathers what was told, or learns what would be gathered (one call in a step).
class JoinedRanks : public AcrossRanks {
 public:
  at::Tensor gather(const at::Tensor& own) const override {
    if (!all.defined()) {
      learnt = own.detach().clone();
      return own.detach().unsqueeze(0);
    }
    return all;
  }
  at::Tensor sum(const at::Tensor& own) const override { return own; }
  mutable at::Tensor learnt;
  at::Tensor all;
};

/// The samples from `first`, `count` of them.
inline Batch part_of(const Batch& batch, std::int64_t first, std::int64_t count) {
  Batch part = batch;
  for (at::Tensor* tensor : {&part.images, &part.masks, &part.labels, &part.ids})
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  return part;
}

/// The loss of ranks that have `sizes` samples of the batch each, weighted by these, as the trainer does; the
/// network has their gradients afterwards.
inline double joined_loss(Objective& objective, Network& network, const Batch& batch,
                          const std::vector<std::int64_t>& sizes) {
  std::vector<at::Tensor> own;
  std::int64_t first = 0;
  for (const auto size : sizes) {
    const auto ranks = std::make_shared<JoinedRanks>();
    Batch part = part_of(batch, first, size);
    part.ranks = ranks;
    objective.compute(network, part);
    own.push_back(ranks->learnt);
    first += size;
  }
  const auto ranks = std::make_shared<JoinedRanks>();
  ranks->all = at::stack(own);
  double sum = 0;
  first = 0;
  network.zero_grad();
  for (const auto size : sizes) {
    Batch part = part_of(batch, first, size);
    part.ranks = ranks;
    first += size;
    const at::Tensor loss = objective.compute(network, part).total;
    if (!loss.defined()) continue;
    const at::Tensor share = loss * (static_cast<double>(size) / static_cast<double>(batch.size()));
    share.backward();
    sum += share.item<double>();
  }
  return sum;
}

/// Ranks with these shares of the batch come to the loss and the gradients of one rank that has all of it.
inline void expect_ranks_do_as_one(Objective& objective, Network& network, const Batch& batch,
                                   const std::vector<std::int64_t>& sizes) {
  ASSERT_TRUE(objective.sums_over_ranks());
  const at::Tensor whole = objective.compute(network, batch).total;
  whole.backward();
  std::map<std::string, at::Tensor> expected;
  for (const auto& parameter : network.named_parameters())
    expected[parameter.key()] = parameter.value().grad().clone();
  const double loss = whole.item<double>();
  EXPECT_NEAR(joined_loss(objective, network, batch, sizes), loss, 1e-12 * std::abs(loss));
  const Worst worst = worst_gradient(network, expected);
  EXPECT_LE(worst.value(), 1e-10) << worst.name();
}

/// Metrics of a split that is judged in batches of `sizes` samples, added up as evaluate() does; of any
/// ranks.
inline NamedNumbers metrics_in_parts(Objective& objective, Network& network, const Batch& batch,
                                     const std::vector<std::int64_t>& sizes) {
  const at::NoGradGuard no_grad;
  NamedNumbers means{{"loss", 0}};
  at::Tensor sums;
  std::int64_t first = 0;
  for (const auto size : sizes) {
    const Losses losses = objective.compute(network, part_of(batch, first, size));
    const double share = static_cast<double>(size) / static_cast<double>(batch.size());
    if (first == 0)
      for (const auto& part : losses.parts) means.emplace_back(part.first, 0);
    number_of(means, "loss") += share * losses.total.item<double>();
    for (const auto& [name, value] : losses.parts) number_of(means, name) += share * value.item<double>();
    if (losses.sums.defined()) sums = sums.defined() ? sums + losses.sums : losses.sums;
    first += size;
  }
  if (sums.defined()) {
    const at::Tensor host = sums.contiguous();
    objective.summarise(means, {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()});
  }
  return means;
}

/// Cut into batches of `sizes`, a split has the losses of one batch with all of it.
inline void expect_parts_have_the_losses_of_all(Objective& objective, Network& network, const Batch& batch,
                                                const std::vector<std::int64_t>& sizes) {
  network.eval();
  NamedNumbers parts = metrics_in_parts(objective, network, batch, sizes);
  const at::NoGradGuard no_grad;
  const Losses whole = objective.compute(network, batch);
  const auto near = [](double value) { return 1e-12 * std::max(1.0, std::abs(value)); };
  const double total = whole.total.item<double>();
  EXPECT_NEAR(number_of(parts, "loss"), total, near(total));
  for (const auto& [name, value] : whole.parts)
    EXPECT_NEAR(number_of(parts, name), value.item<double>(), near(value.item<double>())) << name;
  for (const auto& [name, value] : metrics_in_parts(objective, network, batch, {batch.size()}))
    EXPECT_NEAR(value, number_of(parts, name), near(value)) << name;
}

}  // namespace isnet::testing

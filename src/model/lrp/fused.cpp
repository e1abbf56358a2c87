#include "model/lrp/fused.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/error.h"
#include "distributed/across_ranks.h"
#include "distributed/autograd_state.h"
#include "model/lrp/fused_rows.h"
#include "model/lrp/kernels/channels_last.h"

namespace isnet::fused {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::int64_t rows_of(const at::Tensor& x) {
  return x.size(0) * x.size(2) * x.size(3);
}

// Rows that are worth a thread's start, for F channels.
std::int64_t grain(std::int64_t channels) {
  return std::max<std::int64_t>(32, 16384 / std::max<std::int64_t>(channels, 1));
}

// Pointers and widths of channel slices, for the kernels. Undefined tensors have null pointers.
template <typename Element>
struct SliceTable {
  std::vector<Element*> data;
  std::vector<std::int64_t> widths;
  void add(const at::Tensor& tensor, std::int64_t width) {
    data.push_back(tensor.defined() ? static_cast<Element*>(tensor.data_ptr()) : nullptr);
    widths.push_back(width);
  }
  kernels::Slices<Element> view() const {
    return {data.data(), widths.data(), static_cast<std::int64_t>(data.size())};
  }
};

// Sums of all threads, added in an order that depends on nothing but their number.
template <typename Body>
std::vector<double> summed(std::int64_t rows, std::int64_t channels, std::size_t values, const Body& body) {
  const std::int64_t threads = std::max(1, at::get_num_threads());
  const std::int64_t each = std::max(grain(channels), (rows + threads - 1) / threads);
  const std::int64_t shares = std::max<std::int64_t>(1, (rows + each - 1) / each);
  std::vector<std::vector<double>> sums(static_cast<std::size_t>(shares), std::vector<double>(values));
  at::parallel_for(0, shares, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share)
      body(share * each, std::min(rows, (share + 1) * each), sums[static_cast<std::size_t>(share)].data());
  });
  for (std::size_t share = 1; share < sums.size(); ++share)
    for (std::size_t i = 0; i < values; ++i) sums[0][i] += sums[share][i];
  return std::move(sums[0]);
}

// Replaces sums over this rank's samples by those over all ranks'.
void add_other_ranks(const AcrossRanks& across, double* sums, std::int64_t size) {
  const at::Tensor own = at::from_blob(sums, {size}, at::kDouble);
  own.copy_(across.sum(own));
}

// The affine map of a normalisation; 1 and 0 for a ReLU alone.
struct Affine {
  at::Tensor scale, shift, inverse, mean;

  Affine(const Rectifier& of, const at::Tensor& like, std::int64_t channels) {
    if (of.weight.defined()) {
      scale = of.weight.detach() * of.inverse_deviation;
      shift = at::addcmul(of.bias.detach(), of.mean, scale, -1);
      inverse = of.inverse_deviation;
      mean = of.mean;
    } else {
      scale = inverse = at::ones({channels}, like.options());
      shift = mean = at::zeros({channels}, like.options());
    }
  }
};

struct NormalizeState {
  std::shared_ptr<Rectifier> of;
  Affine affine;
};

// Inputs: the parts; γ and β unless it is a ReLU alone; the bias of the layer before, if it has one.
struct NormalizeFunction : torch::autograd::Function<NormalizeFunction> {
  static variable_list forward(AutogradContext* context, at::TensorList inputs, std::int64_t count,
                               const std::shared_ptr<Rectifier>& of) {
    variable_list parts;
    std::int64_t channels = 0;
    for (const auto& input : inputs.slice(0, static_cast<std::size_t>(count))) {
      parts.push_back(channels_last(input));
      channels += input.size(1);
    }
    const auto& x = parts[0];
    Affine affine(*of, x, channels);
    if (of->weight.defined()) of->scale = affine.scale;
    at::Tensor out = empty_like_rows(x, {x.size(0), channels, x.size(2), x.size(3)});
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "normalize", [&] {
      SliceTable<const scalar_t> from;
      for (const auto& part : parts) from.add(part, part.size(1));
      auto* to = out.mutable_data_ptr<scalar_t>();
      at::parallel_for(0, rows_of(x), grain(channels), [&](std::int64_t begin, std::int64_t end) {
        kernels::table<scalar_t>().normalize(from.view(), affine.scale.const_data_ptr<scalar_t>(),
                                             affine.shift.const_data_ptr<scalar_t>(), of->relu, channels, to,
                                             begin, end);
      });
    });
    // Nothing is stored for the token: all its elements are one.
    const at::Tensor token = at::empty_strided(out.sizes(), {0, 0, 0, 0}, out.options());
    context->set_materialize_grads(false);
    context->save_for_backward(parts);
    keep(context, NormalizeState{of, std::move(affine)});
    return {out, token};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivatives();
    const auto parts = context->get_saved_variables();
    const auto& [of, affine] = kept<NormalizeState>(context);
    const auto& x = parts[0];
    const std::int64_t channels = affine.scale.size(0), rows = rows_of(x);
    const bool normalized = of->weight.defined(), biased = of->input_bias.defined();
    const std::size_t parameters = (normalized ? 2u : 0u) + (biased ? 1u : 0u);
    variable_list result(parts.size() + parameters + 2);
    const bool global = of->batch_statistics && of->across;  // then all ranks take part, whatever arrived
    if (!gradients[0].defined() && !gradients[1].defined() && !global) return result;
    const at::Tensor dy = gradients[0].defined()
                              ? channels_last(gradients[0])
                              : empty_like_rows(x, {x.size(0), channels, x.size(2), x.size(3)}).zero_();
    const at::Tensor gate = gradients[1].defined() ? channels_last(gradients[1]) : at::Tensor();
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "normalize_backward", [&] {
      const auto& kernel = kernels::table<scalar_t>();
      SliceTable<const scalar_t> from;
      SliceTable<scalar_t> to;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        from.add(parts[i], parts[i].size(1));
        result[i] = empty_like_rows(x, parts[i].sizes());
        to.add(result[i], parts[i].size(1));
      }
      const kernels::NormalizeGradient<scalar_t> pass{
          from.view(),
          affine.scale.const_data_ptr<scalar_t>(),
          affine.shift.const_data_ptr<scalar_t>(),
          affine.inverse.const_data_ptr<scalar_t>(),
          affine.mean.const_data_ptr<scalar_t>(),
          dy.const_data_ptr<scalar_t>(),
          gate.defined() ? gate.const_data_ptr<scalar_t>() : nullptr,
          static_cast<scalar_t>(of->epsilon),
          of->relu};
      const auto f = static_cast<std::size_t>(channels);
      std::vector<scalar_t> mean_live(f), mean_product(f);
      if (parameters > 0) {
        auto sums = summed(rows, channels, 4 * f, [&](std::int64_t begin, std::int64_t end, double* into) {
          kernel.normalize_sums(pass, channels, into, begin, end);
        });
        at::Tensor dweight = at::empty({channels}, x.options());
        at::Tensor dbias = at::empty_like(dweight), dinput_bias = at::empty_like(dweight);
        for (std::size_t i = 0; i < f; ++i) {
          dbias.mutable_data_ptr<scalar_t>()[i] = static_cast<scalar_t>(sums[i]);
          dweight.mutable_data_ptr<scalar_t>()[i] = static_cast<scalar_t>(sums[f + i] + sums[2 * f + i]);
          // The bias is constant in the denominator: what reaches it through x is taken back.
          dinput_bias.mutable_data_ptr<scalar_t>()[i] =
              static_cast<scalar_t>(-sums[3 * f + i] * static_cast<double>(pass.scale[i]));
        }
        if (global) add_other_ranks(*of->across, sums.data(), 2 * channels);
        const double n = global ? of->count : static_cast<double>(rows);
        for (std::size_t i = 0; of->batch_statistics && i < f; ++i) {
          mean_live[i] = static_cast<scalar_t>(sums[i] / n);
          mean_product[i] = static_cast<scalar_t>(sums[f + i] / n);
        }
        if (normalized) {
          result[parts.size()] = dweight;
          result[parts.size() + 1] = dbias;
        }
        if (biased && gate.defined()) result[parts.size() + parameters - 1] = dinput_bias;
      }
      at::parallel_for(0, rows, grain(channels), [&](std::int64_t begin, std::int64_t end) {
        kernel.normalize_gradient(pass, channels, mean_live.data(), mean_product.data(), to.view(), begin,
                                  end);
      });
    });
    return result;
  }
};

struct GateState {
  std::shared_ptr<Rectifier> of;
  std::int64_t maps;
  std::vector<std::int64_t> widths;
  std::vector<bool> accumulate;
  at::Tensor output;
  Origin origin;  // `compute` empty: c was kept
};  // without `of`: the output is the gate

template <typename scalar_t>
kernels::Gate<scalar_t> gate_pass(const at::Tensor& c, const at::Tensor& a, const GateState& state) {
  return {c.const_data_ptr<scalar_t>(),
          a.const_data_ptr<scalar_t>(),
          state.of && state.of->scale.defined() ? state.of->scale.const_data_ptr<scalar_t>() : nullptr,
          state.of ? static_cast<scalar_t>(state.of->epsilon) : 0,
          !state.of,
          state.maps,
          a.size(2) * a.size(3),
          a.size(1)};
}

// Inputs: c, the token, then the sums that exist already. Outputs: one for each slice.
struct GateFunction : torch::autograd::Function<GateFunction> {
  static variable_list forward(AutogradContext* context, at::TensorList inputs, GateState state) {
    const at::Tensor c = channels_last(inputs[0]);
    const at::Tensor& a = state.output;
    variable_list out, dirty;
    std::size_t next = 2;
    for (std::size_t s = 0; s < state.widths.size(); ++s) {
      if (state.accumulate[s]) dirty.push_back(inputs[next]);
      out.push_back(state.accumulate[s]
                        ? inputs[next++]
                        : empty_like_rows(c, {c.size(0), state.widths[s], c.size(2), c.size(3)}));
    }
    context->mark_dirty(dirty);
    AT_DISPATCH_FLOATING_TYPES(c.scalar_type(), "gate", [&] {
      SliceTable<scalar_t> to;
      for (std::size_t s = 0; s < out.size(); ++s) to.add(out[s], state.widths[s]);
      const auto add = std::make_unique<bool[]>(out.size());
      std::copy(state.accumulate.begin(), state.accumulate.end(), add.get());
      const auto pass = gate_pass<scalar_t>(c, a, state);
      at::parallel_for(0, rows_of(a), grain(a.size(1) * state.maps),
                       [&](std::int64_t begin, std::int64_t end) {
                         kernels::table<scalar_t>().gate(pass, to.view(), add.get(), begin, end);
                       });
    });
    context->set_materialize_grads(false);
    if (state.origin.compute)
      context->save_for_backward({a, state.origin.from, state.origin.weight});
    else
      context->save_for_backward({a, c});
    state.output.reset();
    state.origin.from.reset();
    state.origin.weight.reset();
    keep(context, std::move(state));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const auto& state = kept<GateState>(context);
    const auto& a = saved[0];
    const at::Tensor c =
        channels_last(state.origin.compute ? state.origin.compute(saved[1], saved[2]) : saved[1]);
    at::Tensor dc = empty_like_rows(c, c.sizes()), dtoken = empty_like_rows(a, a.sizes());
    for (auto& gradient : gradients)
      if (gradient.defined()) gradient = channels_last(gradient);
    AT_DISPATCH_FLOATING_TYPES(c.scalar_type(), "gate_backward", [&] {
      SliceTable<const scalar_t> from;
      for (std::size_t s = 0; s < state.widths.size(); ++s) from.add(gradients[s], state.widths[s]);
      const auto pass = gate_pass<scalar_t>(c, a, state);
      at::parallel_for(
          0, rows_of(a), grain(a.size(1) * state.maps), [&](std::int64_t begin, std::int64_t end) {
            kernels::table<scalar_t>().gate_gradient(pass, from.view(), dc.mutable_data_ptr<scalar_t>(),
                                                     dtoken.mutable_data_ptr<scalar_t>(), begin, end);
          });
    });
    variable_list result{dc, dtoken};
    for (std::size_t s = 0; s < state.widths.size(); ++s)
      if (state.accumulate[s]) result.push_back(gradients[s]);
    result.emplace_back();
    return result;
  }
};

}  // namespace

bool supports(const at::Tensor& x) {
  return x.dim() == 4 && x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
}

Moments moments(const at::Tensor& input) {
  const at::Tensor x = channels_last(input.detach());
  const std::int64_t channels = x.size(1), rows = rows_of(x);
  const auto f = static_cast<std::size_t>(channels);
  at::Tensor mean = at::zeros({channels}, at::kDouble), variance = at::zeros({channels}, at::kDouble);
  if (rows == 0) return {mean, variance, 0};
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "moments", [&] {
    const auto* data = x.const_data_ptr<scalar_t>();
    const double n = static_cast<double>(rows);
    // Around the first pixel, so that little cancels; in double precision again around the mean so found.
    std::vector<scalar_t> origin(data, data + f);
    for (int pass = 0; pass < (x.scalar_type() == at::kDouble ? 2 : 1); ++pass) {
      const auto sums =
          summed(rows, channels, 2 * f, [&](std::int64_t begin, std::int64_t end, double* into) {
            kernels::table<scalar_t>().moments(data, origin.data(), channels, begin, end, into, into + f);
          });
      for (std::size_t i = 0; i < f; ++i) {
        const double offset = sums[i] / n;
        mean.mutable_data_ptr<double>()[i] = static_cast<double>(origin[i]) + offset;
        variance.mutable_data_ptr<double>()[i] = std::max(0.0, sums[f + i] / n - offset * offset);
        origin[i] = static_cast<scalar_t>(mean.const_data_ptr<double>()[i]);
      }
    }
  });
  return {mean, variance, static_cast<double>(rows)};
}

Normalized normalize(at::TensorList parts, const std::shared_ptr<Rectifier>& of) {
  variable_list inputs(parts.begin(), parts.end());
  if (of->weight.defined()) inputs.push_back(of->weight);
  if (of->weight.defined()) inputs.push_back(of->bias);
  if (of->input_bias.defined()) inputs.push_back(of->input_bias);
  const auto out =
      NormalizeFunction::apply(at::TensorList(inputs), static_cast<std::int64_t>(parts.size()), of);
  return {out[0], out[1]};
}

std::vector<at::Tensor> gate(const at::Tensor& c, const Normalized& normalized,
                             const std::shared_ptr<Rectifier>& of, std::int64_t maps,
                             const std::vector<std::int64_t>& widths, const std::vector<at::Tensor>& sums,
                             Origin recompute) {
  variable_list inputs{c, normalized.token};
  GateState state{of, maps, widths, {}, normalized.output.detach(), std::move(recompute)};
  for (const auto& sum : sums) {
    state.accumulate.push_back(sum.defined());
    if (sum.defined()) inputs.push_back(sum);
  }
  return GateFunction::apply(at::TensorList(inputs), std::move(state));
}

at::Tensor scaled(const at::Tensor& c, const at::Tensor& factor, std::int64_t maps) {
  const at::Tensor rows = channels_last(factor);
  GateState state{nullptr, maps, {factor.size(1)}, {false}, rows.detach(), {}};
  const variable_list inputs{c, rows};
  return GateFunction::apply(at::TensorList(inputs), std::move(state))[0];
}

}  // namespace isnet::fused

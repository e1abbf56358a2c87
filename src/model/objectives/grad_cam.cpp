#include "model/objectives/grad_cam.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/walk.h"

namespace isnet {

at::Tensor grad_cam(const ForwardPass& pass, const at::Tensor& targets, const std::string& layer,
                    std::int64_t height, std::int64_t width, const GradCamForm& form) {
  const at::Tensor& features = pass.tape->output({marked_node(*pass.tape, layer)});  // B×F×h×w
  const at::Tensor weights = constant_gradient_at(pass, targets, layer).detach().mean({3, 4});
  at::Tensor maps = at::matmul(weights, features.flatten(2)).unflatten(2, features.sizes().slice(2));
  if (form.rectified) maps = maps.relu();
  if (form.absolute) maps = maps.abs();
  if (form.largest > 0) maps = maps.clamp_max(form.largest);
  return at::upsample_bilinear2d(maps, {height, width}, /*align_corners=*/false);
}

std::string last_layer(const Tape& tape) {
  if (tape.marks().empty())
    fail(ErrorKind::usage,
         "the network names no feature map, which class activation maps need: use another --network");
  return tape.marks().back().first;
}

}  // namespace isnet

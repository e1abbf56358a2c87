// Images with other backgrounds: the same objects, cut out by their masks, on backgrounds of other images, on
// noise, on a constant. For tests of what a network depends on, and for augmentation.
//
// Each function treats each image by itself. Tensors stay on the images' device and in their type, and
// autograd passes through to the images.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/batch.h"

namespace isnet {

/// How the place of an object is filled, so that its background is an image of its own.
enum class BackgroundFill {
  inpaint,  ///< smoothly, from the background around it
  tile      ///< its bounding box is tiled with the largest strip of background beside the box
};

/// Backgrounds that an image can be given.
enum class BackgroundKind {
  swap,      ///< another image's, with its object filled
  noise,     ///< uniform noise, grey where the image is grey
  blur,      ///< its own, with the object filled, blurred
  constant,  ///< one grey
  shuffle    ///< its own pixels in random order
};

/// "swap", "noise", "blur", "constant", "shuffle", in the order of BackgroundKind.
const std::vector<std::string>& background_kinds();
/// "inpaint", "tile".
const std::vector<std::string>& background_fills();
/// Errors: usage; `option` is the option that named it.
BackgroundKind background_kind(const std::string& name, const char* option);
BackgroundFill background_fill(const std::string& name, const char* option);

/// How backgrounds are made. Random draws depend on seed, draw and the sample's id alone.
struct BackgroundOptions {
  BackgroundFill fill = BackgroundFill::inpaint;
  double constant = 0.5;    ///< grey of BackgroundKind::constant
  double blur_sigma = 0.1;  ///< of BackgroundKind::blur's Gaussian, as a share of the smaller side
  std::uint64_t seed = 0;
  std::uint64_t draw = 0;  ///< number of the repetition, or epoch of a training; below 2^32
};

/// The region of interest of all classes together, B×1×H×W: masks B×1×H×W as they are, or the largest value
/// over the classes of B×K×1×H×W.
at::Tensor joint_foreground(const at::Tensor& masks);

/// Images without their objects, B×C×H×W. images: B×C×H×W; foreground: M, B×1×H×W in [0, 1].
/// inpaint: x·(1 − M) + M·u, with u interpolated by a pyramid of weighted means (pull-push; Gortler et al.,
/// "The Lumigraph", 1996). tile: the bounding box of M > 0.5 repeats the largest of the four strips of the
/// image beside it (Only-BG-T of Xiao et al., "Noise or signal", 2021); a box without such a strip is
/// inpainted. An image that is all object becomes grey 0.5.
at::Tensor filled_background(const at::Tensor& images, const at::Tensor& foreground, BackgroundFill fill);

/// Images blurred by a Gaussian, B×C×H×W, whose deviation is this share (> 0) of the smaller side; it is cut
/// off at the borders and sums to 1.
at::Tensor blurred_images(const at::Tensor& images, double sigma_share);

/// x·M + background·(1 − M). backgrounds: B×C×H×W, or what broadcasts to it.
at::Tensor on_background(const at::Tensor& images, const at::Tensor& foreground,
                         const at::Tensor& backgrounds);

/// The objects of `images` on the filled backgrounds of `donors`, pair by pair, B×C×H×W.
/// masks, donor_masks: B×1×H×W or B×K×1×H×W.
at::Tensor exchange_backgrounds(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& donors,
                                const at::Tensor& donor_masks, BackgroundFill fill = BackgroundFill::inpaint);

/// The objects of `images` on a background of any kind but swap. ids: B (int64, CPU). Errors: internal
/// (swap).
at::Tensor change_backgrounds(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& ids,
                              BackgroundKind kind, const BackgroundOptions& options);

/// The place in the batch of a donor for each sample, B (int64, CPU): one of the others, drawn uniformly. A
/// batch of one is its own donor. ids: B (int64, CPU).
at::Tensor donors_in_batch(const at::Tensor& ids, const BackgroundOptions& options);

/// The batch's images on other backgrounds, B×C×H×W; swap takes donors from the batch itself. Errors:
/// internal (no masks, no ids).
at::Tensor with_other_backgrounds(const Batch& batch, BackgroundKind kind, const BackgroundOptions& options);

}  // namespace isnet

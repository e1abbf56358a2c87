// --model and --graph: the network of an ONNX file as an option of a stored model.
#pragma once

#include "base/options.h"

namespace isnet {

/// With --network onnx, --graph becomes the graph of the file of --model, and --normalize its normalisation, so that
/// the stored model needs no file. Where the file is not there any more, a --graph that is given stays. Errors: usage
/// (--model with another network, or with another graph or normalisation than are given), data, runtime.
void settle_graph(OptionValues& options);

/// Whether the file of --model is there, whose weights a training begins with. Errors: usage (it is needed, and is
/// not there).
bool begins_with_model(const OptionValues& options);

}  // namespace isnet

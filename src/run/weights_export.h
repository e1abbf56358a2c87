// The weights that a training leaves for use.
#pragma once

#include "data/data_set.h"
#include "run/run_config.h"
#include "trainer/callbacks/model_checkpoint.h"
#include "trainer/run_folder.h"
#include "trainer/run_lock.h"

namespace isnet {

/// Writes weights.safetensors of the run's folder: the best checkpoint's model with all that is needed to use
/// it. Rank 0 alone, which holds `lock`. Errors: checkpoint, runtime.
void export_best(const ModelCheckpoint& checkpoints, const RunConfig& config, const DataSetDescription& data,
                 const RunFolder& folder, const RunLock& lock);

}  // namespace isnet

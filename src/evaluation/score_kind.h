// How many classes a sample may have.
#pragma once

namespace isnet {

/// Whether a sample has one class, or any number of them; or is not classified at all.
enum class ScoreKind { single_label, multi_label, none };

}  // namespace isnet

// What must be the same on all ranks, and how a difference is told.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace isnet {

/// A fact that must be the same on all ranks: its name for messages ("options", "torch") and its text.
using Fact = std::pair<std::string, std::string>;

/// This process's program: versions of isnet, torch, MPI and the C++ ABI; and a line for each file of code
/// that decides what a training does (program, our libraries, plug-ins, LibTorch, CUDA's: with the identity
/// that the linker gave its build; HDF5, MPI, OpenMP: with the version in their names).
std::vector<Fact> program_facts();

/// As one text, and back.
std::string joined(const std::vector<Fact>& facts);
std::vector<Fact> separated(const std::string& all);

/// These ranks differ from rank 0; `there`: the facts of the first of them. Errors: usage, always: ranks, and
/// the first difference (for texts of several lines, the first line that differs).
[[noreturn]] void refuse_difference(const std::vector<std::size_t>& ranks, const std::vector<Fact>& there,
                                    const std::vector<Fact>& on_rank_0);

}  // namespace isnet

// A look at the structures of an HDF5 file before HDF5 itself opens it: HDF5 1.10 trusts what it reads and
// can be crashed, or made to write outside its memory, by a file that was damaged or made for that purpose.
#pragma once

#include <string>
#include <vector>

#include "base/input_file.h"
#include "data/shard_limits.h"
#include "data/structure/translation.h"

namespace isnet::hdf5 {

/// Follows all that HDF5 reads on the way to these datasets of the root group (those that exist) and to the
/// root group's attributes: every address and length must lie inside the file, nothing may overlap, types and
/// layouts must be such as docs/formats.md ("What a shard may be made of") lists. No more memory is taken
/// than the file has bytes. Refused too: links and data that lead out of the file, datasets of which a chunk
/// was never written, and compressed ones that inflate beyond the limits. `in_pieces`: datasets of which a
/// chunk is read at a time, not all. Errors: data, naming file, object and remedy. Returns what HDF5 has to read in
/// place of the file's own bytes: newer descriptions (enumerations of HDF5 1.12 and later, layouts of HDF5 2.0) as
/// HDF5 1.10 knows them, and no attributes of the root group but `format`, `version` and `mask_values`.
Translation check_structure(const InputFile& file, const std::vector<std::string>& datasets,
                            const std::vector<std::string>& in_pieces, const ShardLimits& limits);

}  // namespace isnet::hdf5

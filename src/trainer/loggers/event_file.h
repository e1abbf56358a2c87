// TensorBoard's event files: protocol buffers in TFRecords. Only what we write of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isnet::event_file {

/// CRC-32C (Castagnoli) of bytes.
std::uint32_t crc32c(std::string_view bytes);

/// A record: length, its masked checksum, the data, theirs.
std::string record(std::string_view data);

/// Counts of values between edges: `counts[i]` of those from the edge before up to `right_edges[i]`.
struct Histogram {
  double min = 0, max = 0, sum = 0, sum_of_squares = 0;
  std::vector<double> right_edges, counts;
};

/// Events as serialised messages (tensorflow.Event). `seconds`: wall time since 1970.
std::string version_event(double seconds);
/// The run was resumed: TensorBoard drops what it has read from `step` on.
std::string start_event(double seconds, std::int64_t step);
/// `values`: tags with their numbers, stored as float32.
std::string scalars_event(double seconds, std::int64_t step,
                          const std::vector<std::pair<std::string, double>>& values);
/// `png`: the bytes of a PNG file.
std::string image_event(double seconds, std::int64_t step, const std::string& tag, int width, int height,
                        const std::string& png);
/// Stored in double precision.
std::string histogram_event(double seconds, std::int64_t step, const std::string& tag,
                            const Histogram& histogram);

}  // namespace isnet::event_file

#include "trainer/loggers/event_file.h"

#include <array>
#include <bit>
#include <cstring>

namespace isnet::event_file {
namespace {

std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

// The wire format of protocol buffers: key (number, type), value.
enum Wire : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

class Message {
 public:
  Message& integer(std::uint64_t field, std::int64_t value) {
    key(field, Wire::varint);
    number(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real(std::uint64_t field, double value) {
    key(field, Wire::fixed64);
    text_ += little_endian(std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& single(std::uint64_t field, float value) {
    key(field, Wire::fixed32);
    text_ += little_endian(std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& text(std::uint64_t field, const std::string& value) {
    key(field, Wire::bytes);
    number(value.size());
    text_ += value;
    return *this;
  }
  Message& message(std::uint64_t field, const Message& value) { return text(field, value.text_); }
  Message& reals(std::uint64_t field, const std::vector<double>& values) {
    std::string packed;
    for (const double value : values) packed += little_endian(std::bit_cast<std::uint64_t>(value));
    return text(field, packed);
  }
  const std::string& serialised() const { return text_; }

 private:
  void key(std::uint64_t field, Wire type) { number(field << 3 | type); }
  void number(std::uint64_t value) {
    for (; value >= 128; value >>= 7) text_ += static_cast<char>((value & 127) | 128);
    text_ += static_cast<char>(value);
  }
  std::string text_;
};

// tensorflow/core/util/event.proto and framework/summary.proto: wall_time = 1, step = 2, file_version = 3,
// summary = 5, session_log = 7; Summary.value = 1; Value.tag = 1, simple_value = 2, image = 4,
// histo = 5; Image.height = 1, width = 2, colorspace = 3, encoded_image_string = 4.
Message event(double seconds, std::int64_t step) {
  Message result;
  result.real(1, seconds).integer(2, step);
  return result;
}

std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = make_table();
  std::uint32_t value = 0xffffffffu;
  for (const char c : bytes) value = table[(value ^ static_cast<unsigned char>(c)) & 255] ^ (value >> 8);
  return value ^ 0xffffffffu;
}

std::string record(std::string_view data) {
  const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
  return length + little_endian(masked(crc32c(length))) + std::string(data) +
         little_endian(masked(crc32c(data)));
}

std::string version_event(double seconds) {
  return Message().real(1, seconds).text(3, "brain.Event:2").serialised();
}

std::string start_event(double seconds, std::int64_t step) {
  return event(seconds, step).message(7, Message().integer(1, 1)).serialised();
}

std::string scalars_event(double seconds, std::int64_t step,
                          const std::vector<std::pair<std::string, double>>& values) {
  Message summary;
  for (const auto& [tag, value] : values)
    summary.message(1, Message().text(1, tag).single(2, static_cast<float>(value)));
  return event(seconds, step).message(5, summary).serialised();
}

std::string image_event(double seconds, std::int64_t step, const std::string& tag, int width, int height,
                        const std::string& png) {
  Message image;
  image.integer(1, height).integer(2, width).integer(3, 3).text(4, png);  // colour space 3: RGB
  Message summary;
  summary.message(1, Message().text(1, tag).message(4, image));
  return event(seconds, step).message(5, summary).serialised();
}

std::string histogram_event(double seconds, std::int64_t step, const std::string& tag,
                            const Histogram& histogram) {
  double number = 0;
  for (const double count : histogram.counts) number += count;
  Message histo;
  histo.real(1, histogram.min).real(2, histogram.max).real(3, number).real(4, histogram.sum);
  histo.real(5, histogram.sum_of_squares).reals(6, histogram.right_edges).reals(7, histogram.counts);
  Message summary;
  summary.message(1, Message().text(1, tag).message(5, histo));
  return event(seconds, step).message(5, summary).serialised();
}

}  // namespace isnet::event_file

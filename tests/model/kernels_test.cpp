// The channels-last kernels: every instruction set computes what the plain one does.
#include "model/lrp/kernels/channels_last.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <type_traits>
#include <vector>

namespace isnet::kernels {
namespace {

// Slices of widths that fill no vector, and one that is wider than the kernels' buffers.
const std::vector<std::int64_t> widths{5, 32, 1, 300};
constexpr std::int64_t channels = 338, images = 2, pixels = 23, maps = 3, rows = images * pixels;

template <typename T>
class Kernels : public ::testing::Test {
 protected:
  using Values = std::vector<T>;

  Values random(std::int64_t count, double low = -1, double high = 1) {
    std::uniform_real_distribution<double> distribution(low, high);
    Values values(static_cast<std::size_t>(count));
    for (auto& value : values) value = static_cast<T>(distribution(generator_));
    return values;
  }

  // A row's slices, in tensors of their own.
  struct Parts {
    std::vector<Values> values;
    std::vector<T*> pointers;
    std::vector<const T*> constant;
    explicit Parts(std::vector<Values> all) : values(std::move(all)) {
      for (auto& part : values) {
        pointers.push_back(part.data());
        constant.push_back(part.data());
      }
    }
    Slices<T> view() { return {pointers.data(), widths.data(), static_cast<std::int64_t>(widths.size())}; }
    Slices<const T> read() {
      return {constant.data(), widths.data(), static_cast<std::int64_t>(widths.size())};
    }
  };
  Parts parts(std::int64_t count) {
    std::vector<Values> all;
    for (const auto width : widths) all.push_back(random(count * width));
    return Parts(std::move(all));
  }

  void near(const Values& actual, const Values& expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(double{expected[i]}))) << i;
  }
  void near(const Parts& actual, const Parts& expected) {
    for (std::size_t i = 0; i < widths.size(); ++i) near(actual.values[i], expected.values[i]);
  }

  static constexpr double tolerance = std::is_same_v<T, float> ? 1e-4 : 1e-12;
  std::mt19937 generator_{7};
};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Kernels, Reals);

TYPED_TEST(Kernels, ComputeTheSameWithEveryInstructionSet) {
  using T = TypeParam;
  using Values = std::vector<T>;
  std::printf("%d instruction set(s)\n", instruction_sets());
  const auto& plain = table<T>(0);
  const Values x = this->random(rows * channels), origin = this->random(channels);
  const Values scale = this->random(channels), shift = this->random(channels);
  const Values inverse = this->random(channels, 0.5, 2), mean = this->random(channels);
  const Values gradient = this->random(rows * channels), gate = this->random(rows * channels);
  const Values c = this->random(rows * maps * channels);
  auto source = this->parts(rows), arriving = this->parts(rows * maps);
  const auto start = this->parts(rows * maps);
  const bool accumulate[] = {true, false, true, false};
  for (int set = 1; set < instruction_sets(); ++set) {
    const auto& fast = table<T>(set);
    const auto moments = [&](const Table<T>& kernel) {
      std::vector<double> sums(2 * channels);
      kernel.moments(x.data(), origin.data(), channels, 1, rows, sums.data(), sums.data() + channels);
      return Values(sums.begin(), sums.end());
    };
    this->near(moments(fast), moments(plain));
    for (const bool relu : {true, false}) {
      const auto normalized = [&](const Table<T>& kernel) {
        Values out(rows * channels, T(9));
        kernel.normalize(source.read(), scale.data(), shift.data(), relu, channels, out.data(), 1, rows);
        return out;
      };
      this->near(normalized(fast), normalized(plain));
      for (const T* gated : {static_cast<const T*>(nullptr), gate.data()}) {
        const NormalizeGradient<T> pass{source.read(),          scale.data(), shift.data(),
                                        inverse.data(),         mean.data(),  gradient.data(),
                                        relu ? gated : nullptr, T(0.25),      relu};
        const auto summed = [&](const Table<T>& kernel) {
          std::vector<double> sums(4 * channels);
          kernel.normalize_sums(pass, channels, sums.data(), 1, rows);
          return Values(sums.begin(), sums.end());
        };
        this->near(summed(fast), summed(plain));
        const auto differentiated = [&](const Table<T>& kernel) {
          auto dx = start;
          typename TestFixture::Parts result(dx.values);
          kernel.normalize_gradient(pass, channels, origin.data(), mean.data(), result.view(), 1, rows);
          return result;
        };
        this->near(differentiated(fast), differentiated(plain));
      }
    }
    for (const bool one : {true, false})  // a gate, and a factor of its own
      for (const T* scaled : {static_cast<const T*>(nullptr), scale.data()}) {
        const Gate<T> pass{c.data(), x.data(), scaled, T(0.25), one, maps, pixels, channels};
        const auto passed = [&](const Table<T>& kernel) {
          typename TestFixture::Parts out(start.values);
          kernel.gate(pass, out.view(), accumulate, 1, rows);
          return out;
        };
        this->near(passed(fast), passed(plain));
        const auto back = [&](const Table<T>& kernel) {
          Values both((maps + 1) * rows * channels, T(9));
          auto from = arriving.read();
          std::vector<const T*> some(arriving.constant);
          some[1] = nullptr;  // no gradient arrives there
          from.data = some.data();
          kernel.gate_gradient(pass, from, both.data(), both.data() + maps * rows * channels, 1, rows);
          return both;
        };
        this->near(back(fast), back(plain));
      }
  }
}

// What a gate is, element by element.
TYPED_TEST(Kernels, AGateIsItsFormula) {
  using T = TypeParam;
  const auto a = this->random(rows * channels), scale = this->random(channels);
  const auto c = this->random(rows * maps * channels);
  const double epsilon = 0.25;
  for (int set = 0; set < instruction_sets(); ++set) {
    std::vector<T> out(rows * maps * channels, T(9));
    T* data = out.data();
    const bool accumulate = false;
    table<T>(set).gate({c.data(), a.data(), scale.data(), T(epsilon), false, maps, pixels, channels},
                       {&data, &channels, 1}, &accumulate, 0, rows);
    std::vector<T> expected;
    for (std::int64_t image = 0; image < images; ++image)
      for (std::int64_t map = 0; map < maps; ++map)
        for (std::int64_t i = 0; i < pixels * channels; ++i) {
          const double z = a[static_cast<std::size_t>(image * pixels * channels + i)];
          const double factor = z > 0 ? z / (z + epsilon) : 0;
          expected.push_back(
              static_cast<T>(c[expected.size()] * factor * scale[static_cast<std::size_t>(i % channels)]));
        }
    this->near(out, expected);
  }
}

}  // namespace
}  // namespace isnet::kernels

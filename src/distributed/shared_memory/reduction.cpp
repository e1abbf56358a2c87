// Values of several ranks reduced to one, element by element.
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <type_traits>

#include "distributed/shared_memory/operations.h"

namespace isnet::shared_memory {
namespace {

using Arithmetic = c10d::ReduceOp::RedOpType;

// So many at once stay in the first cache; a constant number, so that the loops become vector instructions.
constexpr std::size_t block = 1024;

template <typename T>
struct Wide {
  using type = T;
};
template <>
struct Wide<c10::Half> {
  using type = float;
};
template <>
struct Wide<c10::BFloat16> {
  using type = float;
};

template <Arithmetic arithmetic, typename A>
A combined(A a, A b) {
  if constexpr (arithmetic == Arithmetic::SUM || arithmetic == Arithmetic::AVG)
    return static_cast<A>(a + b);
  else if constexpr (arithmetic == Arithmetic::PRODUCT)
    return static_cast<A>(a * b);
  else if constexpr (arithmetic == Arithmetic::MIN)
    return b < a || b != b ? b : a;  // NaN stays
  else if constexpr (arithmetic == Arithmetic::MAX)
    return b > a || b != b ? b : a;
  else if constexpr (arithmetic == Arithmetic::BAND)
    return static_cast<A>(a & b);
  else if constexpr (arithmetic == Arithmetic::BOR)
    return static_cast<A>(a | b);
  else
    return static_cast<A>(a ^ b);
}

template <Arithmetic arithmetic, typename T, typename A>
void add(A* __restrict sums, const T* __restrict part, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = combined<arithmetic, A>(sums[i], static_cast<A>(part[i]));
}

template <typename T, Arithmetic arithmetic>
void reduce(const std::byte* const* parts, int count, std::size_t elements, std::byte* out) {
  using A = typename Wide<T>::type;
  A sums[block];
  for (std::size_t begin = 0; begin < elements; begin += block) {
    const std::size_t size = std::min(block, elements - begin);
    const auto of = [&](int rank) { return reinterpret_cast<const T*>(parts[rank]) + begin; };
    std::copy_n(of(0), size, sums);
    for (int rank = 1; rank < count; ++rank) add<arithmetic, T, A>(sums, of(rank), size);
    T* result = reinterpret_cast<T*>(out) + begin;
    if constexpr (arithmetic == Arithmetic::AVG)
      for (std::size_t i = 0; i < size; ++i) result[i] = static_cast<T>(sums[i] / static_cast<A>(count));
    else
      std::copy_n(sums, size, result);
  }
}

[[noreturn]] void unknown(c10::ScalarType type) {
  TORCH_CHECK(false, "ranks that share memory cannot reduce ", c10::toString(type),
              " values in this way; gloo or another type may");
}

template <typename T>
Reduction of_type(c10::ScalarType type, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::SUM:
      return reduce<T, Arithmetic::SUM>;
    case Arithmetic::PRODUCT:
      return reduce<T, Arithmetic::PRODUCT>;
    case Arithmetic::MIN:
      return reduce<T, Arithmetic::MIN>;
    case Arithmetic::MAX:
      return reduce<T, Arithmetic::MAX>;
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) {
    if (arithmetic == Arithmetic::BAND) return reduce<T, Arithmetic::BAND>;
    if (arithmetic == Arithmetic::BOR) return reduce<T, Arithmetic::BOR>;
    if (arithmetic == Arithmetic::BXOR) return reduce<T, Arithmetic::BXOR>;
  } else if (arithmetic == Arithmetic::AVG) {
    return reduce<T, Arithmetic::AVG>;
  }
  unknown(type);
}

// Of the numbers 0 and 1.
Reduction of_bool(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::SUM:
    case Arithmetic::MAX:
    case Arithmetic::BOR:
      return reduce<std::uint8_t, Arithmetic::BOR>;
    case Arithmetic::PRODUCT:
    case Arithmetic::MIN:
    case Arithmetic::BAND:
      return reduce<std::uint8_t, Arithmetic::BAND>;
    case Arithmetic::BXOR:
      return reduce<std::uint8_t, Arithmetic::BXOR>;
    default:
      unknown(c10::ScalarType::Bool);
  }
}

}  // namespace

Reduction reduction(c10::ScalarType type, Arithmetic arithmetic) {
  switch (type) {
    case c10::ScalarType::Float:
      return of_type<float>(type, arithmetic);
    case c10::ScalarType::Double:
      return of_type<double>(type, arithmetic);
    case c10::ScalarType::Half:
      return of_type<c10::Half>(type, arithmetic);
    case c10::ScalarType::BFloat16:
      return of_type<c10::BFloat16>(type, arithmetic);
    case c10::ScalarType::Long:
      return of_type<std::int64_t>(type, arithmetic);
    case c10::ScalarType::Int:
      return of_type<std::int32_t>(type, arithmetic);
    case c10::ScalarType::Short:
      return of_type<std::int16_t>(type, arithmetic);
    case c10::ScalarType::Char:
      return of_type<std::int8_t>(type, arithmetic);
    case c10::ScalarType::Byte:
      return of_type<std::uint8_t>(type, arithmetic);
    case c10::ScalarType::Bool:
      return of_bool(arithmetic);
    default:
      unknown(type);
  }
}

}  // namespace isnet::shared_memory

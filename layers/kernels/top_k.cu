#include "kernels/top_k_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/error.hpp"
#include "kernels/positions_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

// Of doubles, which hold every kind of values and leave no gap before the
// place.
struct First {
  TopEntry<double> entry;  // of place -1: none
  P3D_HOST_DEVICE void operator+=(const First& other) {
    if (other.entry.place < 0) return;
    if (entry.place < 0 || other.entry.Before(entry)) *this = other;
  }
};

// The first entry behind the last one that was taken, if any was.
template <typename Value>
struct NextEntry {
  using Real = RealOf<Value>;
  Positions at;
  int64_t stride;
  const Value* x;
  int64_t* taken;  // by position
  bool any;
  Real *indices, *values;  // the next ones

  P3D_HOST_DEVICE First Sum(int64_t row, int64_t lane) const {
    First first = {{0, -1}};
    const int64_t position = at.Of(row, lane);
    if (position < 0) return first;
    const Value* from = x + at.Start(position);
    const auto entry_of = [&](int64_t c) {
      const Real value = from[c * at.view.inner];
      return TopEntry<double>{value, c};
    };
    const auto last = entry_of(any ? taken[position] : 0);
    at.ForEachChannel(lane, [&](int64_t c) {
      const auto entry = entry_of(c);
      if (!any || last.Before(entry)) first += {entry};
    });
    return first;
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t lane,
                             const First& first) const {
    const int64_t position = at.Of(row, lane);
    if (position < 0) return;
    const int64_t o = Quotient(position, at.view.inner);
    const int64_t to = o * stride + position - o * at.view.inner;
    taken[position] = first.entry.place;
    if (indices) indices[to] = static_cast<Real>(first.entry.place);
    if (values) values[to] = static_cast<Real>(first.entry.value);
  }
};

}  // namespace

template <typename Value>
void TopK(CUstream_st* stream, const AxisView& view, int64_t k, int64_t stride,
          const Value* x, int64_t* scratch, RealOf<Value>* indices,
          RealOf<Value>* values) {
  Check(k <= kTopK, "a GPU finds up to ", kTopK, " values, not ", k);
  const Positions at(view);
  for (int64_t j = 0; j < k; ++j) {
    SumColumns(
        stream, "TopK", at.rows(), at.width,
        NextEntry<Value>{at, stride, x, scratch, j > 0, indices, values});
    if (indices) indices += view.inner;
    if (values) values += view.inner;
  }
}

#define P3D_INSTANTIATE(Value)                                        \
  template void TopK(CUstream_st*, const AxisView&, int64_t, int64_t, \
                     const Value*, int64_t*, RealOf<Value>*, RealOf<Value>*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d

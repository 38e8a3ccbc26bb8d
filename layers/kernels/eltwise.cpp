#include "kernels/eltwise.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Small enough that results wait in the first cache until all bottoms are in.
constexpr int64_t kBlock = 1024;

// first(x, acc, n) starts a block of results, next(b, x, acc, n) joins bottom
// b. The results get a block of their own because a top that is also a bottom
// would keep the compiler from vectorising.
template <typename Dtype, typename First, typename Next>
void Join(const std::vector<const Dtype*>& bottoms, int64_t count, Dtype* top,
          const First& first, const Next& next) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    Dtype acc[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = std::min(kBlock, end - i);
      first(bottoms[0] + i, acc, n);
      for (size_t b = 1; b < bottoms.size(); ++b) {
        next(b, bottoms[b] + i, acc, n);
      }
      std::copy(acc, acc + n, top + i);
    }
  });
}

template <typename Dtype>
void Copy(const Dtype* x, Dtype* acc, int64_t n) {
  std::copy(x, x + n, acc);
}

}  // namespace

template <typename Dtype>
void EltwiseSum(const std::vector<const Dtype*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Dtype* top) {
  Join(
      bottoms, count, top,
      [&](const Dtype* x, Dtype* acc, int64_t n) {
        const Dtype c = static_cast<Dtype>(coefficients[0]);
        for (int64_t i = 0; i < n; ++i) acc[i] = c * x[i];
      },
      [&](size_t b, const Dtype* x, Dtype* acc, int64_t n) {
        const Dtype c = static_cast<Dtype>(coefficients[b]);
        for (int64_t i = 0; i < n; ++i) acc[i] += c * x[i];
      });
}

template <typename Dtype>
void EltwiseProd(const std::vector<const Dtype*>& bottoms, int64_t count,
                 Dtype* top) {
  Join(bottoms, count, top, Copy<Dtype>,
       [](size_t, const Dtype* x, Dtype* acc, int64_t n) {
         for (int64_t i = 0; i < n; ++i) acc[i] *= x[i];
       });
}

template <typename Dtype>
void EltwiseMax(const std::vector<const Dtype*>& bottoms, int64_t count,
                Dtype* top) {
  Join(bottoms, count, top, Copy<Dtype>,
       [](size_t b, const Dtype* x, Dtype* acc, int64_t n) {
         if (b == 1) {
           for (int64_t i = 0; i < n; ++i)
             acc[i] = acc[i] > x[i] ? acc[i] : x[i];
         } else {
           for (int64_t i = 0; i < n; ++i)
             acc[i] = x[i] > acc[i] ? x[i] : acc[i];
         }
       });
}

template <typename Dtype>
void EltwiseProdBackward(const std::vector<const Dtype*>& bottoms,
                         size_t bottom, const Dtype* dy, int64_t count,
                         Dtype* dx) {
  std::vector<const Dtype*> factors = bottoms;
  factors[bottom] = dy;
  EltwiseProd(factors, count, dx);
}

template <typename Dtype>
void EltwiseMaxBackward(const std::vector<const Dtype*>& bottoms, size_t bottom,
                        const Dtype* dy, int64_t count, Dtype* dx) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      size_t winner = bottoms.size() > 1 && !(bottoms[0][i] > bottoms[1][i]);
      for (size_t b = 2; b < bottoms.size(); ++b) {
        if (bottoms[b][i] > bottoms[winner][i]) winner = b;
      }
      dx[i] = winner == bottom ? dy[i] : Dtype(0);
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void EltwiseSum(const std::vector<const Dtype*>&,                   \
                           const std::vector<float>&, int64_t, Dtype*);        \
  template void EltwiseProd(const std::vector<const Dtype*>&, int64_t,         \
                            Dtype*);                                           \
  template void EltwiseMax(const std::vector<const Dtype*>&, int64_t, Dtype*); \
  template void EltwiseProdBackward(const std::vector<const Dtype*>&, size_t,  \
                                    const Dtype*, int64_t, Dtype*);            \
  template void EltwiseMaxBackward(const std::vector<const Dtype*>&, size_t,   \
                                   const Dtype*, int64_t, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d

#ifndef P3D_KERNELS_CONV_PREFETCH_HPP_
#define P3D_KERNELS_CONV_PREFETCH_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

// Prefetching of stretches of memory, `floats` long and `step` apart, spread
// over the calls of micro-kernels that are to come, of `portions` in all (see
// kIgemmPrefetchSteps).
class PrefetchStream {
 public:
  PrefetchStream() = default;
  PrefetchStream(const float* data, int64_t floats, int64_t portions,
                 int64_t stretches = 1, int64_t step = 0)
      : data_(data),
        floats_(floats),
        stretches_(floats > 0 ? stretches : 0),
        step_(step),
        lines_(CeilDiv(floats * stretches,
                       kLineFloats * std::max<int64_t>(portions, 1))) {}

  // Lets `call` fetch its share, that of `portions`.
  template <typename Call>
  void Feed(int64_t portions, Call* call) {
    call->prefetch = data_ + done_;
    call->prefetch_lines = stretches_ > 0 ? lines_ : 0;
    if (stretches_ == 0) return;
    done_ += portions * lines_ * kLineFloats;
    if (done_ < floats_) return;
    done_ = 0;
    if (--stretches_ > 0) data_ += step_;
  }

 private:
  const float* data_ = nullptr;
  int64_t floats_ = 0;
  int64_t stretches_ = 0;  // to be done
  int64_t step_ = 0;
  int64_t lines_ = 0;  // per portion
  int64_t done_ = 0;   // of this stretch
};

// What the `index`-th of `tasks` tasks fetches of the next weights, `most`
// floats per thread: every thread begins somewhere else in them.
inline NextWeights ShareOf(const NextWeights& next, int64_t most, int64_t index,
                           int64_t tasks) {
  const int64_t threads = NumThreads();
  const int64_t part = next.size / threads;
  const int64_t tasks_of_part = CeilDiv(tasks, threads);
  const int64_t size = std::min(part, most) / tasks_of_part;
  return {
      next.packed + index / tasks_of_part * part + index % tasks_of_part * size,
      size};
}

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PREFETCH_HPP_

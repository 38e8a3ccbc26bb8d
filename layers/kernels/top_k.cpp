#include "kernels/top_k.hpp"

#include <algorithm>
#include <vector>

#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
void TopK(const AxisView& view, int64_t k, int64_t stride, const Dtype* x,
          Dtype* indices, Dtype* values) {
  using Entry = TopEntry<Dtype>;
  const auto one_range = [&](int64_t begin, int64_t end) {
    std::vector<Entry> entries(view.channels);
    for (int64_t position = begin; position < end; ++position) {
      const Dtype* from = x + view.start(position);
      for (int64_t c = 0; c < view.channels; ++c) {
        entries[c] = {from[c * view.inner], c};
      }
      std::partial_sort(
          entries.begin(), entries.begin() + k, entries.end(),
          [](const Entry& a, const Entry& b) { return a.Before(b); });
      const int64_t to = position / view.inner * stride + position % view.inner;
      for (int64_t j = 0; j < k; ++j) {
        const int64_t at = to + j * view.inner;
        if (indices) indices[at] = static_cast<Dtype>(entries[j].place);
        if (values) values[at] = entries[j].value;
      }
    }
  };
  ParallelRanges(view.outer * view.inner, RowsPerRange(view.channels),
                 one_range);
}

template void TopK(const AxisView&, int64_t, int64_t, const float*, float*,
                   float*);
template void TopK(const AxisView&, int64_t, int64_t, const double*, double*,
                   double*);

}  // namespace p3d

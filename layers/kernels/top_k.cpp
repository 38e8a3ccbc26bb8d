#include "kernels/top_k.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/ranges.hpp"

namespace p3d {
namespace {

template <typename Dtype>
using Entry = std::pair<Dtype, int64_t>;

// A strict order in spite of NaN, which a sort needs.
template <typename Dtype>
bool Before(const Entry<Dtype>& a, const Entry<Dtype>& b) {
  const bool a_nan = a.first != a.first;
  const bool b_nan = b.first != b.first;
  if (a_nan != b_nan) return b_nan;
  if (!a_nan && a.first != b.first) return a.first > b.first;
  return a.second > b.second;
}

}  // namespace

template <typename Dtype>
void TopK(const AxisView& view, int64_t k, const Dtype* x, Dtype* indices,
          Dtype* values) {
  const AxisView top{view.outer, k, view.inner};
  const auto one_range = [&](int64_t begin, int64_t end) {
    std::vector<Entry<Dtype>> entries(view.channels);
    for (int64_t position = begin; position < end; ++position) {
      const Dtype* from = x + view.start(position);
      for (int64_t c = 0; c < view.channels; ++c) {
        entries[c] = {from[c * view.inner], c};
      }
      std::partial_sort(entries.begin(), entries.begin() + k, entries.end(),
                        Before<Dtype>);
      const int64_t to = top.start(position);
      for (int64_t j = 0; j < k; ++j) {
        const int64_t at = to + j * view.inner;
        if (indices) indices[at] = static_cast<Dtype>(entries[j].second);
        if (values) values[at] = entries[j].first;
      }
    }
  };
  ParallelRanges(view.outer * view.inner, RowsPerRange(view.channels),
                 one_range);
}

template void TopK(const AxisView&, int64_t, const float*, float*, float*);
template void TopK(const AxisView&, int64_t, const double*, double*, double*);

}  // namespace p3d

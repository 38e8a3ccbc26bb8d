#include "kernels/accuracy.hpp"

namespace p3d {

template <typename Dtype>
Hits CountHits(const AxisView& view, const Dtype* score,
               const Labels<Dtype>& labels, int64_t top_k) {
  Hits hits;
  hits.all.resize(view.channels);
  hits.found.resize(view.channels);
  for (int64_t i = 0; i < view.outer * view.inner; ++i) {
    const int64_t label = labels.at(i);
    if (label < 0) continue;
    const Dtype* from = score + view.start(i);
    const Dtype wanted = from[label * view.inner];
    int64_t rivals = -1;  // the label itself will be counted
    for (int64_t c = 0; c < view.channels; ++c) {
      rivals += !(from[c * view.inner] < wanted);
    }
    ++hits.all[label];
    hits.found[label] += rivals < top_k;
  }
  return hits;
}

template Hits CountHits(const AxisView&, const float*, const Labels<float>&,
                        int64_t);
template Hits CountHits(const AxisView&, const double*, const Labels<double>&,
                        int64_t);

}  // namespace p3d

#include "kernels/recurrent.hpp"

#include "kernels/ranges.hpp"
#include "kernels/recurrent_formulas.hpp"

namespace p3d {
namespace {

// cell(i, its stream) for every value. Up to five transcendental functions
// each: smaller ranges pay.
template <typename Cell>
void ForEachCell(int64_t streams, int64_t width, const Cell& cell) {
  ParallelRanges(streams * width, kRange / 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) cell(i, i / width);
  });
}

}  // namespace

template <typename Dtype>
void ContinueStates(int64_t streams, int64_t width, const Dtype* continues,
                    const Dtype* h, Dtype* continued) {
  ForEachCell(streams, width, ContinueState<Dtype>{continues, h, continued});
}

template <typename Dtype>
void LstmStep(int64_t streams, int64_t width, const Dtype* c_before,
              const Dtype* gates, const Dtype* continues, Dtype* c, Dtype* h) {
  ForEachCell(streams, width,
              LstmCell<Dtype>{width, c_before, gates, continues, c, h});
}

template <typename Dtype>
void LstmStepBackward(int64_t streams, int64_t width, const Dtype* c_before,
                      const Dtype* gates, const Dtype* continues,
                      const Dtype* c, const Dtype* dc, const Dtype* dh,
                      Dtype* dc_before, Dtype* dgates) {
  ForEachCell(streams, width,
              LstmCellBackward<Dtype>{width, c_before, gates, continues, c, dc,
                                      dh, dc_before, dgates});
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void ContinueStates(int64_t, int64_t, const Dtype*, const Dtype*,   \
                               Dtype*);                                        \
  template void LstmStep(int64_t, int64_t, const Dtype*, const Dtype*,         \
                         const Dtype*, Dtype*, Dtype*);                        \
  template void LstmStepBackward(int64_t, int64_t, const Dtype*, const Dtype*, \
                                 const Dtype*, const Dtype*, const Dtype*,     \
                                 const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d

#include "kernels/recurrent_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/recurrent_formulas.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Cell>
struct CellKernel {
  int64_t width;
  Cell cell;
  P3D_HOST_DEVICE void operator()(int64_t i) const {
    cell(i, Quotient(i, width));
  }
};

template <typename Cell>
void ForEachCell(CUstream_st* stream, const char* kernel, int64_t streams,
                 int64_t width, const Cell& cell) {
  ForEach(stream, kernel, streams * width, CellKernel<Cell>{width, cell});
}

}  // namespace

template <typename Dtype>
void ContinueStates(CUstream_st* stream, int64_t streams, int64_t width,
                    const Dtype* continues, const Dtype* h, Dtype* continued) {
  ForEachCell(stream, "ContinueStates", streams, width,
              ContinueState<Dtype>{continues, h, continued});
}

template <typename Dtype>
void LstmStep(CUstream_st* stream, int64_t streams, int64_t width,
              const Dtype* c_before, const Dtype* gates, const Dtype* continues,
              Dtype* c, Dtype* h) {
  ForEachCell(stream, "LstmStep", streams, width,
              LstmCell<Dtype>{width, c_before, gates, continues, c, h});
}

template <typename Dtype>
void LstmStepBackward(CUstream_st* stream, int64_t streams, int64_t width,
                      const Dtype* c_before, const Dtype* gates,
                      const Dtype* continues, const Dtype* c, const Dtype* dc,
                      const Dtype* dh, Dtype* dc_before, Dtype* dgates) {
  ForEachCell(stream, "LstmStepBackward", streams, width,
              LstmCellBackward<Dtype>{width, c_before, gates, continues, c, dc,
                                      dh, dc_before, dgates});
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template void ContinueStates(CUstream_st*, int64_t, int64_t, const Dtype*,   \
                               const Dtype*, Dtype*);                          \
  template void LstmStep(CUstream_st*, int64_t, int64_t, const Dtype*,         \
                         const Dtype*, const Dtype*, Dtype*, Dtype*);          \
  template void LstmStepBackward(CUstream_st*, int64_t, int64_t, const Dtype*, \
                                 const Dtype*, const Dtype*, const Dtype*,     \
                                 const Dtype*, const Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d

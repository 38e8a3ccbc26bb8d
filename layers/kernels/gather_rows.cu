#include "kernels/gather_rows_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/row_lists_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct CheckRowsKernel {
  RowIndex<Dtype> index;
  int64_t count;
  WrongRow* wrong;

  P3D_HOST_DEVICE WrongRow Sum(int64_t, int64_t lane) const {
    for (int64_t j = lane; j < count; j += kThreads) {
      if (index.find(j) < 0) return {j, static_cast<double>(index.values[j])};
    }
    return {-1, 0};
  }
  P3D_HOST_DEVICE void Store(int64_t, const WrongRow& first) const {
    *wrong = first;
  }
};

template <typename Value>
struct GatherKernel {
  RowIndex<RealOf<Value>> index;
  int64_t width;
  const Value* from;
  Value* to;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const int64_t row = index.find(Quotient(i, width));
      const auto values =
          row < 0 ? Runs::All(static_cast<Value>(RealOf<Value>(NAN)))
                  : Runs::Read(from + row * width + runs.d);
      Runs::Write(values, to + i);
    });
  }
};

template <typename Value>
struct GatherBackwardKernel {
  RowLists<RealOf<Value>> lists;
  int64_t width;
  const Value* dto;
  Value* dfrom;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto sums = Runs::template All<RealOf<Value>>(0);
      lists.Add(runs, i, width, dto, &sums);
      Runs::Write(sums, dfrom + i);
    });
  }
};

template <typename Value>
struct TileKernel {
  int64_t tiles, width;
  const Value* from;
  Value* to;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const int64_t row = Quotient(Quotient(i, width), tiles);
      Runs::Write(Runs::Read(from + row * width + runs.d), to + i);
    });
  }
};

template <typename Value>
struct TileBackwardKernel {
  int64_t tiles, width;
  const Value* dto;
  Value* dfrom;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      const Value* at = dto + (i - runs.d) * tiles + runs.d;
      auto sums = Runs::template All<RealOf<Value>>(0);
      P3D_UNROLL_4
      for (int64_t t = 0; t < tiles; ++t) {
        const auto values = Runs::Read(at + t * width);
        P3D_UNROLL
        for (int k = 0; k < Runs::kWidth; ++k) sums[k] += values[k];
      }
      Runs::Write(sums, dfrom + i);
    });
  }
};

}  // namespace

template <typename Dtype>
void CheckRows(CUstream_st* stream, const RowIndex<Dtype>& index, int64_t count,
               WrongRow* wrong) {
  SumRows(stream, "CheckRows", 1, CheckRowsKernel<Dtype>{index, count, wrong});
}

template <typename Value>
void GatherRows(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
                int64_t count, int64_t width, const Value* from, Value* to) {
  ForEachRun<Value>(stream, "GatherRows", count, width, Aligned(from, to),
                    GatherKernel<Value>{index, width, from, to});
}

template <typename Value>
void GatherRowsBackward(CUstream_st* stream,
                        const RowIndex<RealOf<Value>>& index, int64_t count,
                        int64_t width, const Value* dto, int64_t* scratch,
                        Value* dfrom) {
  const RowLists<RealOf<Value>> lists(stream, index, count, scratch);
  ForEachRun<Value>(stream, "GatherRowsBackward", index.rows, width,
                    Aligned(dto, dfrom),
                    GatherBackwardKernel<Value>{lists, width, dto, dfrom});
}

template <typename Value>
void TileRows(CUstream_st* stream, int64_t rows, int64_t tiles, int64_t width,
              const Value* from, Value* to) {
  ForEachRun<Value>(stream, "TileRows", rows * tiles, width, Aligned(from, to),
                    TileKernel<Value>{tiles, width, from, to});
}

template <typename Value>
void TileRowsBackward(CUstream_st* stream, int64_t rows, int64_t tiles,
                      int64_t width, const Value* dto, Value* dfrom) {
  ForEachRun<Value>(stream, "TileRowsBackward", rows, width,
                    Aligned(dto, dfrom),
                    TileBackwardKernel<Value>{tiles, width, dto, dfrom});
}

template void CheckRows(CUstream_st*, const RowIndex<float>&, int64_t,
                        WrongRow*);
template void CheckRows(CUstream_st*, const RowIndex<double>&, int64_t,
                        WrongRow*);

#define P3D_INSTANTIATE(Value)                                               \
  template void GatherRows(CUstream_st*, const RowIndex<RealOf<Value>>&,     \
                           int64_t, int64_t, const Value*, Value*);          \
  template void GatherRowsBackward(CUstream_st*,                             \
                                   const RowIndex<RealOf<Value>>&, int64_t,  \
                                   int64_t, const Value*, int64_t*, Value*); \
  template void TileRows(CUstream_st*, int64_t, int64_t, int64_t,            \
                         const Value*, Value*);                              \
  template void TileRowsBackward(CUstream_st*, int64_t, int64_t, int64_t,    \
                                 const Value*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d

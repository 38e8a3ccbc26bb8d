#include "kernels/crop.hpp"

#include <algorithm>

#include "kernels/narrow.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

namespace {

// Calls body(place, row, size) for every run of the block: where it lies in the
// whole, its number and its values.
template <typename Body>
void ForEachRun(const std::vector<CropAxis>& all, const Body& body) {
  std::vector<CropAxis> axes = Merged(all);
  const CropAxis run = axes.back();
  axes.pop_back();
  int64_t rows = 1;
  for (const CropAxis& axis : axes) rows *= axis.size;
  if (run.size == 0) return;
  ParallelRanges(rows, RowsPerRange(run.size), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t offset = run.offset;
      int64_t stride = run.in;
      int64_t rest = r;
      for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
        offset += (axis->offset + rest % axis->size) * stride;
        stride *= axis->in;
        rest /= axis->size;
      }
      body(offset, r, run.size);
    }
  });
}

}  // namespace

std::vector<CropAxis> Merged(const std::vector<CropAxis>& axes) {
  std::vector<CropAxis> merged = {CropAxis()};
  for (const CropAxis& axis : axes) {
    CropAxis& last = merged.back();
    const bool whole = axis.size == axis.in;
    if (whole || last.in == 1) {
      last = {last.in * axis.in, last.offset * axis.in + axis.offset,
              last.size * axis.size};
    } else {
      merged.push_back(axis);
    }
  }
  return merged;
}

template <typename Dtype>
void Crop(const std::vector<CropAxis>& axes, const Dtype* from, Dtype* to) {
  ForEachRun(axes, [=](int64_t place, int64_t row, int64_t size) {
    std::copy(from + place, from + place + size, to + row * size);
  });
}

template <typename Dtype>
void Uncrop(const std::vector<CropAxis>& axes, const Dtype* from, Dtype* to) {
  int64_t count = 1;
  for (const CropAxis& axis : axes) count *= axis.in;
  ParallelRanges(count, kRange, [=](int64_t begin, int64_t end) {
    std::fill(to + begin, to + end, Dtype(0));
  });
  ForEachRun(axes, [=](int64_t place, int64_t row, int64_t size) {
    std::copy(from + row * size, from + (row + 1) * size, to + place);
  });
}

template void Crop(const std::vector<CropAxis>&, const float*, float*);
template void Crop(const std::vector<CropAxis>&, const double*, double*);
template void Crop(const std::vector<CropAxis>&, const Bf16*, Bf16*);
template void Uncrop(const std::vector<CropAxis>&, const float*, float*);
template void Uncrop(const std::vector<CropAxis>&, const double*, double*);

}  // namespace p3d

#include "kernels/update_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/error.hpp"
#include "kernels/update_rules.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Rule, typename Dtype>
struct UpdateKernel {
  Rule rule;
  Regularization<Dtype> regularize;
  Dtype shrink;
  Dtype *w, *g, *a, *b;
  bool* finite;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto weights = runs.Read(w + i), steps = runs.Read(g + i),
           first = runs.Read(a + i), second = first;
      if (b) second = runs.Read(b + i);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        const Dtype gradient = regularize(steps[k], weights[k]);
        steps[k] = rule(gradient, &first[k], &second[k]) + shrink * weights[k];
        weights[k] -= steps[k];
        if (!(std::fabs(weights[k]) <= Largest(weights[k]))) *finite = false;
      }
      runs.Write(weights, w + i);
      runs.Write(steps, g + i);
      runs.Write(first, a + i);
      if (b) runs.Write(second, b + i);
    });
  }
  P3D_HOST_DEVICE static float Largest(float) { return FLT_MAX; }
  P3D_HOST_DEVICE static double Largest(double) { return DBL_MAX; }
};

// Arrays that share a launch, as many as it can be told of: a kernel has 4 KB
// of arguments.
constexpr int kTogether = 24;
struct Together {
  int arrays = 0;
  int64_t ends[kTogether];  // of the items of each, behind those before it

  void Add(int64_t items) {
    ends[arrays] = count() + items;
    ++arrays;
  }
  P3D_HOST_DEVICE int64_t count() const { return begin(arrays); }
  P3D_HOST_DEVICE int64_t begin(int array) const {
    return array > 0 ? ends[array - 1] : 0;
  }
  P3D_HOST_DEVICE int ArrayOf(int64_t item) const {
    int low = 0, high = arrays - 1;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (item < ends[middle]) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
};

// body(first array, behind the last) for arrays that share launches.
template <typename Array, typename Body>
void ForEachTogether(const std::vector<Array>& arrays, const Body& body) {
  for (size_t i = 0; i < arrays.size(); i += kTogether) {
    const Array* first = arrays.data() + i;
    body(first, first + std::min<size_t>(kTogether, arrays.size() - i));
  }
}

// Items are runs of n values; the last of an array may be shorter.
template <int n, typename Rule, typename Dtype>
struct Updates {
  Together runs;
  int64_t counts[kTogether];
  UpdateKernel<Rule, Dtype> kernels[kTogether];

  P3D_HOST_DEVICE void operator()(int64_t first, int64_t step) const {
    const int64_t end = runs.count();
    for (int64_t run = first; run < end; run += step) {
      const int array = runs.ArrayOf(run);
      const int64_t at = (run - runs.begin(array)) * n, stop = at + n;
      if (stop <= counts[array]) {
        kernels[array](Runs<n, false>{at, n, stop, 0});
      } else {
        kernels[array](Runs<1, false>{at, 1, counts[array], 0});
      }
    }
  }
};

template <int n, typename Rule, typename Dtype>
void ApplyTogether(CUstream_st* stream, const ParamUpdate<Dtype>* first,
                   const ParamUpdate<Dtype>* last) {
  Updates<n, Rule, Dtype> updates;
  for (const ParamUpdate<Dtype>* p = first; p != last; ++p) {
    const int array = updates.runs.arrays;
    updates.counts[array] = p->count;
    updates.kernels[array] = {Rule(p->step),
                              Regularization<Dtype>(p->step),
                              static_cast<Dtype>(p->step.shrink),
                              p->w,
                              p->g,
                              p->a,
                              p->b,
                              p->finite};
    updates.runs.Add((p->count + n - 1) / n);
  }
  if (updates.runs.count() == 0) return;
  detail::LaunchThreads(stream, "Update", updates.runs.count(), updates);
}

template <typename Rule, typename Dtype>
void Apply(CUstream_st* stream, const std::vector<ParamUpdate<Dtype>>& params) {
  using Param = ParamUpdate<Dtype>;
  constexpr int n = kRunBytes / sizeof(Dtype);
  ForEachTogether(params, [&](const Param* first, const Param* last) {
    const bool aligned = std::all_of(first, last, [](const Param& p) {
      return Aligned(p.w, p.g, p.a, p.b);
    });
    (aligned ? ApplyTogether<n, Rule, Dtype>
             : ApplyTogether<1, Rule, Dtype>)(stream, first, last);
  });
}

// From the count alone, lest results depend on the GPU.
int64_t SquareParts(int64_t count) {
  constexpr int64_t kParts = kSumOfSquaresScratch / kTogether;  // at most
  constexpr int64_t kPartValues = 4096;                         // at least
  return std::min(kParts, std::max<int64_t>(1, count / kPartValues));
}

// Row `item`: the sum of the squares of that part of an array.
template <typename Dtype>
struct SquareSums {
  Together parts;
  int64_t counts[kTogether];
  const Dtype* arrays[kTogether];
  double* sums;

  P3D_HOST_DEVICE double Sum(int64_t item, int64_t lane) const {
    const int array = parts.ArrayOf(item);
    const int64_t before = parts.begin(array), part = item - before;
    const int64_t all = parts.ends[array] - before, count = counts[array];
    const int64_t end = Quotient(count * (part + 1), all);
    const Dtype* x = arrays[array];
    double sum = 0;
    P3D_UNROLL_4
    for (int64_t i = Quotient(count * part, all) + lane; i < end;
         i += kThreads) {
      sum += static_cast<double>(x[i]) * x[i];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t item, double sum) const {
    sums[item] = sum;
  }
};

// Row `array`: the sum of its parts.
struct TotalSums {
  Together parts;
  const double* sums;
  double* totals[kTogether];

  P3D_HOST_DEVICE double Sum(int64_t array, int64_t lane) const {
    const int64_t begin = parts.begin(static_cast<int>(array));
    double sum = 0;
    for (int64_t i = begin + lane; i < parts.ends[array]; i += kThreads) {
      sum += sums[i];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t array, double sum) const {
    *totals[array] = sum;
  }
};

}  // namespace

template <typename Dtype>
void Update(CUstream_st* stream,
            const std::vector<ParamUpdate<Dtype>>& params) {
  if (params.empty()) return;
  switch (params[0].step.rule) {
    case UpdateRule::kSgd:
      return Apply<Sgd<Dtype>>(stream, params);
    case UpdateRule::kNesterov:
      return Apply<Nesterov<Dtype>>(stream, params);
    case UpdateRule::kAdaGrad:
      return Apply<AdaGrad<Dtype>>(stream, params);
    case UpdateRule::kRmsProp:
      return Apply<RmsProp<Dtype>>(stream, params);
    case UpdateRule::kAdaDelta:
      return Apply<AdaDelta<Dtype>>(stream, params);
    case UpdateRule::kAdam:
      return Apply<Adam<Dtype>>(stream, params);
  }
  Fail("there is no such update rule");
}

template <typename Dtype>
void SumOfSquares(CUstream_st* stream,
                  const std::vector<SquaresOf<Dtype>>& arrays,
                  double* scratch) {
  using Array = SquaresOf<Dtype>;
  ForEachTogether(arrays, [&](const Array* first, const Array* last) {
    SquareSums<Dtype> squares;
    TotalSums totals;
    for (const Array* array = first; array != last; ++array) {
      const int i = squares.parts.arrays;
      squares.counts[i] = array->count;
      squares.arrays[i] = array->x;
      totals.totals[i] = array->sum;
      squares.parts.Add(SquareParts(array->count));
    }
    totals.sums = squares.sums = scratch;
    totals.parts = squares.parts;
    SumRows(stream, "SumOfSquares", squares.parts.count(), squares);
    SumRows(stream, "SumOfSquares total", totals.parts.arrays, totals);
  });
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void Update(CUstream_st*, const std::vector<ParamUpdate<Dtype>>&); \
  template void SumOfSquares(CUstream_st*,                                    \
                             const std::vector<SquaresOf<Dtype>>&, double*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d

#include "kernels/lrn.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

// squares[c + 1] - squares[c] = x[c]^2
template <typename Dtype>
void SumSquares(int64_t channels, const Dtype* x, double* squares) {
  squares[0] = 0;
  for (int64_t c = 0; c < channels; ++c) {
    squares[c + 1] = squares[c] + static_cast<double>(x[c]) * x[c];
  }
}

}  // namespace

template <typename Dtype>
void LrnAcrossChannels(int64_t rows, int64_t channels, int64_t size, double k,
                       double alpha, double beta, const Dtype* x, Dtype* y) {
  const int64_t reach = (size - 1) / 2;
  const double factor = alpha / static_cast<double>(size);
  ParallelRanges(rows, RowsPerRange(channels), [&](int64_t begin, int64_t end) {
    const Scratch<double> squares(channels + 1);
    const double* sums = squares.data();
    for (int64_t r = begin; r < end; ++r) {
      SumSquares(channels, x + r * channels, squares.data());
      for (int64_t c = 0; c < channels; ++c) {
        const double sum = sums[std::min(channels, c + reach + 1)] -
                           sums[std::max<int64_t>(0, c - reach)];
        y[r * channels + c] = static_cast<Dtype>(
            x[r * channels + c] * std::pow(k + factor * sum, -beta));
      }
    }
  });
}

template <typename Dtype>
void LrnSquares(int64_t count, const Dtype* x, Dtype* squares) {
  ParallelRanges(count, kRange, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) squares[i] = x[i] * x[i];
  });
}

template <typename Dtype>
void LrnApply(int64_t count, double alpha, double beta,
              const Dtype* mean_square, const Dtype* x, Dtype* y) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      y[i] = static_cast<Dtype>(x[i] *
                                std::pow(1 + alpha * mean_square[i], -beta));
    }
  });
}

template <typename Dtype>
void LrnAcrossChannelsBackward(int64_t rows, int64_t channels, int64_t size,
                               double k, double alpha, double beta,
                               const Dtype* x, const Dtype* dy, Dtype* dx) {
  const int64_t reach = (size - 1) / 2;
  const double factor = alpha / static_cast<double>(size);
  ParallelRanges(rows, RowsPerRange(channels), [&](int64_t begin, int64_t end) {
    const Scratch<double> memory(3 * channels + 2);
    double* squares = memory.data();
    double* pulls = squares + channels + 1;  // likewise, sums up to c
    double* scale = pulls + channels + 1;
    const auto around = [=](const double* sums, int64_t c) {
      return sums[std::min(channels, c + reach + 1)] -
             sums[std::max<int64_t>(0, c - reach)];
    };
    for (int64_t r = begin; r < end; ++r) {
      const Dtype* row = x + r * channels;
      const Dtype* gradient = dy + r * channels;
      SumSquares(channels, row, squares);
      pulls[0] = 0;
      for (int64_t c = 0; c < channels; ++c) {
        const double s = k + factor * around(squares, c);
        scale[c] = std::pow(s, -beta);
        pulls[c + 1] = pulls[c] + gradient[c] * row[c] * scale[c] / s;
      }
      for (int64_t c = 0; c < channels; ++c) {
        dx[r * channels + c] =
            static_cast<Dtype>(gradient[c] * scale[c] -
                               2 * factor * beta * row[c] * around(pulls, c));
      }
    }
  });
}

template <typename Dtype>
void LrnApplyBackward(int64_t count, double alpha, double beta,
                      const Dtype* mean_square, const Dtype* x, const Dtype* dy,
                      Dtype* dmean_square, Dtype* dx) {
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double s = 1 + alpha * mean_square[i];
      const double scaled = dy[i] * std::pow(s, -beta);
      dmean_square[i] = static_cast<Dtype>(-alpha * beta * x[i] * scaled / s);
      dx[i] = static_cast<Dtype>(scaled);
    }
  });
}

template <typename Dtype>
void LrnSquaresBackward(int64_t count, const Dtype* x, const Dtype* dsquares,
                        Dtype* dx) {
  ParallelRanges(count, kRange, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] += 2 * x[i] * dsquares[i];
  });
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void LrnAcrossChannels(int64_t, int64_t, int64_t, double, double,  \
                                  double, const Dtype*, Dtype*);              \
  template void LrnSquares(int64_t, const Dtype*, Dtype*);                    \
  template void LrnApply(int64_t, double, double, const Dtype*, const Dtype*, \
                         Dtype*);                                             \
  template void LrnAcrossChannelsBackward(int64_t, int64_t, int64_t, double,  \
                                          double, double, const Dtype*,       \
                                          const Dtype*, Dtype*);              \
  template void LrnApplyBackward(int64_t, double, double, const Dtype*,       \
                                 const Dtype*, const Dtype*, Dtype*, Dtype*); \
  template void LrnSquaresBackward(int64_t, const Dtype*, const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d

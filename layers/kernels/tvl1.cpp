#include "kernels/tvl1.hpp"

#include <vector>

#include "kernels/cpu/isa.hpp"
#include "kernels/tvl1_rows.hpp"

namespace p3d {
namespace {

const Tvl1Rows& Rows() {
  switch (ActiveIsa()) {
    case Isa::kAmx:
    case Isa::kAvx512:
      return *Tvl1RowsAvx512();
    case Isa::kAvx2:
      return *Tvl1RowsAvx2();
    default:
      return *Tvl1RowsGeneric();
  }
}

class Iteration {
 public:
  Iteration(const Tvl1Images& images, const Tvl1Weights& weights)
      : t_(images),
        weights_(weights),
        pull_(images.width),
        zeroes_(images.width) {}

  // The dual variables of a row follow once the flow of the row below is there,
  // which by then has read them.
  double Run() {
    double changed = 0;
    for (int64_t y = 0; y < t_.height; ++y) {
      changed += MoveRow(y);
      if (y > 0) FollowRow(y - 1, y);
    }
    FollowRow(t_.height - 1, t_.height - 1);
    return changed;
  }

 private:
  double MoveRow(int64_t y) {
    const int64_t at = y * t_.width;
    const float most = weights_.lambda * weights_.theta;
    rows_.Pull(t_.width, most, t_.residual + at, t_.gradient_x + at,
               t_.gradient_y + at, t_.flow_x + at, t_.flow_y + at,
               pull_.data());
    double changed = Move(y, t_.gradient_x, t_.dual_xx, t_.dual_xy, t_.flow_x);
    changed += Move(y, t_.gradient_y, t_.dual_yx, t_.dual_yy, t_.flow_y);
    return changed;
  }
  double Move(int64_t y, const float* gradient, const float* dual_x,
              const float* dual_y, float* flow) {
    const int64_t at = y * t_.width;
    const float* above = y > 0 ? dual_y + at - t_.width : zeroes_.data();
    return rows_.Flow(t_.width, weights_.theta, pull_.data(), gradient + at,
                      dual_x + at, dual_y + at, above, flow + at);
  }
  void FollowRow(int64_t y, int64_t below) {
    const int64_t at = y * t_.width, next = below * t_.width;
    const float step = weights_.tau / weights_.theta;
    rows_.Dual(t_.width, step, t_.flow_x + at, t_.flow_x + next,
               t_.dual_xx + at, t_.dual_xy + at);
    rows_.Dual(t_.width, step, t_.flow_y + at, t_.flow_y + next,
               t_.dual_yx + at, t_.dual_yy + at);
  }

  const Tvl1Images& t_;
  const Tvl1Weights& weights_;
  const Tvl1Rows& rows_ = Rows();
  std::vector<float> pull_, zeroes_;
};

}  // namespace

double Tvl1Iterate(const Tvl1Images& images, const Tvl1Weights& weights,
                   int64_t iterations, double enough) {
  if (images.height <= 0 || images.width <= 0) return 0;
  Iteration iteration(images, weights);
  double changed = iteration.Run();
  for (int64_t i = 1; i < iterations && changed > enough; ++i) {
    changed = iteration.Run();
  }
  return changed;
}

}  // namespace p3d

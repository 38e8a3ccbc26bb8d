// The functions of tvl1_rows.hpp as plain loops, for compilers to make vectors
// of. A source file of one instruction set includes this inside its target
// region and an unnamed namespace. There is no include guard: each of those
// files has its own copy.

void Pull(int64_t width, float most, const float* __restrict residual,
          const float* __restrict gradient_x,
          const float* __restrict gradient_y, const float* __restrict flow_x,
          const float* __restrict flow_y, float* __restrict pull) {
  constexpr float kTiny = 1e-20f;  // instead of 0
  for (int64_t i = 0; i < width; ++i) {
    const float gx = gradient_x[i], gy = gradient_y[i];
    const float rho = residual[i] + (gx * flow_x[i] + gy * flow_y[i]);
    const float square = gx * gx + gy * gy;
    const float whole = -rho / (square > kTiny ? square : kTiny);
    const float bounded = whole < most ? whole : most;
    pull[i] = bounded > -most ? bounded : -most;
  }
}

float Flow(int64_t width, float theta, const float* __restrict pull,
           const float* __restrict gradient, const float* __restrict dual_x,
           const float* __restrict dual_y, const float* __restrict dual_y_above,
           float* __restrict flow) {
  constexpr int kSums = 16;  // of every 16th value each
  float sums[kSums] = {};
  const auto move = [&](int64_t i, float dual_x_before) {
    const float divergence =
        dual_x[i] - dual_x_before + dual_y[i] - dual_y_above[i];
    const float change = pull[i] * gradient[i] + theta * divergence;
    flow[i] += change;
    return change * change;
  };
  sums[0] = move(0, 0);
  int64_t i = 1;
  for (; i + kSums <= width; i += kSums) {
    for (int k = 0; k < kSums; ++k) sums[k] += move(i + k, dual_x[i + k - 1]);
  }
  for (; i < width; ++i) sums[0] += move(i, dual_x[i - 1]);
  float sum = 0;
  for (float part : sums) sum += part;
  return sum;
}

void Dual(int64_t width, float step, const float* __restrict flow,
          const float* below, float* __restrict dual_x,
          float* __restrict dual_y) {
  const auto follow = [&](int64_t i, float dx) {
    const float dy = below[i] - flow[i];
    const float scale = 1 / (1 + step * std::sqrt(dx * dx + dy * dy));
    dual_x[i] = (dual_x[i] + step * dx) * scale;
    dual_y[i] = (dual_y[i] + step * dy) * scale;
  };
  for (int64_t i = 0; i < width - 1; ++i) follow(i, flow[i + 1] - flow[i]);
  follow(width - 1, 0);
}

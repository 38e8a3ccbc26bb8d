// Times the convolutions of P3D-199 (16x160x160) one by one and as a whole net.
//
//   bench_conv [--batch N] [--threads T] [--isa NAME] [--rounds R] [--net]
//              [--only LAYER] [--bf16]
//
// Every result is checked against the plain loops in double before it is timed.
// Per shape: minimum and median of the rounds, and GFLOP/s as a share of the
// fused-multiply-add peak that the same threads reach at the same time.
// Products with padding count as work, so a kernel that leaves them out can
// pass 100 %.
// --net runs all 202 layers in order, each with its own weights (262 MB).
// --bf16 takes bfloat16 values; its products can pass the peak, which is that
// of floats, by far.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/buffer.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/cpu/fma_peak.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"

namespace {

using p3d::Bf16;
using p3d::Conv;
using p3d::ConvAxis;
using p3d::ConvShape;
using p3d::Epilogue;
using p3d::Isa;

// What convolves such values.
template <typename Value>
using ConvOf = std::conditional_t<std::is_same<Value, Bf16>::value,
                                  const p3d::Bf16Conv, Conv>;

struct Layer {
  const char* name;
  int count;  // in P3D-199
  int64_t channels, num_output;
  int64_t in[3], kernel[3], stride[3], pad[3];
};

const Layer kLayers[] = {
    {"conv1", 1, 3, 64, {16, 160, 160}, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}},
    {"res2a_a", 1, 64, 64, {8, 40, 40}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res2_a", 2, 256, 64, {8, 40, 40}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res2_s", 3, 64, 64, {8, 40, 40}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
    {"res2_t", 3, 64, 64, {8, 40, 40}, {3, 1, 1}, {1, 1, 1}, {1, 0, 0}},
    {"res2_c", 4, 64, 256, {8, 40, 40}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res3a_a", 1, 256, 128, {4, 40, 40}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res3a_1", 1, 256, 512, {4, 40, 40}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res3_a", 7, 512, 128, {4, 20, 20}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res3_s", 8, 128, 128, {4, 20, 20}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
    {"res3_t", 8, 128, 128, {4, 20, 20}, {3, 1, 1}, {1, 1, 1}, {1, 0, 0}},
    {"res3_c", 8, 128, 512, {4, 20, 20}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res4a_a", 1, 512, 256, {2, 20, 20}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res4a_1", 1, 512, 1024, {2, 20, 20}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res4_a", 35, 1024, 256, {2, 10, 10}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res4_s", 36, 256, 256, {2, 10, 10}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
    {"res4_t", 36, 256, 256, {2, 10, 10}, {3, 1, 1}, {1, 1, 1}, {1, 0, 0}},
    {"res4_c", 36, 256, 1024, {2, 10, 10}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res5a_a", 1, 1024, 512, {1, 10, 10}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res5a_1", 1, 1024, 2048, {1, 10, 10}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}},
    {"res5_a", 2, 2048, 512, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
    {"res5_s", 3, 512, 512, {1, 5, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
    {"res5_c", 3, 512, 2048, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
};

struct Options {
  int64_t batch = 1;
  int rounds = 200;
  bool net = false;
  bool bf16 = false;
  std::string only;
};

double Seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

ConvShape ShapeOf(const Layer& layer, int64_t batch) {
  ConvShape shape;
  shape.num = batch;
  shape.channels = layer.channels;
  shape.num_output = layer.num_output;
  for (int i = 0; i < 3; ++i) {
    shape.axes.push_back(ConvAxis{layer.in[i], layer.kernel[i], layer.stride[i],
                                  1, layer.pad[i], layer.pad[i]});
  }
  return shape;
}

// Values in memory as the engine takes it.
template <typename Value>
class Array {
 public:
  explicit Array(int64_t count)
      : buffer_(count * sizeof(Value)),
        data_(static_cast<Value*>(buffer_.data())),
        count_(count) {}
  // As other values.
  template <typename From>
  Array(const From* from, int64_t count) : Array(count) {
    std::copy_n(from, count, data_);
  }
  Value* get() { return data_; }
  void FillRandom(uint32_t seed, float scale) {
    std::minstd_rand random(seed + 1);
    for (int64_t i = 0; i < count_; ++i) {
      data_[i] = (static_cast<float>(random() % 2001) - 1000) * scale / 1000;
    }
  }

 private:
  p3d::Buffer buffer_;
  Value* data_;
  int64_t count_;
};
using Floats = Array<float>;

// One convolution with all its buffers.
template <typename Value>
struct Case {
  Case(const Layer& layer, int64_t batch, Isa isa, uint32_t seed)
      : shape(ShapeOf(layer, batch)),
        conv(ConvOf<Value>::Create(shape, isa)),
        x(shape.num * shape.in_pixels() * shape.channels),
        y(shape.num * shape.out_pixels() * shape.num_output),
        residual(shape.num * shape.out_pixels() * shape.num_output),
        weights(shape.weight_count()),
        packed(conv->packed_size()),
        workspace(conv->workspace_size()),
        scale(shape.num_output),
        shift(shape.num_output) {
    x.FillRandom(seed, 1);
    weights.FillRandom(
        seed + 1, 1 / std::sqrt(shape.weight_count() / 1.f / shape.num_output));
    scale.FillRandom(seed + 2, 1);
    shift.FillRandom(seed + 3, 1);
    residual.FillRandom(seed + 4, 1);
    conv->Pack(weights.get(), packed.get());
    epilogue.scale = scale.get();
    epilogue.shift = shift.get();
    epilogue.inner_relu = true;
    if (std::strstr(layer.name, "_c")) epilogue.residual = residual.get();
  }
  void Run() {
    conv->Run(x.get(), packed.get(), epilogue, y.get(), workspace.get());
  }

  ConvShape shape;
  std::unique_ptr<ConvOf<Value>> conv;
  Array<Value> x, y, residual;
  Floats weights, packed, workspace, scale, shift;
  Epilogue<Value> epilogue;
};

template <typename Value>
void CheckResult(Case<Value>* c) {
  std::unique_ptr<Conv> plain =
      p3d::CreateConvReference(c->shape, Isa::kGeneric);
  const int64_t in = c->shape.num * c->shape.in_pixels() * c->shape.channels;
  const int64_t count =
      c->shape.num * c->shape.out_pixels() * c->shape.num_output;
  Floats expected(count), x(c->x.get(), in), residual(c->residual.get(), count);
  plain->Run(x.get(), c->weights.get(),
             c->epilogue.As(c->epilogue.residual ? residual.get() : nullptr),
             expected.get(), nullptr);
  c->Run();
  float worst = 0, largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float y = c->y.get()[i];
    worst = std::max(worst, std::fabs(y - expected.get()[i]));
    largest = std::max(largest, std::fabs(expected.get()[i]));
  }
  const float most = std::is_same<Value, Bf16>::value ? .01f : 1e-5f;
  p3d::Check(worst <= most * largest, c->conv->name(), " is off by ", worst,
             " where the largest value is ", largest);
}

template <typename Value>
void BenchShapes(const Options& options, double peak) {
  std::printf("%-8s %5s %9s %9s %8s %6s  %s\n", "layer", "count", "min ms",
              "median", "GFLOP/s", "peak", "kernel");
  double total = 0, total_min = 0, flops = 0;
  for (const Layer& layer : kLayers) {
    if (!options.only.empty() && options.only != layer.name) continue;
    Case<Value> c(layer, options.batch, p3d::ActiveIsa(), 1701);
    CheckResult(&c);
    const double once = 2e-9 * c.shape.macs();
    const int repeat = std::max(1, static_cast<int>(0.1 / once));
    std::vector<double> times;
    for (int round = 0; round < options.rounds; ++round) {
      const double start = Seconds();
      for (int i = 0; i < repeat; ++i) c.Run();
      times.push_back((Seconds() - start) / repeat);
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    std::printf("%-8s %5d %9.3f %9.3f %8.1f %5.1f%%  %s\n", layer.name,
                layer.count, times[0] * 1e3, median * 1e3, once / times[0],
                100 * once / times[0] / peak, c.conv->name());
    total += median * layer.count;
    total_min += times[0] * layer.count;
    flops += once * layer.count;
  }
  std::printf("%-8s %5s %9.3f %9.3f %8.1f %5.1f%%\n", "sum", "",
              total_min * 1e3, total * 1e3, flops / total_min,
              100 * flops / total_min / peak);
}

// The layers in the order of the net; units run a, s, t, c.
std::vector<const Layer*> NetOrder() {
  std::vector<const Layer*> order;
  const auto add = [&](const std::string& name) {
    for (const Layer& layer : kLayers) {
      if (name == layer.name) order.push_back(&layer);
    }
  };
  add("conv1");
  const int units[] = {3, 8, 36, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const std::string res = "res" + std::to_string(stage + 2);
    for (int unit = 0; unit < units[stage]; ++unit) {
      add(res + (unit ? "_a" : "a_a"));
      add(res + "_s");
      if (stage < 3) add(res + "_t");
      if (unit == 0) add(stage ? res + "a_1" : res + "_c");
      add(res + "_c");
    }
  }
  return order;
}

// All layers with weights of their own. Activations go round in a few buffers,
// as they do in the engine's arena; a unit's sum is made in place.
template <typename Value>
class Net {
 public:
  explicit Net(int64_t batch) : order_(NetOrder()) {
    int64_t packed = 0, workspace = 0;
    for (const Layer* layer : order_) {
      const ConvShape shape = ShapeOf(*layer, batch);
      convs_.push_back(ConvOf<Value>::Create(shape));
      offsets_.push_back(packed);
      packed += (convs_.back()->packed_size() + 15) / 16 * 16;
      workspace = std::max(workspace, convs_.back()->workspace_size());
      const int64_t largest = std::max(shape.in_pixels() * shape.channels,
                                       shape.out_pixels() * shape.num_output);
      int64_t& size = layer == order_[0] ? first_size_ : size_;
      size = std::max(size, batch * largest);
      flops += 2. * shape.macs();
    }
    packed_.reset(new Floats(packed));
    buffers_.reset(new Array<Value>(first_size_ + 3 * size_));
    workspace_.reset(new Floats(workspace));
    packed_->FillRandom(1, .02f);
    buffers_->FillRandom(2, 1);
    scale_.FillRandom(3, 1);
  }

  int64_t steps() const { return order_.size(); }
  const Layer& layer(int64_t step) const { return *order_[step]; }

  void Run(int64_t step) {
    // The unit's input and output, and two for what is between.
    Value* const first = buffers_->get();
    Value* const main = first + first_size_;
    Value* const a = main + size_;
    Value* const b = a + size_;
    const std::string name = order_[step]->name;
    const char kind = name.back();
    Epilogue<Value> epilogue;
    epilogue.scale = epilogue.shift = scale_.get();
    epilogue.inner_relu = kind != 'c';
    const Value* from = main;
    Value* to = a;
    if (kind == 's') from = a, to = b;
    if (kind == 't') from = b, to = a;
    if (kind == 'c') {
      from = order_[step]->in[0] > 1 ? a : b, to = main;
      epilogue.residual = main;
      epilogue.outer_relu = true;
    }
    // A projection has its place at the side; here the next layer's input.
    if (kind == '1') to = b;
    if (step == 0) from = a, to = first;
    p3d::NextWeights next;
    if (step + 1 < steps()) {
      next.packed = packed_->get() + offsets_[step + 1];
      next.size = convs_[step + 1]->packed_size();
    }
    convs_[step]->Run(from, packed_->get() + offsets_[step], epilogue, to,
                      workspace_->get(), next);
  }

  double flops = 0;

 private:
  const std::vector<const Layer*> order_;
  std::vector<std::unique_ptr<ConvOf<Value>>> convs_;
  std::vector<int64_t> offsets_;  // of the weights
  int64_t first_size_ = 0, size_ = 0;
  std::unique_ptr<Floats> packed_, workspace_;
  std::unique_ptr<Array<Value>> buffers_;
  Floats scale_{2048};
};

// The sum of every layer's fastest round is what a machine does that nothing
// else disturbs.
template <typename Value>
void BenchNet(const Options& options, double peak) {
  Net<Value> net(options.batch);
  std::vector<double> rounds, best(net.steps(), 1e9);
  for (int round = 0; round < options.rounds; ++round) {
    const double start = Seconds();
    double mark = start;
    for (int64_t i = 0; i < net.steps(); ++i) {
      net.Run(i);
      const double now = Seconds();
      best[i] = std::min(best[i], now - mark);
      mark = now;
    }
    rounds.push_back(mark - start);
  }
  double sum = 0;
  for (const Layer& layer : kLayers) {
    double time = 0;
    for (int64_t i = 0; i < net.steps(); ++i) {
      if (&net.layer(i) == &layer) time += best[i];
    }
    const double flops =
        2. * ShapeOf(layer, options.batch).macs() * layer.count;
    std::printf("%-8s %5d %9.3f ms %8.1f GFLOP/s %5.1f%%\n", layer.name,
                layer.count, time * 1e3, flops / time / 1e9,
                flops / time / 1e7 / peak);
    sum += time;
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf(
      "net, ms per clip: fastest layers %.2f (%.1f%% of the peak), fastest "
      "round %.2f, median %.2f\n",
      sum * 1e3 / options.batch, net.flops / sum / 1e7 / peak,
      rounds[0] * 1e3 / options.batch,
      rounds[rounds.size() / 2] * 1e3 / options.batch);
}

template <typename Value>
void Bench(const Options& options, double peak) {
  if (options.net) {
    BenchNet<Value>(options, peak);
  } else {
    BenchShapes<Value>(options, peak);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--net") {
      options.net = true;
    } else if (flag == "--bf16") {
      options.bf16 = true;
    } else if (has_value && flag == "--batch") {
      options.batch = std::atoi(argv[++i]);
    } else if (has_value && flag == "--threads") {
      p3d::SetNumThreads(std::atoi(argv[++i]));
    } else if (has_value && flag == "--isa") {
      p3d::SetActiveIsa(p3d::ParseIsa(argv[++i]));
    } else if (has_value && flag == "--rounds") {
      options.rounds = std::atoi(argv[++i]);
    } else if (has_value && flag == "--only") {
      options.only = argv[++i];
    } else {
      p3d::Fail("bench_conv does not know '", flag, "'; see its source.");
    }
  }
  const double peak = p3d::FmaPeak(p3d::ActiveIsa(), 0.1);
  std::printf("%d threads, %s, batch %d, FMA peak %.1f GFLOP/s\n",
              p3d::NumThreads(), p3d::IsaName(p3d::ActiveIsa()),
              static_cast<int>(options.batch), peak);
  (options.bf16 ? Bench<Bf16> : Bench<float>)(options, peak);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

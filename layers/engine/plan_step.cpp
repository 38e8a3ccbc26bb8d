#include "engine/plan_step.hpp"

#include <algorithm>

#include "engine/layers/convolution_layer.hpp"

namespace p3d {

PlanWorkspace::PlanWorkspace(const std::vector<PlanStep>& steps) {
  for (Side side : {Side::kHost, Side::kGpu}) {
    int64_t most = 0;
    for (const PlanStep& step : steps) {
      if (!step.convolution || step.convolution->side() != side) continue;
      most = std::max(most, step.convolution->workspace_size(side));
    }
    const size_t bytes = static_cast<size_t>(most) * sizeof(float);
    if (most > 0) buffer(side).reset(new SideBuffer(side, bytes));
  }
}

uint64_t PlanStep::AffineVersion(const Net<float>& net) const {
  uint64_t version = 1;
  for (int i : affine) {
    for (const auto& blob : net.layers()[i]->blobs()) {
      version += blob->storage().version();
    }
  }
  if (convolution->bias_or_null()) {
    version += convolution->blobs()[1]->storage().version();
  }
  return version;
}

void PlanStep::FoldAffine(const Net<float>& net) {
  if (affine.empty()) {
    epilogue.shift = convolution->bias_or_null(convolution->side());
    return;
  }
  if (AffineVersion(net) == affine_version) return;
  const float* bias = convolution->bias_or_null();
  const size_t channels = scale.size();
  std::fill(scale.begin(), scale.end(), 1.f);
  std::fill(shift.begin(), shift.end(), 0.f);
  if (bias) std::copy(bias, bias + channels, shift.begin());
  std::vector<float> factor(channels), offset(channels);
  for (int i : affine) {
    net.layers()[i]->Affine(factor.data(), offset.data());
    for (size_t c = 0; c < channels; ++c) {
      scale[c] *= factor[c];
      shift[c] = shift[c] * factor[c] + offset[c];
    }
  }
  // Behind the reading, which is when fillers make values.
  affine_version = AffineVersion(net);
  PlaceAffine();
}

// Where the convolution runs: a plan is for one side.
void PlanStep::PlaceAffine() {
  const float* factors = scale.data();
  const float* offsets = shift.data();
  if (convolution->side() == Side::kGpu) {
    const size_t bytes = scale.size() * sizeof(float);
    if (!gpu_affine) gpu_affine.reset(new GpuBuffer(2 * bytes));
    float* memory = static_cast<float*>(gpu_affine->data());
    Gpu().CopyToDevice(memory, factors, bytes);
    Gpu().CopyToDevice(memory + scale.size(), offsets, bytes);
    factors = memory;
    offsets = memory + scale.size();
  }
  epilogue.scale = factors;
  epilogue.shift = offsets;
}

void PlanStep::CheckShapes(const Net<float>& net,
                           const std::vector<Shape>& shapes) const {
  const Layer<float>& layer = *net.layers()[layers[0]];
  if (!layer.Foreign() || net.HasShapes(shapes)) return;
  const std::vector<int>& tops = net.top_ids(layers[0]);
  bool own = true;
  for (size_t id = 0; id < shapes.size(); ++id) {
    own &= net.blobs()[id]->shape() == shapes[id] ||
           std::count(tops.begin(), tops.end(), static_cast<int>(id)) > 0;
  }
  throw ShapesChanged(
      layer.type() + " '" + layer.name() +
          "': changed the shape of a blob while the net ran; only "
          "forward() of the layer may do that, for its own tops. "
          "The next run goes layer by layer",
      own ? layers[0] : -1);
}

float PlanStep::Run(Net<float>* net, const PlanWorkspace& memory,
                    const NextWeights& next) {
  const int layer = layers[0];
  if (!convolution) return net->RunLayer(layer);
  net->InLayer(net->layers()[layer]->spec(),
               [&] { Convolve(*net, memory, next); });
  return 0;
}

// Losses are added up on the host.
bool PlanStep::Replayable(const Net<float>& net) const {
  const Layer<float>& layer = *net.layers()[layers[0]];
  const std::vector<int>& tops = net.top_ids(layers[0]);
  return layer.side() == Side::kGpu && layer.Replayable() &&
         std::all_of(tops.begin(), tops.end(),
                     [&](int id) { return net.loss_weights()[id] == 0; });
}

void PlanStep::Refresh(Net<float>* net) {
  Layer<float>* layer = net->layers()[layers[0]].get();
  net->InLayer(layer->spec(), [&] {
    if (convolution) {
      FoldAffine(*net);
    } else {
      layer->Refresh();
    }
  });
}

void PlanStep::Verify(Net<float>* net) {
  if (!convolution) net->VerifyLayer(layers[0]);
}

void PlanStep::Convolve(const Net<float>& net, const PlanWorkspace& memory,
                        const NextWeights& next) {
  FoldAffine(net);
  float* workspace = memory.on(convolution->side());
  if (convolution->side() == Side::kGpu) {
    return convolution->RunOnGpu(*x, epilogue, residual, workspace, y);
  }
  convolution->RunOnHost(*x, epilogue, residual, narrow, workspace, next, y);
}

int64_t PlanStep::Values(const Net<float>& net) const {
  int64_t values = 0;
  for (const auto& blob : net.layers()[layers[0]]->blobs()) {
    values += blob->count();
  }
  if (convolution) {
    const int64_t added = residual ? residual->count() : 0;
    return values + x->count() + added + y->count();
  }
  for (const Blob<float>* blob : net.bottom(layers[0])) values += blob->count();
  for (const Blob<float>* blob : net.top(layers[0])) values += blob->count();
  return values;
}

StepTime PlanStep::Describe(const Net<float>& net) const {
  StepTime time;
  for (int i : layers) {
    if (!time.layers.empty()) time.layers += " + ";
    time.layers += net.layers()[i]->name();
  }
  const Layer<float>& first = *net.layers()[layers[0]];
  time.type = first.type();
  time.kernel = first.kernel();
  time.macs = first.macs();
  time.values = Values(net);
  return time;
}

}  // namespace p3d

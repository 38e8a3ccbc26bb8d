#include "kernels/conv/cudnn_conv.hpp"

#include <deque>
#include <memory>

#include "kernels/conv/conv_flat.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cudnn {
namespace {

using cuda::ConvForm;
using cuda::ConvPlaces;
using cuda::ConvUse;
using cuda::ConvWays;

// Tensors that lie somewhere; those between operations have larger numbers.
enum Id {
  kFirst = 1,
  kSecond,
  kScale,
  kShift,
  kAlpha,  // one value, on the host
  kResidual,
  kBeta,  // as well
  kResult,
  kBetween
};

const void* Place(const ConvPlaces& places, const float* alpha,
                  const float* beta, int64_t id) {
  switch (id) {
    case kFirst:
      return places.first;
    case kSecond:
      return places.second;
    case kScale:
      return places.scale;
    case kShift:
      return places.shift;
    case kAlpha:
      return alpha;
    case kResidual:
      return places.residual;
    case kBeta:
      return beta;
    default:
      return places.result;
  }
}

int TypeOf(Precision kind) {
  if (BytesOf(kind) == 4) return kFloat;
  return kind == Precision::kBf16 ? kBfloat16 : kHalf;
}

// n, c, spatial axes
using Sizes = std::vector<int64_t>;

Sizes Joined(int64_t n, int64_t c, const Sizes& axes) {
  Sizes sizes = {n, c};
  sizes.insert(sizes.end(), axes.begin(), axes.end());
  return sizes;
}

Sizes ChannelsLast(const Sizes& sizes) {
  Sizes strides(sizes.size());
  int64_t stride = sizes[1];
  for (size_t i = sizes.size() - 1; i >= 2; --i) {
    strides[i] = stride;
    stride *= sizes[i];
  }
  strides[0] = stride;
  strides[1] = 1;
  return strides;
}

// Makes the descriptors of one form's operations.
class Graph {
 public:
  Graph(const Library& library, const ConvForm& form)
      : library_(library),
        form_(form),
        shape_(Flattened(form.shape)),
        type_(TypeOf(form.kind)) {
    const ConvShape& s = shape_;
    Sizes kernel;
    for (const ConvAxis& axis : s.axes) kernel.push_back(axis.kernel);
    x_ = Joined(s.num, s.channels, s.in_sizes());
    y_ = Joined(s.num, s.num_output, s.out_sizes());
    weights_ = Joined(s.num_output, s.channels / s.group, kernel);
    AddConvolution();
    AddEpilogue();
  }

  Descriptor Finish(const Target& target) {
    Descriptor graph(library_, kOperationGraph);
    if (target.handle) graph.Set(kGraphHandle, kOfHandle, 1, &target.handle);
    std::vector<RawDescriptor> raw;
    for (const Descriptor& operation : operations_) {
      raw.push_back(operation.get());
    }
    graph.Set(kGraphOperations, kOfDescriptor, static_cast<int64_t>(raw.size()),
              raw.data());
    graph.Finalize();
    return graph;
  }
  const std::vector<int64_t>& ids() const { return ids_; }

 private:
  const Sizes& result_sizes() const {
    switch (form_.use) {
      case ConvUse::kForward:
        return y_;
      case ConvUse::kDataGradient:
        return x_;
      default:
        return weights_;
    }
  }
  int result_type() const { return TypeOf(form_.result_kind()); }
  // By alpha, be it 1: cuDNN 9.19 has no engine that makes floats of values of
  // 16 bits with nothing behind.
  bool weighed() const {
    return form_.alpha != 1 || (form_.use == ConvUse::kWeightGradient &&
                                !form_.residual && type_ != kFloat);
  }
  // Operations behind the convolution.
  int EpilogueLength() const {
    return form_.scale + form_.shift + form_.inner_relu + weighed() +
           form_.residual + form_.outer_relu;
  }

  Descriptor Tensor(int64_t id, const Sizes& sizes, int type) {
    Descriptor tensor(library_, kTensor);
    tensor.SetEnum(kTensorType, kOfDataType, type);
    tensor.Set(kTensorDimensions, sizes);
    tensor.Set(kTensorStrides, ChannelsLast(sizes));
    tensor.Set(kTensorId, id);
    tensor.Set(kTensorAlignment, int64_t{16});
    const bool between = id >= kBetween;
    if (between) tensor.Set(kTensorVirtual, kOfBoolean, 1, &between);
    const bool on_host = id == kAlpha || id == kBeta;
    if (on_host) tensor.Set(kTensorByValue, kOfBoolean, 1, &on_host);
    tensor.Finalize();
    if (!between) ids_.push_back(id);
    return tensor;
  }
  // What an operation makes, which `left` others follow.
  Descriptor Made(int left) {
    if (left == 0) return Tensor(kResult, result_sizes(), result_type());
    return Tensor(next_++, result_sizes(), kFloat);
  }

  Descriptor Convolution() const {
    Sizes strides, dilations, begins, ends;
    for (const ConvAxis& axis : shape_.axes) {
      strides.push_back(axis.stride);
      dilations.push_back(axis.dilation);
      begins.push_back(axis.pad_begin);
      ends.push_back(axis.pad_end);
    }
    Descriptor convolution(library_, kConvolution);
    convolution.SetEnum(kConvComputeType, kOfDataType, kFloat);
    convolution.SetEnum(kConvMode, kOfConvolutionMode, kCrossCorrelation);
    convolution.Set(kConvSpatialDims, static_cast<int64_t>(strides.size()));
    convolution.Set(kConvStrides, strides);
    convolution.Set(kConvDilations, dilations);
    convolution.Set(kConvPrePaddings, begins);
    convolution.Set(kConvPostPaddings, ends);
    convolution.Finalize();
    return convolution;
  }

  // What distinguishes the three operations.
  struct Operation {
    int kind, alpha, beta, convolution, first, second, result;
  };
  Operation ToDo() const {
    switch (form_.use) {
      case ConvUse::kForward:
        return {kForward,  kForwardAlpha, kForwardBeta, kForwardConv,
                kForwardX, kForwardW,     kForwardY};
      case ConvUse::kDataGradient:
        return {kDataGradient, kDataAlpha, kDataBeta, kDataConv,
                kDataDy,       kDataW,     kDataDx};
      default:
        return {kWeightGradient, kFilterAlpha, kFilterBeta, kFilterConv,
                kFilterDy,       kFilterX,     kFilterDw};
    }
  }
  void AddConvolution() {
    const Operation todo = ToDo();
    const bool forward = form_.use == ConvUse::kForward;
    const bool weight = form_.use == ConvUse::kWeightGradient;
    Descriptor operation(library_, todo.kind);
    operation.Set(todo.alpha, 1.f);
    operation.Set(todo.beta, 0.f);
    operation.Set(todo.convolution, Kept(Convolution()));
    operation.Set(todo.first, Kept(Tensor(kFirst, forward ? x_ : y_, type_)));
    operation.Set(todo.second,
                  Kept(Tensor(kSecond, weight ? x_ : weights_, type_)));
    sums_.push_back(Made(EpilogueLength()));
    operation.Set(todo.result, sums_.back());
    operation.Finalize();
    operations_.push_back(std::move(operation));
  }

  void AddEpilogue() {
    int left = EpilogueLength();
    const Sizes outputs =
        Joined(1, shape_.num_output, Sizes(shape_.axes.size(), 1));
    if (form_.scale) Add(kMul, Tensor(kScale, outputs, kFloat), --left);
    if (form_.shift) Add(kAdd, Tensor(kShift, outputs, kFloat), --left);
    if (form_.inner_relu) AddRelu(--left);
    if (weighed()) Add(kMul, One(kAlpha), --left);
    if (form_.residual) Add(kAdd, Residual(), --left);
    if (form_.outer_relu) AddRelu(--left);
  }
  Descriptor One(int64_t id) {
    return Tensor(id, Sizes(result_sizes().size(), 1), kFloat);
  }
  // Times beta.
  Descriptor Residual() {
    Descriptor residual = Tensor(kResidual, result_sizes(), result_type());
    if (form_.beta == 1) return residual;
    Descriptor operation = Begin(kMul, Kept(std::move(residual)));
    operation.Set(kPointwiseB, Kept(One(kBeta)));
    Descriptor product = Tensor(next_++, result_sizes(), kFloat);
    operation.Set(kPointwiseY, product);
    operation.Finalize();
    operations_.push_back(std::move(operation));
    return product;
  }
  void Add(int mode, Descriptor with, int left) {
    Descriptor operation = Begin(mode, sums_.back());
    operation.Set(kPointwiseB, Kept(std::move(with)));
    End(std::move(operation), left);
  }
  void AddRelu(int left) { End(Begin(kReluForward, sums_.back()), left); }
  Descriptor Begin(int mode, const Descriptor& x) {
    Descriptor pointwise(library_, kPointwise);
    pointwise.SetEnum(kPointwiseMode, kOfPointwiseMode, mode);
    pointwise.SetEnum(kPointwisePrecision, kOfDataType, kFloat);
    pointwise.Finalize();
    Descriptor operation(library_, kPointwiseOperation);
    operation.Set(kPointwiseDescriptor, Kept(std::move(pointwise)));
    operation.Set(kPointwiseX, x);
    return operation;
  }
  void End(Descriptor operation, int left) {
    sums_.push_back(Made(left));
    operation.Set(kPointwiseY, sums_.back());
    operation.Finalize();
    operations_.push_back(std::move(operation));
  }

  // What an operation is made of lives as long as it.
  const Descriptor& Kept(Descriptor part) {
    parts_.push_back(std::move(part));
    return parts_.back();
  }

  const Library& library_;
  const ConvForm& form_;
  const ConvShape shape_;
  const int type_;
  Sizes x_, y_, weights_;
  int64_t next_ = kBetween;
  std::vector<int64_t> ids_;
  std::deque<Descriptor> parts_;
  std::deque<Descriptor> sums_;  // one after the other
  std::vector<Descriptor> operations_;
};

// Ways to run the graph, in cuDNN's order.
std::vector<Descriptor> Configs(const Library& library, const Descriptor& graph,
                                const Descriptor* device, int mode) {
  Descriptor heuristics(library, kHeuristics);
  heuristics.Set(kHeuristicsGraph, graph);
  heuristics.SetEnum(kHeuristicsMode, kOfHeuristicsMode, mode);
  if (device) heuristics.Set(kHeuristicsDevice, *device);
  heuristics.Finalize();
  int64_t count = 0;
  library.Check(
      library.cudnnBackendGetAttribute(heuristics.get(), kHeuristicsResults,
                                       kOfDescriptor, 0, &count, nullptr),
      "cudnnBackendGetAttribute");
  std::vector<Descriptor> configs;
  std::vector<RawDescriptor> raw;
  for (int64_t i = 0; i < count; ++i) {
    configs.emplace_back(library, kEngineConfig);
    raw.push_back(configs.back().get());
  }
  library.Check(library.cudnnBackendGetAttribute(
                    heuristics.get(), kHeuristicsResults, kOfDescriptor, count,
                    &count, raw.data()),
                "cudnnBackendGetAttribute");
  while (static_cast<int64_t>(configs.size()) > count) configs.pop_back();
  return configs;
}

// The GPU that a target describes; null for one with a handle.
std::unique_ptr<Descriptor> DeviceOf(const Library& library,
                                     const Target& target) {
  if (target.handle) return nullptr;
  std::unique_ptr<Descriptor> device(
      new Descriptor(library, kDeviceProperties));
  device->Set(kDeviceJson, target.json);
  device->Finalize();
  return device;
}

Descriptor BeginPlan(const Library& library, const Target& target,
                     const Descriptor* device) {
  Descriptor plan(library, kPlan);
  if (target.handle) plan.Set(kPlanHandle, kOfHandle, 1, &target.handle);
  if (device) plan.Set(kPlanDevice, *device);
  return plan;
}

class Plan : public cuda::ConvWay {
 public:
  Plan(const Library& library, Handle handle, Descriptor plan,
       std::vector<int64_t> ids, const ConvForm& form, int number)
      : ConvWay("cudnn_" + std::to_string(number), plan.Int(kPlanWorkspace)),
        library_(library),
        handle_(handle),
        alpha_(form.alpha),
        beta_(form.beta),
        plan_(std::move(plan)),
        ids_(std::move(ids)) {}

  void Run(CUstream_st* stream, const ConvPlaces& places,
           void* workspace) const override {
    std::vector<const void*> pointers;
    for (int64_t id : ids_) {
      pointers.push_back(Place(places, &alpha_, &beta_, id));
    }
    Descriptor pack(library_, kVariantPack);
    pack.Set(kPackIds, ids_);
    pack.Set(kPackPointers, kOfPointer, static_cast<int64_t>(pointers.size()),
             pointers.data());
    pack.Set(kPackWorkspace, kOfPointer, 1, &workspace);
    pack.Finalize();
    library_.Check(library_.cudnnSetStream(handle_, stream), "cudnnSetStream");
    library_.Check(
        library_.cudnnBackendExecute(handle_, plan_.get(), pack.get()),
        "cudnnBackendExecute");
  }
  // With what cuDNN has compiled for it.
  std::string Stored() const override { return plan_.Text(kPlanJson); }

 private:
  const Library& library_;
  const Handle handle_;
  const float alpha_, beta_;
  Descriptor plan_;
  std::vector<int64_t> ids_;  // of the tensors that lie somewhere
};

class Finder : public cuda::ConvFinder {
 public:
  explicit Finder(std::shared_ptr<const Library> library)
      : library_(std::move(library)) {
    library_->Check(library_->cudnnCreate(&target_.handle), "cudnnCreate");
  }

  const char* name() const override { return "cudnn"; }
  bool CanAsk(const ConvForm& form) const override {
    return cudnn::CanAsk(form);
  }
  ConvWays Find(const ConvForm& form, int first, int most,
                int64_t workspace_bytes) const override {
    return MakeWays(*library_, target_, form, first, most, workspace_bytes);
  }
  std::unique_ptr<cuda::ConvWay> Restore(
      const ConvForm& form, int number,
      const std::string& stored) const override {
    return RestoreWay(*library_, target_, form, number, stored);
  }

 private:
  const std::shared_ptr<const Library> library_;
  Target target_;
};

}  // namespace

bool CanAsk(const ConvForm& form) {
  const ConvShape& shape = form.shape;
  const int64_t step = form.kind == Precision::kTf32 ? 4 : 8;
  return shape.pad_mode == PadMode::kZero && shape.axes.size() <= 3 &&
         shape.channels / shape.group % step == 0 &&
         shape.num_output / shape.group % step == 0;
}

ConvWays MakeWays(const Library& library, const Target& target,
                  const ConvForm& form, int first, int most,
                  int64_t workspace_bytes) {
  Graph operations(library, form);
  const Descriptor graph = operations.Finish(target);
  const std::unique_ptr<Descriptor> device = DeviceOf(library, target);
  ConvWays ways;
  int number = -1;
  std::string refusal;  // the first
  const auto note = [&](const Error& error) {
    if (refusal.empty()) refusal = error.what();
  };
  for (int mode : {kHeuristicsA, kHeuristicsFallback}) {
    std::vector<Descriptor> configs;
    try {
      configs = Configs(library, graph, device.get(), mode);
    } catch (const Error& error) {
      note(error);  // of one mode; it may know some in the other
    }
    for (const Descriptor& config : configs) {
      if (ways.size() == static_cast<size_t>(most)) return ways;
      if (++number < first) continue;
      try {
        Descriptor plan = BeginPlan(library, target, device.get());
        plan.Set(kPlanConfig, config);
        plan.Finalize();
        std::unique_ptr<Plan> made(new Plan(library, target.handle,
                                            std::move(plan), operations.ids(),
                                            form, number));
        if (made->workspace_bytes() > workspace_bytes) continue;
        ways.push_back(std::move(made));
      } catch (const Error& error) {
        // A configuration that this GPU or version cannot do after all.
        note(error);
      }
    }
  }
  Check(!ways.empty() || refusal.empty(), refusal);
  return ways;
}

std::unique_ptr<cuda::ConvWay> RestoreWay(const Library& library,
                                          const Target& target,
                                          const ConvForm& form, int number,
                                          const std::string& stored) {
  const Graph operations(library, form);
  const std::unique_ptr<Descriptor> device = DeviceOf(library, target);
  Descriptor plan = BeginPlan(library, target, device.get());
  plan.Set(kPlanJson, stored);
  plan.Finalize();
  return std::unique_ptr<cuda::ConvWay>(new Plan(
      library, target.handle, std::move(plan), operations.ids(), form, number));
}

cuda::ConvLibrary LoadConvolutions(const std::vector<std::string>& folders) {
  const std::shared_ptr<const Library> library = Load(folders);
  return {"cuDNN " + cuda::VersionText(library->version), [library] {
            return std::unique_ptr<cuda::ConvFinder>(new Finder(library));
          }};
}

}  // namespace cudnn
}  // namespace p3d

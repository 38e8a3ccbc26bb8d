// A cuDNN that is none: the functions of its graph interface that the kernels
// use, which do what the operations say by plain loops in float, rounding what
// is stored. It is as strict as the real one about what has to be finalized,
// about sizes, and about what may lie between operations.
//
//   $P3D_SIMULATED_CUDNN_VERSION   what it says it is (default 92801)
//   $P3D_SIMULATED_CUDNN_PLANS     ways it offers (default 3)
//   $P3D_SIMULATED_CUDNN_LIES      the numbers of those that compute nonsense
//   $P3D_SIMULATED_CUDNN_FAILS     and of those that cannot be run
//   $P3D_SIMULATED_CUDNN_FALLBACK  if set, it knows them in fallback mode alone
//   $P3D_SIMULATED_CUDNN_BROKEN    if set, it cannot be started
//   $P3D_SIMULATED_CUDNN_LOG       a file that gets a line for each plan run

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn_api.hpp"
#include "simulated_library.hpp"

using namespace p3d::cudnn;  // NOLINT: all of it is simulated here
using p3d::Precision;
using simulated::Lists;
using simulated::Number;
using simulated::Variable;

namespace {

using Sizes = std::vector<int64_t>;
using Values = std::vector<float>;

constexpr Status kBad = 2000, kUnsupported = 3000, kFailed = 5000;

// What was set or found: the bytes of an attribute, or other objects.
struct Object {
  int kind = 0;
  bool finalized = false;
  std::map<int, std::string> bytes;
  std::map<int, std::vector<Object>> objects;
  int number = 0;  // of a configuration

  bool Has(int attribute) const {
    return bytes.count(attribute) || objects.count(attribute);
  }
  const Object& At(int attribute) const { return objects.at(attribute).at(0); }
  template <typename T>
  T Get(int attribute) const {
    T value;
    std::memcpy(&value, bytes.at(attribute).data(), sizeof(T));
    return value;
  }
  template <typename T>
  std::vector<T> List(int attribute) const {
    const std::string& raw = bytes.at(attribute);
    std::vector<T> list(raw.size() / sizeof(T));
    if (!list.empty()) std::memcpy(list.data(), raw.data(), raw.size());
    return list;
  }
};

// An object as text, but for the handle of its process, and from that again.
void Put(Object object, std::ostream& to) {
  object.bytes.erase(kGraphHandle);
  to << object.kind << ' ' << object.finalized << ' ' << object.number << ' '
     << object.bytes.size() << ' ' << object.objects.size() << '\n';
  for (const auto& entry : object.bytes) {
    to << entry.first << ' ' << entry.second.size() << ' ' << entry.second;
  }
  for (const auto& entry : object.objects) {
    to << entry.first << ' ' << entry.second.size() << '\n';
    for (const Object& part : entry.second) Put(part, to);
  }
}
Object Take(std::istream& from) {
  Object object;
  size_t bytes = 0, objects = 0;
  from >> object.kind >> object.finalized >> object.number >> bytes >> objects;
  for (; from && bytes > 0; --bytes) {
    int name = 0;
    size_t size = 0;
    from >> name >> size;
    from.get();
    std::string& raw = object.bytes[name];
    raw.resize(from ? size : 0);
    if (!raw.empty()) from.read(&raw[0], raw.size());
  }
  for (; from && objects > 0; --objects) {
    int name = 0;
    size_t count = 0;
    from >> name >> count;
    for (; from && count > 0; --count)
      object.objects[name].push_back(Take(from));
  }
  return object;
}

size_t SizeOf(int type) {
  switch (type) {
    case kOfInt64:
    case kOfPointer:
    case kOfHandle:
      return 8;
    case kOfBoolean:
    case kOfChar:
      return 1;
    default:
      return 4;
  }
}

thread_local std::string the_error;
Status Refuse(Status status, const char* why) {
  the_error = why;
  return status;
}

int64_t Count(const Sizes& sizes) {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  return count;
}

struct Tensor {
  explicit Tensor(const Object& from)
      : id(from.Get<int64_t>(kTensorId)),
        type(from.Get<int>(kTensorType)),
        sizes(from.List<int64_t>(kTensorDimensions)),
        strides(from.List<int64_t>(kTensorStrides)),
        between(from.Has(kTensorVirtual) && from.Get<bool>(kTensorVirtual)) {}

  int64_t Place(const Sizes& at) const {
    int64_t place = 0;
    for (size_t i = 0; i < at.size(); ++i) {
      place += (sizes[i] == 1 ? 0 : at[i]) * strides[i];
    }
    return place;
  }
  Precision kind() const {
    return type == kFloat  ? Precision::kFloat32
           : type == kHalf ? Precision::kFp16
                           : Precision::kBf16;
  }
  float Read(const void* from, int64_t place) const {
    return simulated::Read(kind(), from, place);
  }
  void Write(void* to, int64_t place, float value) const {
    simulated::Write(kind(), value, to, place);
  }

  int64_t id;
  int type;
  Sizes sizes, strides;
  bool between;
};

// The next place in a box; false behind the last.
bool Next(const Sizes& sizes, Sizes* at) {
  for (size_t i = sizes.size(); i-- > 0;) {
    if (++(*at)[i] < sizes[i]) return true;
    (*at)[i] = 0;
  }
  return false;
}

// Runs a graph: what lies somewhere is read and written there, what is between
// operations lives here.
class Run {
 public:
  Run(const Object& graph, const Object& pack) : graph_(graph) {
    const auto ids = pack.List<int64_t>(kPackIds);
    const auto pointers = pack.List<void*>(kPackPointers);
    for (size_t i = 0; i < ids.size(); ++i) given_[ids[i]] = pointers[i];
  }

  void Do(bool lie) {
    for (const Object& operation : graph_.objects.at(kGraphOperations)) {
      switch (operation.kind) {
        case kForward:
          Convolve(operation, kForwardConv, kForwardX, kForwardW, kForwardY);
          break;
        case kDataGradient:
          Convolve(operation, kDataConv, kDataDx, kDataW, kDataDy);
          break;
        case kWeightGradient:
          Convolve(operation, kFilterConv, kFilterX, kFilterDw, kFilterDy);
          break;
        default:
          Pointwise(operation);
      }
    }
    if (lie) simulated::Spoil(last_kind_, last_memory_);
  }

 private:
  void* Memory(const Tensor& tensor) {
    if (!tensor.between) return given_.at(tensor.id);
    Values& values = between_[tensor.id];
    values.resize(Count(tensor.sizes));
    return values.data();
  }

  // y = x * w in its three roles: whichever of them is not given is the sum.
  void Convolve(const Object& operation, int conv, int x_name, int w_name,
                int y_name) {
    const Object& how = operation.At(conv);
    const Tensor x(operation.At(x_name)), w(operation.At(w_name)),
        y(operation.At(y_name));
    const Sizes strides = how.List<int64_t>(kConvStrides),
                dilations = how.List<int64_t>(kConvDilations),
                begins = how.List<int64_t>(kConvPrePaddings);
    const bool to_x = operation.kind == kDataGradient;
    const bool to_w = operation.kind == kWeightGradient;
    const Tensor& made = to_x ? x : to_w ? w : y;
    std::vector<double> sums(Count(made.sizes));
    const void* xs = Memory(x);
    const void* ws = Memory(w);
    const void* ys = Memory(y);
    const int64_t outputs = y.sizes[1] / (x.sizes[1] / w.sizes[1]);
    Sizes at(y.sizes.size());
    do {
      Sizes tap(w.sizes.size());
      const Sizes box(w.sizes.begin() + 1, w.sizes.end());
      Sizes inner(box.size());
      do {
        Sizes from = at;
        bool seen = true;
        for (size_t i = 2; i < at.size(); ++i) {
          from[i] = at[i] * strides[i - 2] - begins[i - 2] +
                    inner[i - 1] * dilations[i - 2];
          seen = seen && from[i] >= 0 && from[i] < x.sizes[i];
        }
        if (!seen) continue;
        from[1] = at[1] / outputs * w.sizes[1] + inner[0];
        tap[0] = at[1];
        std::copy(inner.begin(), inner.end(), tap.begin() + 1);
        const int64_t px = x.Place(from), pw = w.Place(tap), py = y.Place(at);
        if (to_x) {
          sums[px] += double{w.Read(ws, pw)} * y.Read(ys, py);
        } else if (to_w) {
          sums[pw] += double{x.Read(xs, px)} * y.Read(ys, py);
        } else {
          sums[py] += double{x.Read(xs, px)} * w.Read(ws, pw);
        }
      } while (Next(box, &inner));
    } while (Next(y.sizes, &at));
    void* to = Memory(made);
    for (size_t i = 0; i < sums.size(); ++i) {
      made.Write(to, i, static_cast<float>(sums[i]));
    }
    last_memory_ = to;
    last_kind_ = made.kind();
  }

  void Pointwise(const Object& operation) {
    const int mode =
        operation.At(kPointwiseDescriptor).Get<int>(kPointwiseMode);
    const Tensor x(operation.At(kPointwiseX)), y(operation.At(kPointwiseY));
    std::unique_ptr<Tensor> b;
    if (mode != kReluForward) b.reset(new Tensor(operation.At(kPointwiseB)));
    const void* xs = Memory(x);
    const void* bs = b ? Memory(*b) : nullptr;
    void* ys = Memory(y);
    Sizes at(y.sizes.size());
    do {
      const float value = x.Read(xs, x.Place(at));
      const float with = b ? b->Read(bs, b->Place(at)) : 0;
      const float made = mode == kAdd   ? value + with
                         : mode == kMul ? value * with
                         : value > 0    ? value
                                        : 0;
      y.Write(ys, y.Place(at), made);
    } while (Next(y.sizes, &at));
    last_memory_ = ys;
    last_kind_ = y.kind();
  }

  const Object& graph_;
  std::map<int64_t, void*> given_;
  std::map<int64_t, Values> between_;
  void* last_memory_ = nullptr;
  Precision last_kind_ = Precision::kFloat32;
};

// Whether the sizes of y are what x, w and the convolution make.
bool Fits(const Object& how, const Tensor& x, const Tensor& w,
          const Tensor& y) {
  const Sizes strides = how.List<int64_t>(kConvStrides),
              dilations = how.List<int64_t>(kConvDilations),
              begins = how.List<int64_t>(kConvPrePaddings),
              ends = how.List<int64_t>(kConvPostPaddings);
  const size_t axes = how.Get<int64_t>(kConvSpatialDims);
  if (strides.size() != axes || dilations.size() != axes ||
      begins.size() != axes || ends.size() != axes ||
      x.sizes.size() != axes + 2 || w.sizes.size() != axes + 2 ||
      y.sizes.size() != axes + 2 || x.sizes[0] != y.sizes[0] ||
      y.sizes[1] != w.sizes[0] || x.sizes[1] % w.sizes[1] != 0) {
    return false;
  }
  for (size_t i = 0; i < axes; ++i) {
    const int64_t reach = dilations[i] * (w.sizes[i + 2] - 1) + 1;
    const int64_t padded = x.sizes[i + 2] + begins[i] + ends[i];
    if ((padded - reach) / strides[i] + 1 != y.sizes[i + 2]) return false;
  }
  return true;
}

Status FinalizeConvolution(const Object& object) {
  const bool to_x = object.kind == kDataGradient;
  const bool to_w = object.kind == kWeightGradient;
  const int conv = to_x ? kDataConv : to_w ? kFilterConv : kForwardConv;
  const Tensor x(object.At(to_x   ? kDataDx
                           : to_w ? kFilterX
                                  : kForwardX)),
      w(object.At(to_x   ? kDataW
                  : to_w ? kFilterDw
                         : kForwardW)),
      y(object.At(to_x   ? kDataDy
                  : to_w ? kFilterDy
                         : kForwardY));
  if (!Fits(object.At(conv), x, w, y)) return Refuse(kBad, "sizes");
  const int beta = to_x ? kDataBeta : to_w ? kFilterBeta : kForwardBeta;
  if (object.Get<float>(beta) != 0) return Refuse(kUnsupported, "beta");
  return kSuccess;
}

Status FinalizeGraph(const Object& object) {
  const auto& operations = object.objects.at(kGraphOperations);
  for (size_t i = 0; i < operations.size(); ++i) {
    if (!operations[i].finalized) return Refuse(kBad, "operation");
    if ((operations[i].kind != kPointwiseOperation) != (i == 0)) {
      return Refuse(kUnsupported, "pattern");
    }
  }
  return kSuccess;
}

Status FinalizePack(const Object& object) {
  const auto pointers = object.List<uintptr_t>(kPackPointers);
  const bool same = pointers.size() == object.List<int64_t>(kPackIds).size();
  return same ? kSuccess : Refuse(kBad, "ids and pointers");
}

// Whether the mode is the one in which it knows ways.
bool Knows(const Object& heuristics) {
  const bool first = heuristics.Get<int>(kHeuristicsMode) == kHeuristicsA;
  return first == Variable("P3D_SIMULATED_CUDNN_FALLBACK").empty();
}

Status FinalizeObject(const Object& object) {
  for (const auto& parts : object.objects) {
    for (const Object& part : parts.second) {
      if (!part.finalized) return Refuse(kBad, "a part is not finalized");
    }
  }
  switch (object.kind) {
    case kTensor:
      return Tensor(object).sizes.size() == Tensor(object).strides.size()
                 ? kSuccess
                 : Refuse(kBad, "strides");
    case kForward:
    case kDataGradient:
    case kWeightGradient:
      return FinalizeConvolution(object);
    case kOperationGraph:
      return FinalizeGraph(object);
    case kHeuristics:
      return Knows(object) ||
                     object.Get<int>(kHeuristicsMode) == kHeuristicsFallback
                 ? kSuccess
                 : Refuse(kUnsupported, "mode");
    case kVariantPack:
      return FinalizePack(object);
    case kPlan:
      return object.Has(kPlanConfig) ? kSuccess : Refuse(kBad, "no config");
    default:
      return kSuccess;
  }
}

Object* Of(RawDescriptor raw) { return static_cast<Object*>(raw); }

}  // namespace

P3D_SIMULATED size_t cudnnGetVersion() {
  return Number("P3D_SIMULATED_CUDNN_VERSION", 92801);
}
P3D_SIMULATED size_t cudnnGetCudartVersion() { return 13000; }
P3D_SIMULATED const char* cudnnGetErrorString(Status status) {
  return status == kBad ? "BAD_PARAM" : "NOT_SUPPORTED";
}
P3D_SIMULATED void cudnnGetLastErrorString(char* text, size_t size) {
  std::snprintf(text, size, "%s", the_error.c_str());
}
P3D_SIMULATED Status cudnnCreate(Handle* handle) {
  if (!Variable("P3D_SIMULATED_CUDNN_BROKEN").empty())
    return Refuse(kFailed, "a part of cuDNN is missing");
  static int made;
  *handle = &made;
  return kSuccess;
}
P3D_SIMULATED Status cudnnSetStream(Handle, CUstream_st*) { return kSuccess; }

P3D_SIMULATED Status cudnnBackendCreateDescriptor(int kind,
                                                  RawDescriptor* made) {
  Object* object = new Object;
  object->kind = kind;
  *made = object;
  return kSuccess;
}
P3D_SIMULATED Status cudnnBackendDestroyDescriptor(RawDescriptor raw) {
  delete Of(raw);
  return kSuccess;
}
P3D_SIMULATED Status cudnnBackendSetAttribute(RawDescriptor raw, int name,
                                              int type, int64_t count,
                                              const void* values) {
  Object* object = Of(raw);
  if (object->finalized) return Refuse(kBad, "finalized already");
  if (type == kOfDescriptor) {
    const RawDescriptor* parts = static_cast<const RawDescriptor*>(values);
    for (int64_t i = 0; i < count; ++i) {
      object->objects[name].push_back(*Of(parts[i]));
    }
  } else if (name == kPlanJson) {
    std::istringstream from(
        {static_cast<const char*>(values), static_cast<size_t>(count)});
    object->objects[kPlanConfig] = {Take(from)};
    if (!from) return Refuse(kBad, "no plan");
  } else {
    object->bytes[name].assign(static_cast<const char*>(values),
                               count * SizeOf(type));
  }
  return kSuccess;
}
P3D_SIMULATED Status cudnnBackendFinalize(RawDescriptor raw) {
  Object* object = Of(raw);
  if (object->finalized) return Refuse(kBad, "finalized already");
  try {
    const Status status = FinalizeObject(*object);
    object->finalized = status == kSuccess;
    return status;
  } catch (const std::exception&) {
    return Refuse(kBad, "an attribute is missing");
  }
}
P3D_SIMULATED Status cudnnBackendGetAttribute(const void* raw, int name, int,
                                              int64_t room, int64_t* count,
                                              void* values) {
  const Object* object = static_cast<const Object*>(raw);
  if (!object->finalized) return Refuse(kBad, "not finalized");
  if (name == kPlanWorkspace) {
    *count = 1;
    *static_cast<int64_t*>(values) = 1000;
    return kSuccess;
  }
  if (name == kPlanJson) {
    std::ostringstream to;
    Put(object->At(kPlanConfig), to);
    *count = static_cast<int64_t>(to.str().size());
    if (room >= *count) std::memcpy(values, to.str().data(), *count);
    return kSuccess;
  }
  *count = Knows(*object) ? Number("P3D_SIMULATED_CUDNN_PLANS", 3) : 0;
  for (int64_t i = 0; i < *count && i < room; ++i) {
    Object* config = Of(static_cast<RawDescriptor*>(values)[i]);
    config->number = static_cast<int>(i);
    config->objects[kHeuristicsGraph] = {object->At(kHeuristicsGraph)};
    config->finalized = true;
  }
  return kSuccess;
}
P3D_SIMULATED Status cudnnBackendExecute(Handle, RawDescriptor plan,
                                         RawDescriptor pack) {
  const Object& config = Of(plan)->At(kPlanConfig);
  if (Lists("P3D_SIMULATED_CUDNN_FAILS", config.number)) {
    return Refuse(kFailed, "as it was told");
  }
  simulated::Log("P3D_SIMULATED_CUDNN_LOG", config.number);
  // It works in all of the memory that it asked for.
  std::memset(Of(pack)->Get<void*>(kPackWorkspace), 1, 1000);
  Run(config.At(kHeuristicsGraph), *Of(pack))
      .Do(Lists("P3D_SIMULATED_CUDNN_LIES", config.number));
  return kSuccess;
}

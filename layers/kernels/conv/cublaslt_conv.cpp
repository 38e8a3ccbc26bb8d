#include "kernels/conv/cublaslt_conv.hpp"

#include <algorithm>
#include <memory>

#include "kernels/affine_cuda.hpp"
#include "kernels/conv/conv_flat.hpp"
#include "kernels/cuda/cublaslt_api.hpp"
#include "kernels/cuda/found_library.hpp"
#include "kernels/error.hpp"
#include "kernels/narrow_cuda.hpp"

namespace p3d {
namespace cublaslt {
namespace {

using cuda::ConvForm;
using cuda::ConvPlaces;
using cuda::ConvUse;
using cuda::ConvWays;

constexpr int kProposals = 8;  // always as many: their numbers stay the same
constexpr int64_t kAlignment = 256;       // of memory to work in
constexpr uint32_t kPlaceAlignment = 16;  // of all else, see ConvWay::Run

// cuBLASLt as it is found at run time.
struct Library {
#define P3D_MEMBER(name, ...)      \
  using name##_type = __VA_ARGS__; \
  name##_type* name = nullptr;
  P3D_CUBLASLT_FUNCTIONS(P3D_MEMBER)
#undef P3D_MEMBER

  // Throws Error with the library's own words for a call that failed.
  void Check(Status status, const char* call) const {
    p3d::Check(status == kSuccess, "cuBLASLt fails in ", call, ": ",
               cublasLtGetStatusString(status));
  }
};

std::shared_ptr<const Library> Load(const std::vector<std::string>& folders) {
  const FoundLibrary found("cuBLASLt",
                           {"libcublasLt.so.13", "libcublasLt.so.12"}, folders);
  const auto library = std::make_shared<Library>();
#define P3D_FIND(name, ...) found.Find(#name, &library->name);
  P3D_CUBLASLT_FUNCTIONS(P3D_FIND)
#undef P3D_FIND
  return library;
}

int TypeOf(Precision kind) {
  if (BytesOf(kind) == 4) return kFloat;
  return kind == Precision::kBf16 ? kBfloat16 : kHalf;
}

using Descriptor = std::unique_ptr<void, Status (*)(RawDescriptor)>;

// What the ways of one form have in common. The library's matrices lie column
// by column, so that the result is the product of `second` and `first`, in this
// order, and its rows are what we call channels.
class Product {
 public:
  Product(std::shared_ptr<const Library> library, Handle handle,
          const ConvForm& form)
      : library_(std::move(library)),
        handle_(handle),
        form_(form),
        product_(NewProduct()),
        second_(nullptr, nullptr),
        first_(nullptr, nullptr),
        result_(nullptr, nullptr) {
    const ConvShape& shape = form.shape;
    const int64_t r = shape.num * shape.in_pixels();  // rows
    const int64_t i = shape.channels, o = shape.num_output;
    const int type = TypeOf(form.kind);
    switch (form.use) {
      case ConvUse::kForward:
        second_ = Matrix(type, i, o), first_ = Matrix(type, i, r);
        result_ = Matrix(type, o, r);
        Set(kTransposeA, kTransposed);
        break;
      case ConvUse::kDataGradient:
        second_ = Matrix(type, i, o), first_ = Matrix(type, o, r);
        result_ = Matrix(type, i, r);
        break;
      default:
        second_ = Matrix(type, i, r), first_ = Matrix(type, o, r);
        result_ = Matrix(kFloat, i, o);
        Set(kTransposeB, kTransposed);
    }
    const bool relu = form.inner_relu || form.outer_relu;
    if (form.shift) {
      Set(kEpilogue, relu ? kReluBias : kBias);
      // Somewhere, for the heuristics want one, aligned no better than it is.
      SetShift(reinterpret_cast<const void*>(uintptr_t{kPlaceAlignment}));
    } else if (relu) {
      Set(kEpilogue, kRelu);
    }
  }

  std::vector<Proposal> Proposals(int64_t workspace_bytes) const {
    RawDescriptor raw = nullptr;
    library_->Check(library_->cublasLtMatmulPreferenceCreate(&raw),
                    "cublasLtMatmulPreferenceCreate");
    const Descriptor wishes(raw, library_->cublasLtMatmulPreferenceDestroy);
    const auto wish = [&](int attribute, auto value) {
      library_->Check(library_->cublasLtMatmulPreferenceSetAttribute(
                          raw, attribute, &value, sizeof(value)),
                      "cublasLtMatmulPreferenceSetAttribute");
    };
    wish(kMostWorkspace, static_cast<uint64_t>(workspace_bytes));
    wish(kReductions, uint32_t{kReducedAsComputed});
    for (int side : {kAlignmentA, kAlignmentB, kAlignmentC, kAlignmentD}) {
      wish(side, kPlaceAlignment);
    }
    std::vector<Proposal> proposals(kProposals);
    int count = 0;
    library_->Check(
        library_->cublasLtMatmulAlgoGetHeuristic(
            handle_, product_.get(), second_.get(), first_.get(), result_.get(),
            result_.get(), raw, kProposals, proposals.data(), &count),
        "cublasLtMatmulAlgoGetHeuristic");
    proposals.resize(count);
    return proposals;
  }

  // Bytes of memory to work in that are ours: for scaled weights, and for a
  // shift of 16 bits behind them.
  int64_t own_bytes() const { return weights_bytes() + shift_bytes(); }

  void Run(CUstream_st* stream, ConvPlaces places, const Proposal& proposal,
           void* workspace) const {
    char* const memory = static_cast<char*>(workspace);
    Prepare(stream, memory, &places);
    if (form_.shift) SetShift(places.shift);
    const float alpha = form_.alpha, beta = form_.residual ? form_.beta : 0;
    library_->Check(
        library_->cublasLtMatmul(
            handle_, product_.get(), &alpha, places.second, second_.get(),
            places.first, first_.get(), &beta,
            form_.residual ? places.residual : places.result, result_.get(),
            places.result, result_.get(), &proposal.algorithm,
            memory + own_bytes(), proposal.workspace_bytes, stream),
        "cublasLtMatmul");
  }

 private:
  Descriptor NewProduct() const {
    RawDescriptor made = nullptr;
    const bool tf32 = form_.kind == Precision::kTf32;
    library_->Check(library_->cublasLtMatmulDescCreate(
                        &made, tf32 ? kComputeTf32 : kComputeFloat, kFloat),
                    "cublasLtMatmulDescCreate");
    return Descriptor(made, library_->cublasLtMatmulDescDestroy);
  }
  Descriptor Matrix(int type, int64_t rows, int64_t columns) const {
    RawDescriptor made = nullptr;
    library_->Check(
        library_->cublasLtMatrixLayoutCreate(&made, type, rows, columns, rows),
        "cublasLtMatrixLayoutCreate");
    return Descriptor(made, library_->cublasLtMatrixLayoutDestroy);
  }

  template <typename T>
  void Set(int attribute, T value) const {
    library_->Check(library_->cublasLtMatmulDescSetAttribute(
                        product_.get(), attribute, &value, sizeof(value)),
                    "cublasLtMatmulDescSetAttribute");
  }
  void SetShift(const void* shift) const { Set(kBiasPointer, shift); }

  int64_t weights_bytes() const {
    return form_.scale ? Padded(form_.shape.weight_count()) : 0;
  }
  int64_t shift_bytes() const {
    const bool rounded = form_.shift && BytesOf(form_.kind) == 2;
    return rounded ? Padded(form_.shape.num_output) : 0;
  }
  int64_t Padded(int64_t count) const {
    const int64_t bytes = count * static_cast<int64_t>(BytesOf(form_.kind));
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  // Makes what the product takes of a scale and a shift, and puts it into the
  // places.
  void Prepare(CUstream_st* stream, char* memory, ConvPlaces* places) const {
    switch (form_.kind) {
      case Precision::kBf16:
        return PrepareNarrow<Bf16>(stream, memory, places);
      case Precision::kFp16:
        return PrepareNarrow<Fp16>(stream, memory, places);
      default:
        if (form_.scale) Scale<float>(stream, memory, places);
    }
  }
  template <typename Value>
  void PrepareNarrow(CUstream_st* stream, char* memory,
                     ConvPlaces* places) const {
    if (form_.scale) return Scale<Value>(stream, memory, places);
    if (!form_.shift) return;
    cuda::Narrow(stream, static_cast<const float*>(places->shift),
                 form_.shape.num_output, reinterpret_cast<Value*>(memory));
    places->shift = memory;
  }
  template <typename Value>
  void Scale(CUstream_st* stream, char* memory, ConvPlaces* places) const {
    char* const shift = shift_bytes() > 0 ? memory + weights_bytes() : nullptr;
    cuda::ScaleWeights(stream, form_.shape.num_output, form_.shape.channels,
                       static_cast<const float*>(places->scale),
                       static_cast<const float*>(places->shift),
                       static_cast<const Value*>(places->second),
                       reinterpret_cast<Value*>(memory),
                       reinterpret_cast<Value*>(shift));
    places->second = memory;
    if (shift) places->shift = shift;
  }

  const std::shared_ptr<const Library> library_;
  const Handle handle_;
  const ConvForm form_;
  const Descriptor product_;
  Descriptor second_, first_, result_;  // the matrices
};

class Way : public cuda::ConvWay {
 public:
  Way(std::shared_ptr<const Product> product, const Proposal& proposal,
      int number)
      : ConvWay("cublaslt_" + std::to_string(number),
                product->own_bytes() + proposal.workspace_bytes),
        product_(std::move(product)),
        proposal_(proposal) {}

  void Run(CUstream_st* stream, const ConvPlaces& places,
           void* workspace) const override {
    product_->Run(stream, places, proposal_, workspace);
  }

 private:
  const std::shared_ptr<const Product> product_;
  const Proposal proposal_;
};

class Finder : public cuda::ConvFinder {
 public:
  explicit Finder(std::shared_ptr<const Library> library)
      : library_(std::move(library)) {
    library_->Check(library_->cublasLtCreate(&handle_), "cublasLtCreate");
  }

  const char* name() const override { return "cublaslt"; }
  bool CanAsk(const ConvForm& form) const override {
    return cublaslt::CanAsk(form);
  }
  ConvWays Find(const ConvForm& form, int first, int most,
                int64_t workspace_bytes) const override {
    const auto product = std::make_shared<Product>(library_, handle_, form);
    ConvWays ways;
    const int64_t room = workspace_bytes - product->own_bytes();
    if (room < 0) return ways;
    const std::vector<Proposal> proposals = product->Proposals(room);
    const int count = static_cast<int>(proposals.size());
    for (int i = first; i < count && static_cast<int>(ways.size()) < most;
         ++i) {
      if (proposals[i].state != kSuccess) continue;
      ways.emplace_back(new Way(product, proposals[i], i));
    }
    return ways;
  }

 private:
  const std::shared_ptr<const Library> library_;
  Handle handle_ = nullptr;  // lives as long as the process
};

}  // namespace

bool CanAsk(const ConvForm& form) {
  const std::vector<ConvAxis>& axes = form.shape.axes;
  return form.shape.group == 1 &&
         std::all_of(axes.begin(), axes.end(), Still) &&
         !(form.residual && form.inner_relu) &&
         (form.alpha == 1 || !form.shift);
}

cuda::ConvLibrary LoadConvolutions(const std::vector<std::string>& folders) {
  const std::shared_ptr<const Library> library = Load(folders);
  const auto version = static_cast<int64_t>(library->cublasLtGetVersion());
  return {"cuBLASLt " + cuda::VersionText(version), [library] {
            return std::unique_ptr<cuda::ConvFinder>(new Finder(library));
          }};
}

}  // namespace cublaslt
}  // namespace p3d

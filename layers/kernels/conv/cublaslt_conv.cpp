#include "kernels/conv/cublaslt_conv.hpp"

#include <algorithm>
#include <memory>

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
    if (form.scale) Set(kPointerMode, kAlphaVector);
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

  // Bytes of memory to work in that are ours.
  int64_t shift_bytes() const {
    if (!form_.shift || BytesOf(form_.kind) == 4) return 0;
    const int64_t bytes = 2 * form_.shape.num_output;
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  void Run(CUstream_st* stream, const ConvPlaces& places,
           const Proposal& proposal, void* workspace) const {
    if (form_.shift) PlaceShift(stream, places, workspace);
    const float alpha = form_.alpha, beta = form_.residual ? form_.beta : 0;
    library_->Check(
        library_->cublasLtMatmul(
            handle_, product_.get(), form_.scale ? places.scale : &alpha,
            places.second, second_.get(), places.first, first_.get(), &beta,
            form_.residual ? places.residual : places.result, result_.get(),
            places.result, result_.get(), &proposal.algorithm,
            static_cast<char*>(workspace) + shift_bytes(),
            proposal.workspace_bytes, stream),
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

  void PlaceShift(CUstream_st* stream, const ConvPlaces& places,
                  void* workspace) const {
    if (shift_bytes() == 0) return SetShift(places.shift);
    const float* const shift = static_cast<const float*>(places.shift);
    const int64_t count = form_.shape.num_output;
    if (form_.kind == Precision::kBf16) {
      cuda::Narrow(stream, shift, count, static_cast<Bf16*>(workspace));
    } else {
      cuda::Narrow(stream, shift, count, static_cast<Fp16*>(workspace));
    }
    SetShift(workspace);
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
                product->shift_bytes() + proposal.workspace_bytes),
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
    const std::vector<Proposal> proposals =
        product->Proposals(workspace_bytes - product->shift_bytes());
    ConvWays ways;
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
         (form.alpha == 1 || !(form.scale || form.shift));
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

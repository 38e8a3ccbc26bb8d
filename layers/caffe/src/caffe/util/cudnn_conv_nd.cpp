#ifdef USE_CUDNN
#include "caffe/util/cudnn_conv_nd.hpp"

#include <map>
#include <vector>

#include "caffe/util/cudnn_session.hpp"
#include "kernels/conv/conv_fold.hpp"

namespace caffe {

namespace {

bool Done(cudnnStatus_t status) { return status == CUDNN_STATUS_SUCCESS; }

// One direction of a convolution: the algorithm that was chosen for it.
template <typename Algorithm, typename Result>
class Direction {
 public:
  // Chooses at the first call: the fastest algorithm that is deterministic.
  //
  //   find(kResults, count, results, memory, bytes)   cudnnFind...Ex
  //   size(algorithm, bytes)                          cudnnGet...WorkspaceSize
  //
  // Returns whether there is one.
  template <typename Find, typename Size>
  bool Choose(cudnnMathType_t math, const Find& find, const Size& size) {
    if (chosen_) return possible_;
    chosen_ = true;
    const CudnnTrialMemory trial(CudnnTrialMemory::Budget());
    Result results[kResults];
    int count = 0;
    if (!Done(find(kResults, &count, results, trial.data(), trial.size()))) {
      return false;
    }
    // cuDNN tries its default math too; with the math that was asked for, such
    // an algorithm may need another workspace or not exist.
    for (bool same_math : {true, false}) {
      for (int i = 0; i < count && !possible_; ++i) {
        const Result& result = results[i];
        algorithm_ = result.algo;
        possible_ = Done(result.status) &&
                    result.determinism == CUDNN_DETERMINISTIC &&
                    (result.mathType == math) == same_math &&
                    Done(size(algorithm_, &bytes_)) && bytes_ <= trial.size();
      }
    }
    return possible_;
  }

  Algorithm algorithm() const { return algorithm_; }
  size_t bytes() const { return bytes_; }
  void* workspace() const { return CudnnSession::Get().Workspace(bytes_); }

 private:
  enum { kResults = 16 };
  bool chosen_ = false;
  bool possible_ = false;
  Algorithm algorithm_;
  size_t bytes_ = 0;
};

// One shape's descriptors and algorithms; one and zero are numbers of `type`.
class Plan {
 public:
  Plan(const p3d::ConvShape& shape, cudnnDataType_t type, const void* one,
       const void* zero);
  ~Plan();

  bool Forward(const void* x, const void* weights, const void* bias, void* y);
  bool BackwardData(const void* dy, const void* weights, void* dx);
  bool BackwardWeights(const void* dy, const void* x, void* dweights);
  bool BackwardBias(const void* dy, void* dbias);

 private:
  bool SetDescriptors(const p3d::ConvShape& shape);
  bool SetTensor(int64_t num, int64_t channels, const vector<int>& pixels,
                 cudnnTensorDescriptor_t descriptor);

  Plan(const Plan&) = delete;

  const cudnnDataType_t type_;
  const void *const one_, *const zero_;
  const size_t weight_bytes_;
  cudnnMathType_t math_;
  bool possible_;
  cudnnTensorDescriptor_t x_, y_, bias_;
  cudnnFilterDescriptor_t weights_;
  cudnnConvolutionDescriptor_t conv_;
  Direction<cudnnConvolutionFwdAlgo_t, cudnnConvolutionFwdAlgoPerf_t> forward_;
  Direction<cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdDataAlgoPerf_t>
      backward_data_;
  Direction<cudnnConvolutionBwdFilterAlgo_t,
            cudnnConvolutionBwdFilterAlgoPerf_t>
      backward_weights_;
};

Plan::Plan(const p3d::ConvShape& shape, cudnnDataType_t type, const void* one,
           const void* zero)
    : type_(type),
      one_(one),
      zero_(zero),
      weight_bytes_(shape.weight_count() * (type == CUDNN_DATA_DOUBLE ? 8 : 4)),
      math_(CUDNN_DEFAULT_MATH) {
#if CUDNN_VERSION >= 8000
  if (type == CUDNN_DATA_FLOAT) math_ = CUDNN_FMA_MATH;
#endif
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&x_));
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&y_));
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&bias_));
  CUDNN_CHECK(cudnnCreateFilterDescriptor(&weights_));
  CUDNN_CHECK(cudnnCreateConvolutionDescriptor(&conv_));
  possible_ = SetDescriptors(p3d::FoldAxes(shape));
}

Plan::~Plan() {
  cudnnDestroyTensorDescriptor(x_);
  cudnnDestroyTensorDescriptor(y_);
  cudnnDestroyTensorDescriptor(bias_);
  cudnnDestroyFilterDescriptor(weights_);
  cudnnDestroyConvolutionDescriptor(conv_);
}

bool Plan::SetTensor(int64_t num, int64_t channels, const vector<int>& pixels,
                     cudnnTensorDescriptor_t descriptor) {
  vector<int> sizes = {static_cast<int>(num), static_cast<int>(channels)};
  sizes.insert(sizes.end(), pixels.begin(), pixels.end());
  vector<int> strides(sizes.size(), 1);
  for (int i = sizes.size() - 1; i > 0; --i) {
    strides[i - 1] = strides[i] * sizes[i];
  }
  return Done(cudnnSetTensorNdDescriptor(descriptor, type_, sizes.size(),
                                         sizes.data(), strides.data()));
}

bool Plan::SetDescriptors(const p3d::ConvShape& shape) {
  vector<int> in, out, pad, stride, dilation;
  vector<int> kernel = {static_cast<int>(shape.num_output),
                        static_cast<int>(shape.channels / shape.group)};
  for (const p3d::ConvAxis& axis : shape.axes) {
    if (axis.pad_begin != axis.pad_end) return false;
    in.push_back(axis.in);
    out.push_back(axis.out());
    pad.push_back(axis.pad_begin);
    stride.push_back(axis.stride);
    dilation.push_back(axis.dilation);
    kernel.push_back(axis.kernel);
  }
  const vector<int> single(in.size(), 1);
  return shape.pad_mode == p3d::PadMode::kZero &&
         SetTensor(shape.num, shape.channels, in, x_) &&
         SetTensor(shape.num, shape.num_output, out, y_) &&
         SetTensor(1, shape.num_output, single, bias_) &&
         Done(cudnnSetFilterNdDescriptor(weights_, type_, CUDNN_TENSOR_NCHW,
                                         kernel.size(), kernel.data())) &&
         Done(cudnnSetConvolutionNdDescriptor(
             conv_, pad.size(), pad.data(), stride.data(), dilation.data(),
             CUDNN_CROSS_CORRELATION, type_)) &&
         Done(cudnnSetConvolutionGroupCount(conv_, shape.group)) &&
         Done(cudnnSetConvolutionMathType(conv_, math_));
}

bool Plan::Forward(const void* x, const void* weights, const void* bias,
                   void* y) {
  const cudnnHandle_t handle = CudnnSession::Get().handle();
  const auto find = [&](int most, int* count,
                        cudnnConvolutionFwdAlgoPerf_t* results, void* memory,
                        size_t bytes) {
    return cudnnFindConvolutionForwardAlgorithmEx(
        handle, x_, x, weights_, weights, conv_, y_, y, most, count, results,
        memory, bytes);
  };
  const auto size = [&](cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(handle, x_, weights_, conv_,
                                                   y_, algorithm, bytes);
  };
  if (!possible_ || !forward_.Choose(math_, find, size)) return false;
  CUDNN_CHECK(cudnnConvolutionForward(
      handle, one_, x_, x, weights_, weights, conv_, forward_.algorithm(),
      forward_.workspace(), forward_.bytes(), zero_, y_, y));
  if (bias) {
    CUDNN_CHECK(cudnnAddTensor(handle, one_, bias_, bias, one_, y_, y));
  }
  return true;
}

bool Plan::BackwardData(const void* dy, const void* weights, void* dx) {
  const cudnnHandle_t handle = CudnnSession::Get().handle();
  const auto find = [&](int most, int* count,
                        cudnnConvolutionBwdDataAlgoPerf_t* results,
                        void* memory, size_t bytes) {
    return cudnnFindConvolutionBackwardDataAlgorithmEx(
        handle, weights_, weights, y_, dy, conv_, x_, dx, most, count, results,
        memory, bytes);
  };
  const auto size = [&](cudnnConvolutionBwdDataAlgo_t algorithm,
                        size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(
        handle, weights_, y_, conv_, x_, algorithm, bytes);
  };
  if (!possible_ || !backward_data_.Choose(math_, find, size)) return false;
  CUDNN_CHECK(cudnnConvolutionBackwardData(
      handle, one_, weights_, weights, y_, dy, conv_,
      backward_data_.algorithm(), backward_data_.workspace(),
      backward_data_.bytes(), zero_, x_, dx));
  return true;
}

bool Plan::BackwardWeights(const void* dy, const void* x, void* dweights) {
  const cudnnHandle_t handle = CudnnSession::Get().handle();
  // Trials overwrite the gradient, which is to be added to: they get another.
  const auto find = [&](int most, int* count,
                        cudnnConvolutionBwdFilterAlgoPerf_t* results,
                        void* memory, size_t bytes) {
    const CudnnTrialMemory trial(weight_bytes_);
    if (trial.size() < weight_bytes_) return CUDNN_STATUS_NOT_SUPPORTED;
    return cudnnFindConvolutionBackwardFilterAlgorithmEx(
        handle, x_, x, y_, dy, conv_, weights_, trial.data(), most, count,
        results, memory, bytes);
  };
  const auto size = [&](cudnnConvolutionBwdFilterAlgo_t algorithm,
                        size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(
        handle, x_, y_, conv_, weights_, algorithm, bytes);
  };
  if (!possible_ || !backward_weights_.Choose(math_, find, size)) return false;
  CUDNN_CHECK(cudnnConvolutionBackwardFilter(
      handle, one_, x_, x, y_, dy, conv_, backward_weights_.algorithm(),
      backward_weights_.workspace(), backward_weights_.bytes(), one_, weights_,
      dweights));
  return true;
}

bool Plan::BackwardBias(const void* dy, void* dbias) {
  return possible_ &&
         Done(cudnnConvolutionBackwardBias(CudnnSession::Get().handle(), one_,
                                           y_, dy, one_, bias_, dbias));
}

// This thread's for the current GPU.
template <typename Dtype>
Plan& PlanFor(const p3d::ConvShape& shape) {
  static thread_local std::map<vector<int64_t>, shared_ptr<Plan> > plans;
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  vector<int64_t> key = {device, shape.num, shape.channels, shape.num_output,
                         shape.group};
  for (const p3d::ConvAxis& axis : shape.axes) {
    key.insert(key.end(), {axis.in, axis.kernel, axis.stride, axis.dilation,
                           axis.pad_begin, axis.pad_end});
  }
  shared_ptr<Plan>& plan = plans[key];
  using Type = cudnn::dataType<Dtype>;
  if (!plan) plan.reset(new Plan(shape, Type::type, Type::one, Type::zero));
  return *plan;
}

}  // namespace

template <typename Dtype>
bool CudnnConvForward(const p3d::ConvShape& shape, const Dtype* x,
                      const Dtype* weights, const Dtype* bias, Dtype* y) {
  return PlanFor<Dtype>(shape).Forward(x, weights, bias, y);
}

template <typename Dtype>
bool CudnnConvBackwardData(const p3d::ConvShape& shape, const Dtype* dy,
                           const Dtype* weights, Dtype* dx) {
  return PlanFor<Dtype>(shape).BackwardData(dy, weights, dx);
}

template <typename Dtype>
bool CudnnConvBackwardWeights(const p3d::ConvShape& shape, const Dtype* dy,
                              const Dtype* x, Dtype* dweights) {
  return PlanFor<Dtype>(shape).BackwardWeights(dy, x, dweights);
}

template <typename Dtype>
bool CudnnConvBackwardBias(const p3d::ConvShape& shape, const Dtype* dy,
                           Dtype* dbias) {
  return PlanFor<Dtype>(shape).BackwardBias(dy, dbias);
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template bool CudnnConvForward(const p3d::ConvShape&, const Dtype*,         \
                                 const Dtype*, const Dtype*, Dtype*);         \
  template bool CudnnConvBackwardData(const p3d::ConvShape&, const Dtype*,    \
                                      const Dtype*, Dtype*);                  \
  template bool CudnnConvBackwardWeights(const p3d::ConvShape&, const Dtype*, \
                                         const Dtype*, Dtype*);               \
  template bool CudnnConvBackwardBias(const p3d::ConvShape&, const Dtype*,    \
                                      Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace caffe

#endif  // USE_CUDNN

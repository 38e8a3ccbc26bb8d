#ifndef P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_
#define P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_

#include <memory>
#include <string>

#include "engine/layers/base_convolution_layer.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_gradients.hpp"

namespace p3d {

// Convolution, also called Convolution3D: any number of axes, see ConvShape for
// the formula.
//
// float runs the fastest kernel for the shape on channels-last data, double the
// plain reference. Where precision() says bfloat16 the host's values are that
// in phase TEST; in phase TRAIN they are floats, but where a PlanStep says that
// 16 bits will do, and rounded for each of the three products: of the way
// forward and of both gradients.
template <typename Dtype>
class ConvolutionLayer : public BaseConvolutionLayer<Dtype> {
 public:
  using BaseConvolutionLayer<Dtype>::BaseConvolutionLayer;
  using typename BaseConvolutionLayer<Dtype>::Blobs;

  Role role() const override;
  void Reshape(const Blobs& bottom, const Blobs& top) override;
  void Forward(const Blobs& bottom, const Blobs& top) override;
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override;

  std::string kernel() const override;

  // --- for plans, float only

  // The weights as the host's kernel wants them now, packed if they changed. In
  // phase TEST no other copy of floats is kept.
  std::shared_ptr<const float> packed_weights();
  int64_t packed_size() const;
  // Values of scratch memory that a run on `side` takes.
  int64_t workspace_size(Side side) const;
  // y = the convolution of x, with the epilogue, all on the GPU; the values of
  // `residual`, if given, stand for the epilogue's.
  void RunOnGpu(const Blob<Dtype>& x, const Epilogue<Dtype>& epilogue,
                const Blob<Dtype>* residual, Dtype* workspace, Blob<Dtype>* y);
  // The same on the host, while weights that the next run will read are
  // fetched. `narrow`: in phase TRAIN, too, y may be of 16 bits.
  void RunOnHost(const Blob<Dtype>& x, const Epilogue<Dtype>& epilogue,
                 const Blob<Dtype>* residual, bool narrow, Dtype* workspace,
                 const NextWeights& next, Blob<Dtype>* y);
  // Adds to the gradients of weights and biases, where they learn, and makes
  // that of x in `dx`, if given (`add`: adds to it), from that of y, of which
  // `y` is the shape. All on side().
  void MakeGradients(Storage<Dtype>& dy, const Blob<Dtype>& y,
                     const Blob<Dtype>& x, Storage<Dtype>* dx, bool add);

 protected:
  bool transposed() const override { return false; }

 private:
  using typename BaseConvolutionLayer<Dtype>::Gradients;
  using BaseConvolutionLayer<Dtype>::params_;
  using BaseConvolutionLayer<Dtype>::shape_;

  // A kernel that is made when it is first asked for; it may be null.
  template <typename Kernel>
  struct Lazy {
    const Kernel* get(const ConvShape& shape, Isa isa) {
      if (!asked) kernel = Kernel::Create(shape, isa);
      asked = true;
      return kernel.get();
    }
    std::shared_ptr<const Kernel> kernel;
    bool asked = false;
  };

  // Whether this is that phase and its products are of bfloat16 on the host.
  bool rounds(Phase phase) const;
  // The host's kernels of bfloat16, where they are to be taken now, else null:
  // in phase TEST, and of the way forward and back in phase TRAIN. Each has its
  // own idea of what is left to floats.
  const Bf16Conv* bf16() const;
  const Bf16ConvTo<float>* bf16_sums() const;
  const ConvGradients<Bf16>* bf16_gradients() const;
  template <typename Kernel>
  std::shared_ptr<const float> PackedFor(const Kernel& kernel);

  // Where the gradients of the weights go, and whether there are any yet.
  Dtype* WeightDiff(Order order, Side side, bool* more);
  // `add`: to the gradient of the input.
  void MakeOnHost(const Gradients& g, bool add);
  template <typename Value>
  void MakeOnHost(const ConvGradients<Value>& kernel, const Gradients& g,
                  bool add);
  void MakeOnGpu(const Gradients& g, bool add);

  // Kernels for the present shape. A Reshape that changes it makes new ones;
  // another instruction set takes effect then.
  Isa isa_ = Isa::kGeneric;
  std::shared_ptr<const Conv> conv_;
  mutable Lazy<Bf16Conv> bf16_;
  mutable Lazy<Bf16ConvTo<float>> bf16_sums_;
  mutable Lazy<ConvGradients<Bf16>> bf16_gradients_;
  Lazy<ConvGradients<Dtype>> gradients_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_

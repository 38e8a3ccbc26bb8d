#ifndef P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_
#define P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_

#include <memory>
#include <string>

#include "engine/layer.hpp"
#include "engine/layers/conv_params.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_gradients.hpp"

namespace p3d {

// Convolution, also called Convolution3D: any number of axes, see ConvShape for
// the formula. Blobs: weights (num_output, channels / group, kernel...), and
// (num_output) biases unless bias_term is false. The same weights serve every
// pair of bottom and top.
//
// float runs the fastest kernel for the shape on channels-last data, double the
// plain reference. Where precision() says bfloat16 the host's values are that
// in phase TEST; in phase TRAIN they are floats, but where a PlanStep says that
// 16 bits will do, and rounded for each of the three products: of the way
// forward and of both gradients.
template <typename Dtype>
class ConvolutionLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 1, -1, true}; }
  Role role() const override;
  bool HasGpu() const override { return params_.spatial_axes <= 3; }
  bool Replayable() const override { return true; }
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override;
  void Reshape(const Blobs& bottom, const Blobs& top) override;
  void Forward(const Blobs& bottom, const Blobs& top) override;
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override;

  std::string kernel() const override;
  int64_t macs() const override;

  // --- for plans, float only

  // The weights as the host's kernel wants them now, packed if they changed. In
  // phase TEST no other copy of floats is kept.
  std::shared_ptr<const float> packed_weights();
  int64_t packed_size() const;
  // One bias per output channel, or null.
  const Dtype* bias_or_null(Side side = Side::kHost) const;
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

 private:
  // What is made of a convolution's input and output once: see MakeGradients.
  struct Gradients {
    Storage<Dtype>& dy;
    Geometry out;
    Storage<Dtype>& x;
    Geometry in;
    Storage<Dtype>* dx;
    bool add;
  };
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

  void AddBiasGradient(Storage<Dtype>& dy, const Geometry& out);
  // Where the gradients of the weights go, and whether there are any yet.
  Dtype* WeightDiff(Order order, Side side, bool* more);
  void MakeOnHost(const Gradients& g);
  template <typename Value>
  void MakeOnHost(const ConvGradients<Value>& kernel, const Gradients& g);
  void MakeOnGpu(const Gradients& g);

  ConvParams params_;
  ConvShape shape_;
  // Kernels for the present shape. A Reshape that changes it makes new ones;
  // another instruction set takes effect then.
  Isa isa_ = Isa::kGeneric;
  std::shared_ptr<const Conv> conv_;
  mutable Lazy<Bf16Conv> bf16_;
  mutable Lazy<Bf16ConvTo<float>> bf16_sums_;
  mutable Lazy<ConvGradients<Bf16>> bf16_gradients_;
  Lazy<ConvGradients<Dtype>> gradients_;
  bool simple_ = false;  // one bottom, channels at axis 1
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_CONVOLUTION_LAYER_HPP_

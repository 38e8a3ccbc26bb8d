#ifndef P3D_ENGINE_LAYER_HPP_
#define P3D_ENGINE_LAYER_HPP_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/blob.hpp"
#include "engine/fields.hpp"
#include "engine/values.hpp"
#include "kernels/error.hpp"

namespace p3d {

enum class Phase { kTrain = 0, kTest = 1 };

// An lr_mult or decay_mult, and whether the prototxt has it.
struct Multiplier {
  float value;
  bool given;
};

// `param { name: lr_mult: decay_mult: share_mode: }` of one parameter blob.
struct ParamSpec {
  std::string name;
  bool permissive = false;
  Multiplier lr_mult = {1.f, false};
  Multiplier decay_mult = {1.f, false};
};

// One `layer { ... }` of a prototxt as plain data.
struct LayerSpec {
  std::string name;
  std::string type;
  std::vector<std::string> bottom;
  std::vector<std::string> top;
  Phase phase = Phase::kTest;
  std::vector<float> loss_weight;
  std::vector<bool> propagate_down;
  std::vector<ParamSpec> param;
  // By field name ("convolution_param"): the messages that the prototxt sets...
  std::map<std::string, Fields> fields;
  // ... and every message with its defaults, shared by all layers of a net.
  std::shared_ptr<const std::map<std::string, Fields>> defaults;
};

// How many bottoms and tops a layer takes; -1 means any number.
struct BlobCounts {
  int min_bottom = 0;
  int max_bottom = -1;
  int min_top = 0;
  int max_top = -1;
  bool equal = false;  // as many tops as bottoms

  static BlobCounts Exactly(int bottom, int top) {
    return {bottom, bottom, top, top, false};
  }
};

// What a layer amounts to in inference, as far as the plan can make use of it.
enum class Role {
  kOpaque,    // anything: the plan calls Forward
  kIdentity,  // the tops share the first bottom's values; Forward does nothing
  kConvolution,  // a ConvolutionLayer
  kAffine,       // top = bottom * scale[c] + shift[c], see Affine
  kRelu,         // top = max(bottom, 0)
  kSum,          // top = sum of coefficient[i] * bottom[i], see Coefficients
};

// One step of a net. To add a layer type:
//  1. layers/kernels/<operation>.hpp, .cpp: the arithmetic on plain arrays;
//  2. layers/engine/layers/<type>_layer.cpp: a class derived from Layer with
//     Reshape, Forward and Backward, closed by P3D_REGISTER_LAYER(Type,
//     TypeLayer);
//  3. tests/engine/test_<type>_layer.py, tests/gradient_cases.py: its cases.
// Errors thrown here need not name the layer: the net puts its type and name in
// front.
template <typename Dtype>
class Layer {
 public:
  using Blobs = std::vector<Blob<Dtype>*>;

  explicit Layer(const LayerSpec& spec) : spec_(spec) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // Checks the counts of bottoms and tops, then LayerSetUp and Reshape.
  void SetUp(const Blobs& bottom, const Blobs& top);

  // Once: reads the parameters, makes the parameter blobs.
  virtual void LayerSetUp(const Blobs& bottom, const Blobs& top);
  // Whenever a bottom's shape may have changed: gives the tops their shapes.
  virtual void Reshape(const Blobs& bottom, const Blobs& top) = 0;
  // Reads the bottoms, overwrites the tops. In place it gives what it would
  // otherwise, values and gradients, also where upstream's reads what it has
  // overwritten: Eltwise's SUM and MAX and LRN, gradients of BNLL, Log, Power
  // and MVN.
  virtual void Forward(const Blobs& bottom, const Blobs& top) = 0;
  // Follows a Forward with the same blobs. Reads the tops' diffs; overwrites
  // the diffs of those bottoms for which propagate_down says so; adds to the
  // diffs of those parameters i for which learns(i). May read the data of
  // bottoms and tops, but where a top is a bottom its data may have been
  // overwritten since (see SavedInput).
  virtual void Backward(const Blobs& top,
                        const std::vector<bool>& propagate_down,
                        const Blobs& bottom);

  // Whether a gradient can flow to bottom `index`. propagate_down is false for
  // others; a layer without any and without parameters need not override
  // Backward.
  virtual bool Differentiable(int /*index*/) const { return true; }

  virtual BlobCounts counts() const { return BlobCounts(); }
  // Tops that the prototxt leaves out are made up to counts().min_top.
  virtual bool AutoTopBlobs() const { return false; }
  // The loss weight of top `index` when the prototxt gives none.
  virtual float DefaultLossWeight(int /*index*/) const { return 0.f; }

  virtual Role role() const { return Role::kOpaque; }
  // Whether the tops come from outside: from a person (Input), from files, from
  // a generator of random numbers. A second run may give other data, so a plan
  // takes the tops as they are, and nothing runs such a layer again for a blob
  // that the plan dropped.
  virtual bool Source() const { return false; }
  // False where a second run of the same bottoms may give something else, or
  // where the tops' shapes depend on the bottoms' values: a net with such a
  // layer runs layer by layer.
  virtual bool Plannable() const { return true; }
  // False where a Forward may do more than to make its tops of its bottoms: to
  // write a file, to count. A plan keeps the tops of such a layer, and nothing
  // runs it again for another blob that the plan dropped.
  virtual bool Repeatable() const { return true; }
  // What a Forward hands to the next one, besides parameters: without it a
  // training does not go on as it was. Other shapes may make other blobs.
  virtual std::vector<std::shared_ptr<Blob<Dtype>>> Carried() const {
    return {};
  }
  // Whether a Forward or Backward, which is not the engine's code, may give any
  // blob another shape, or call its net.
  virtual bool Foreign() const { return false; }
  // Role::kAffine: writes one scale and one shift per channel.
  virtual void Affine(Dtype* scale, Dtype* shift) const;
  // Role::kSum.
  virtual std::vector<float> Coefficients(int bottoms) const;

  // Whether the work can be done on the GPU. Other layers run on the host in
  // GPU mode too, between copies.
  virtual bool HasGpu() const { return false; }
  // Where the work is to be done now.
  Side side() const { return HasGpu() ? mode() : Side::kHost; }

  // Whether a Forward on the GPU, and a Backward where there is one, once the
  // first is done, only launches kernels, and copies and zeroes memory there:
  // that of its blobs, of this layer, and GpuScratches. For as long as shapes
  // are the same it is, with the same numbers: none that are drawn, or made on
  // the host of values. Such layers become a PlanGraph.
  virtual bool Replayable() const { return false; }
  // Before a Forward or Backward is replayed: does on the host what the Forward
  // would do there because parameters, or the side it ran on, changed.
  virtual void Refresh() {}
  // Behind a Forward on the GPU, be it replayed, and whatever ran behind it:
  // throws the Error that the Forward on the host would have thrown for values
  // of the bottoms. Kernels cannot; this waits for them.
  virtual void Verify() {}

  // The kernel that does the work, where there is a choice, else "".
  virtual std::string kernel() const { return ""; }
  // Multiplications of one forward, for reports; 0 where nobody counts them.
  virtual int64_t macs() const { return 0; }

  const LayerSpec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name; }
  const std::string& type() const { return spec_.type; }
  Phase phase() const { return spec_.phase; }
  // Whether a Backward may follow each Forward: what it needs has to be kept.
  bool needs_backward() const { return needs_backward_; }
  // Whether Backward computes the gradient of parameter blob `index`.
  bool learns(size_t index) const {
    return index >= learns_.size() || learns_[index];
  }
  // Whether a later layer works in place on a top that is no bottom of this
  // one: Backward does not find there what Forward wrote.
  bool top_overwritten() const { return top_overwritten_; }
  void set_top_overwritten(bool overwritten) { top_overwritten_ = overwritten; }
  // To be said before the first Forward; by default everything learns.
  void PrepareBackward(bool needed, std::vector<bool> learns) {
    needs_backward_ = needed;
    learns_ = std::move(learns);
  }
  std::vector<std::shared_ptr<Blob<Dtype>>>& blobs() { return blobs_; }
  const std::vector<std::shared_ptr<Blob<Dtype>>>& blobs() const {
    return blobs_;
  }

 protected:
  // The layer's parameter message by its field name, "bn_param".
  const Fields& Param(const std::string& field) const;
  // For layers that write a top before they are done with the bottoms, or give
  // it another shape.
  static void CheckNotInPlace(const Blobs& bottom, const Blobs& top);
  // blobs_[0] for a kernel on the GPU; in 16 bits inference keeps nothing else
  // of it there.
  template <typename Value>
  const Value* GpuWeights(Order order) const {
    Storage<Dtype>& storage = blobs_[0]->storage();
    const Value* weights =
        blobs_[0]->template data_of<Value>(order, Side::kGpu);
    if (kNarrow<Value> && phase() == Phase::kTest) storage.DropWide();
    return weights;
  }

  LayerSpec spec_;
  std::vector<std::shared_ptr<Blob<Dtype>>> blobs_;

 private:
  bool needs_backward_ = true;
  bool top_overwritten_ = false;
  std::vector<bool> learns_;
};

// The types that nets may name.
template <typename Dtype>
class LayerRegistry {
 public:
  using Creator =
      std::function<std::unique_ptr<Layer<Dtype>>(const LayerSpec&)>;

  static void Add(const std::string& type, Creator creator);
  // Throws Error with the nearest known type where `spec.type` is unknown.
  static std::unique_ptr<Layer<Dtype>> Create(const LayerSpec& spec);
  // In alphabetical order.
  static std::vector<std::string> Types();
};

namespace detail {
template <template <typename> class LayerClass>
bool RegisterLayer(const std::string& type) {
  LayerRegistry<float>::Add(type, [](const LayerSpec& spec) {
    return std::unique_ptr<Layer<float>>(new LayerClass<float>(spec));
  });
  LayerRegistry<double>::Add(type, [](const LayerSpec& spec) {
    return std::unique_ptr<Layer<double>>(new LayerClass<double>(spec));
  });
  return true;
}
}  // namespace detail

#define P3D_REGISTER_LAYER(Type, LayerClass) \
  const bool registered_##Type = detail::RegisterLayer<LayerClass>(#Type)

}  // namespace p3d

#endif  // P3D_ENGINE_LAYER_HPP_

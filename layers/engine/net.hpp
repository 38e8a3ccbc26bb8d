#ifndef P3D_ENGINE_NET_HPP_
#define P3D_ENGINE_NET_HPP_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "engine/blob.hpp"
#include "engine/layer.hpp"

namespace p3d {

class Plan;
class PlanRun;
struct PlanStep;
class TrainingPlan;

// Where the time of one forward went.
struct StepTime {
  std::string layers;  // names of the layers done in one step, joined by " + "
  std::string type;    // type of the first
  std::string kernel;  // "" where there is no choice
  int64_t macs = 0;
  int64_t values = 0;  // that have to be read or written: blobs and weights
  double milliseconds = 0;
};

// Bytes of a GPU's memory that runs of a net take, about: whatever the batch
// is, and for each of its items.
struct GpuNeeds {
  size_t fixed = 0;
  size_t per_item = 0;
  int64_t items = 1;  // of the batch at present
  size_t all() const { return fixed + per_item * items; }
};

// A net of layers, with the semantics of Caffe's Net. Layers come filtered and
// with their splits inserted, bottoms before tops.
//
// A forward from the first layer in phase TEST runs through the inference plan
// (see Plan): blobs in the middle then have no values until somebody asks for
// them. All other forwards go layer by layer.
template <typename Dtype>
class Net {
 public:
  using Blobs = typename Layer<Dtype>::Blobs;
  using Poll = std::function<void()>;
  using Hook = std::function<void(int layer)>;

  // `force_backward`: gradients of everything that has any, whether or not a
  // parameter or a loss asks for them.
  Net(const std::string& name, const std::vector<LayerSpec>& layers,
      Phase phase, bool force_backward = false);
  ~Net();

  // Runs layers from..to, both included, and returns the weighted loss. `poll`
  // is called between layers and may throw (Ctrl-C).
  Dtype Forward(int from, int to, const Poll& poll = Poll());
  Dtype Forward(const Poll& poll = Poll()) {
    return Forward(0, static_cast<int>(layers_.size()) - 1, poll);
  }

  // Runs layers from..to backwards, from >= to, both included: diffs of their
  // tops become diffs of their bottoms, and those of parameters are added to
  // what is there. The top of a loss has its weight as diff. Layers that no
  // gradient has to pass are skipped: those below the first parameter that
  // learns (lr_mult is not 0), those that no loss is made of, and what
  // propagate_down says.
  //
  // Follows a Forward with the same shapes, else throws Error. The first
  // Backward ends the use of inference plans.
  void Backward(int from, int to, const Poll& poll = Poll());
  // A whole Forward and, where the loss is finite, a whole Backward; returns
  // the loss. In phase TRAIN it goes through a TrainingPlan where one can be
  // made, and blobs in the middle and their gradients then have no values until
  // somebody asks for them: those are of the weights at that moment. From the
  // first time that gradients were asked for on, they keep their values.
  Dtype ForwardBackward(const Poll& poll = Poll());
  // Whether the next one may leave blobs and gradients without values.
  bool Lean() const;
  // Sets the diffs of all parameters to 0.
  void ClearParamDiffs();
  // From now on all gradients are `scale` times what they are.
  void ScaleLoss(float scale);
  float loss_scale() const { return loss_scale_; }
  // Whether a layer's parameter blob is its own, not that of an earlier layer
  // which shares it by name.
  bool owns_param(int layer, int blob) const;
  // The `param` of a layer's parameter blob; of one that layers share, what
  // they say together.
  ParamSpec param_spec(int layer, int blob) const;

  // A whole forward by the way that Forward takes, with the time of each step.
  // On a GPU a row "input copies" of no type comes first: bringing the inputs
  // there.
  std::vector<StepTime> Profile();

  // Gives every blob the shape that follows from the inputs' shapes.
  void Reshape();
  // To be called when a blob got another shape: the plan was made for the old.
  // Throws Error while that runs: a layer written in Python called.
  void ForgetPlan();

  // --- memory of the GPU in use

  // With the inputs' present shapes; in phase TRAIN those of training.
  GpuNeeds gpu_needs();
  // Bytes there that this net has, or may have.
  size_t GpuRoom() const;
  // The largest batch for which there is room, by these; 0: there is none.
  int64_t GpuBatch();
  // Runs `body` of this net's; an OutOfMemory from there says in addition how
  // much the net needs and which batch fits.
  template <typename Body>
  auto TellingNeeds(const Body& body) -> decltype(body()) {
    try {
      return body();
    } catch (const cuda::OutOfMemory& error) {
      throw cuda::OutOfMemory(error.what() + NeedsInWords());
    }
  }

  // Uses the other net's parameters for layers of the same name, as test nets
  // do. Throws Error where shapes differ.
  void ShareTrainedLayersWith(Net* other);

  // Blobs that keep their values after every forward from now on; an unknown
  // index throws Error.
  void Keep(int blob);

  // Whether whole forwards (and backwards) go through a plan, where one can be
  // made (default: yes).
  void set_planning(bool on);
  bool planned() const;
  // How the plan for inference runs, null where there is none yet.
  const PlanRun* plan_run() const;

  // Called with the layer's index around each layer; a hooked net runs layer by
  // layer.
  std::vector<Hook> before_forward, after_forward;
  // Likewise around each layer of a Backward, skipped ones included.
  std::vector<Hook> before_backward, after_backward;
  // Gets a line for the mean magnitude of every blob that a layer makes, in
  // Caffe's words (debug_info); the net then runs layer by layer.
  std::function<void(const std::string&)> debug_log;

  // What a person knows the net by: its file. The binding begins errors with it
  // that come of blobs' values, which are made when they are asked for.
  std::string origin;

  const std::string& name() const { return name_; }
  Phase phase() const { return phase_; }
  const std::vector<std::unique_ptr<Layer<Dtype>>>& layers() const {
    return layers_;
  }
  const std::vector<std::shared_ptr<Blob<Dtype>>>& blobs() const {
    return blobs_;
  }
  const std::vector<std::string>& blob_names() const { return blob_names_; }
  const std::vector<int>& inputs() const { return inputs_; }
  // The tops of all sources, inputs among them.
  const std::vector<int>& source_tops() const { return source_tops_; }
  // In alphabetical order, as in Caffe.
  const std::vector<int>& outputs() const { return outputs_; }
  const std::vector<int>& bottom_ids(int layer) const {
    return bottom_ids_.at(layer);
  }
  const std::vector<int>& top_ids(int layer) const {
    return top_ids_.at(layer);
  }
  const Blobs& bottom(int layer) const { return bottoms_.at(layer); }
  const Blobs& top(int layer) const { return tops_.at(layer); }
  // By blob.
  const std::vector<float>& loss_weights() const { return loss_weights_; }
  bool kept(int blob) const { return kept_[blob]; }
  // How many parameter blobs somebody holds a view of right now.
  int held_params() const;

  // Held during forwards, reshapes and everything that reads or writes blobs.
  std::recursive_mutex& mutex() const { return *mutex_; }

 private:
  friend class Plan;
  friend struct PlanStep;
  friend class TrainingPlan;

  // A parameter with a name: the first layer that has it owns it. What that one
  // leaves out of its `param`, a later one may give.
  struct NamedParam {
    int layer;
    int blob;
    ParamSpec spec;
  };

  void AppendLayer(const LayerSpec& spec,
                   std::map<std::string, int>* available);
  int AppendBottom(const LayerSpec& spec, size_t index,
                   std::map<std::string, int>* available);
  int AppendTop(const LayerSpec& spec, size_t index,
                std::map<std::string, int>* available);
  void AppendParams(int layer);
  void ShareParam(const ParamSpec& spec, NamedParam* owned,
                  Blob<Dtype>* blob) const;
  void SetLossWeights(int layer);
  // The diffs of tops with a loss weight, where they have no values yet.
  void FillLossDiffs(int layer);
  // Decides which layers and bottoms need a backward, see net_backward.cpp.
  void FindGradients(bool force);
  void FindGradientSources(bool force);
  void FindGradientSinks();
  // Whether a layer's top is one of its bottoms.
  bool InPlace(size_t layer, int top) const;
  // Whether a layer from `first` on works in place on the values of a blob.
  bool Overwritten(int blob, size_t first) const;
  void ReshapeLayer(int layer);
  void ReshapeAllButSources();
  // Of all blobs.
  std::vector<Shape> Shapes() const;
  bool HasShapes(const std::vector<Shape>& shapes) const;
  // Runs a layer's SetUp or Reshape. Throws Error where a Foreign one changes
  // the shapes of other blobs than its tops.
  template <typename Body>
  void GivingTopsShapes(int layer, const Body& body);
  // While it lives a plan runs, which may not be disturbed from within: what
  // would do that calls CheckIdle, which then throws Error.
  class Running {
   public:
    explicit Running(Net* net) : net_(net) {
      net_->CheckIdle();
      net_->running_ = true;
    }
    ~Running() { net_->running_ = false; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Net* net_;
  };
  void CheckIdle() const;
  static void CallHooks(const std::vector<Hook>& hooks, int layer);
  Dtype RunLayer(int layer);
  void VerifyLayer(int layer);
  // The weighted loss that a layer's tops are.
  Dtype LossOf(int layer) const;
  Dtype TimeLayer(int layer, std::vector<StepTime>* times);
  // Brings the inputs to the GPU as convolutions read them.
  void TimeInputCopies(std::vector<StepTime>* times);
  Dtype ForwardLayers(int from, int to, const Poll& poll);
  // Layers 0..last without sources through the plan; layer by layer from where
  // a Foreign layer gives a top another shape, and in all runs after that.
  Dtype RunPlan(int last, const Poll& poll);
  // A Foreign layer changed shapes that plans were made for.
  void LeavePlans();
  // Where a plan has run layers 0..ran: layers 0..last without sources layer by
  // layer, but for those that have run and are not Repeatable.
  Dtype GoOn(int ran, int last, const Poll& poll);
  // Whether a layer that is not Repeatable works in place, so that those before
  // it, of which a plan for inference keeps nothing for a Backward, cannot run
  // again without it.
  bool HidesFromBackward() const;
  // From now on layer by layer; repeats a forward that was planned, see GoOn.
  void LeavePlan(const Poll& poll);
  // Runs where blobs have the values that the last planned forward was given,
  // not what was written to them since.
  void WithInputsOfPlan(const std::function<void()>& run);
  // Before a Backward, which reads weights where they lie: another net that
  // shares them may pack them meanwhile.
  void KeepUnpacked();
  void BackwardLayer(int layer);
  void RememberShapes(int layer);
  bool RanWithTheseShapes(int layer) const;
  void CheckShapes(int layer) const;
  std::vector<Shape> ShapesOf(int layer) const;
  void LogForward(int layer) const;
  void LogBackward(int layer) const;
  void LogParams() const;
  // The plan for layers 0..last, if Planning().
  Plan* PlanTo(int last);
  // Whether whole forwards go through a plan.
  bool Planning() const;
  // Makes what layers from..to read and do not make, where a plan dropped it.
  // It is of the inputs of that forward: not of what was written since.
  void MakeBottoms(int from, int to);
  // Runs the sources among layers 0..last, which is not the plan's business,
  // and returns their weighted loss.
  Dtype RunSources(int last, std::vector<StepTime>* times);
  // Makes a blob's values that the plan did not keep, by running the layers
  // again that it comes from, on the inputs of the last forward and on what
  // layers made then that are not Repeatable. Every other blob stays as it is.
  void Recompute(int blob);
  // The values that Recompute takes for what it reads and does not make.
  std::shared_ptr<Storage<Dtype>> Given(int blob, int target) const;
  // Before and after a planned run: what it may need.
  void RememberInputs(int last);
  void RememberOwn();
  // The tops of those of layers 0..last that are not Repeatable. In the end
  // they have the values that the last of the layers in place left in them.
  std::set<int> OwnTops(int last) const;
  // What a plan, if one can be made, takes for all blobs but the inputs.
  size_t PlannedBytes();
  size_t TurnedBytes() const;
  size_t HeldOnGpu() const;
  std::string NeedsInWords();
  // As ForwardBackward, after the sources; adds to the loss.
  void RunTrainingPlan(const Poll& poll, Dtype* loss);
  // Its Forward; false where a Foreign layer gave a top another shape: no plan
  // is left then, and the rest has run layer by layer.
  bool ForwardPlanned(const Poll& poll, Dtype* loss);
  // The gradients of all blobs, by a Backward that teaches no parameter.
  void RecomputeDiffs();
  // Views before and after a forward, see Storage.
  void TouchParams();
  void TouchAll();
  void SyncAll();
  void TouchDiffs();
  void SyncDiffs();
  // Errors of a layer start with its type and name.
  template <typename Body>
  static void InLayer(const LayerSpec& spec, const Body& body) {
    const auto named = [&spec](const char* what) {
      return spec.type + " '" + spec.name + "': " + what;
    };
    try {
      body();
    } catch (const cuda::OutOfMemory& error) {
      throw cuda::OutOfMemory(named(error.what()));
    } catch (const NoMemory& error) {
      throw NoMemory(named(error.what()));
    } catch (const Error& error) {
      throw Error(named(error.what()));
    } catch (const std::bad_alloc&) {
      throw NoMemory(named("out of memory; a smaller batch needs less"));
    }
  }

  std::string name_;
  Phase phase_;
  std::vector<std::unique_ptr<Layer<Dtype>>> layers_;
  std::vector<std::shared_ptr<Blob<Dtype>>> blobs_;
  std::vector<std::string> blob_names_;
  std::vector<std::vector<int>> bottom_ids_, top_ids_;
  std::vector<Blobs> bottoms_, tops_;
  std::vector<float> loss_weights_;
  std::vector<int> inputs_, source_tops_, outputs_;
  std::vector<int> overwritten_;  // tops of sources, by layers in place
  std::vector<bool> kept_;
  std::vector<bool> layer_needs_backward_;
  std::vector<std::vector<bool>> bottom_needs_backward_;  // by layer
  std::vector<std::vector<bool>> learns_;                 // by layer: its blobs
  // By layer: of bottoms and tops at the last Forward.
  std::vector<std::vector<Shape>> forward_shapes_;
  std::map<std::string, NamedParam> named_params_;  // by name

  bool planning_ = true;
  bool layerwise_ = false;
  bool running_ = false;      // a plan
  bool shapes_vary_ = false;  // a Foreign layer's Forward gives tops shapes
  std::unique_ptr<Plan> plan_;
  float loss_scale_ = 1;
  bool lean_ = true;
  std::unique_ptr<TrainingPlan> training_plan_;
  // The last planned forward: its last layer, the blobs' shapes, and copies of
  // those tops of sources that the engine does not hold in an order of its own,
  // or overwrites; after it also of OwnTops.
  int planned_to_ = -1;
  std::vector<Shape> planned_shapes_;
  std::map<int, std::shared_ptr<Storage<Dtype>>> input_copies_;
  bool own_remembered_ = false;
  // Blobs have it too, and may be there for longer than the net.
  const std::shared_ptr<std::recursive_mutex> mutex_ =
      std::make_shared<std::recursive_mutex>();
};

// Only nets of float have plans.
template <>
Plan* Net<float>::PlanTo(int last);
template <>
Plan* Net<double>::PlanTo(int last);
template <>
bool Net<float>::Planning() const;
template <>
bool Net<double>::Planning() const;
template <>
size_t Net<float>::PlannedBytes();
template <>
size_t Net<double>::PlannedBytes();
template <>
std::shared_ptr<Storage<float>> Net<float>::Given(int blob, int target) const;
template <>
void Net<float>::Recompute(int blob);
template <>
void Net<double>::Recompute(int blob);
template <>
bool Net<float>::ForwardPlanned(const Poll& poll, float* loss);
template <>
void Net<float>::RunTrainingPlan(const Poll& poll, float* loss);
template <>
void Net<double>::RunTrainingPlan(const Poll& poll, double* loss);

}  // namespace p3d

#endif  // P3D_ENGINE_NET_HPP_

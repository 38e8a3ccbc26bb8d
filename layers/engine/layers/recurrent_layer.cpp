#include "engine/layers/recurrent_layer.hpp"

#include "kernels/eltwise.hpp"
#include "kernels/recurrent.hpp"

namespace p3d {

template <typename Dtype>
BlobCounts RecurrentLayer<Dtype>::counts() const {
  const int exposed_states = exposed() ? states() : 0;
  return {2 + exposed_states, 3 + exposed_states, 1 + exposed_states,
          1 + exposed_states, false};
}

template <typename Dtype>
std::vector<std::shared_ptr<Blob<Dtype>>> RecurrentLayer<Dtype>::Carried()
    const {
  if (exposed()) return {};
  return states_;
}

template <typename Dtype>
int64_t RecurrentLayer<Dtype>::macs() const {
  int64_t macs = x_.layer->macs() + h_.layer->macs() * hidden_.shape(0);
  if (has_static_) macs += static_.layer->macs();
  return macs;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Add(Transform* transform, int64_t outputs,
                                bool bias, int axis, Blob<Dtype>* in) {
  const Fields& param = this->Param("recurrent_param");
  LayerSpec spec;
  spec.name = this->name();
  spec.type = "InnerProduct";
  spec.phase = this->phase();
  spec.defaults = this->spec_.defaults;
  Fields fields = this->Param("inner_product_param");
  fields["num_output"].numbers = {static_cast<double>(outputs)};
  fields["bias_term"].numbers = {bias ? 1. : 0.};
  fields["transpose"].numbers = {0.};
  fields["axis"].numbers = {static_cast<double>(axis)};
  fields["weight_filler"].messages = {param.Sub("weight_filler")};
  fields["bias_filler"].messages = {param.Sub("bias_filler")};
  spec.fields["inner_product_param"] = fields;
  transform->layer = LayerRegistry<Dtype>::Create(spec);
  transform->SetUp(in);
  transform->first_blob = this->blobs_.size();
  for (const auto& blob : transform->layer->blobs()) {
    this->blobs_.push_back(blob);
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::CheckBottoms(const Blobs& bottom) const {
  const Shape& x = bottom[0]->shape();
  Check(x.size() >= 2, "needs a bottom of time steps and streams (T, N, ...), ",
        "not ", ShapeString(x));
  Check(bottom[1]->shape() == Shape({x[0], x[1]}),
        "needs continuation indicators of shape (T, N), ", x[0], " ", x[1],
        ", not ", ShapeString(bottom[1]->shape()));
  if (has_static_) {
    Check(bottom[2]->shape(0) == x[1], "needs a static input of ", x[1],
          " streams, not ", ShapeString(bottom[2]->shape()));
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::LayerSetUp(const Blobs& bottom, const Blobs&) {
  const Fields& param = this->Param("recurrent_param");
  constexpr int64_t kMostOutputs = int64_t{1} << 24;
  width_ = param.Int("num_output");
  Check(width_ > 0 && width_ <= kMostOutputs, "num_output is ", width_,
        "; give a number from 1 to ", kMostOutputs);
  has_static_ = static_cast<int>(bottom.size()) > counts().min_bottom;
  CheckBottoms(bottom);
  ShapeStates(bottom);
  Add(&x_, gates() * width_, true, 2, bottom[0]);
  if (has_static_) Add(&static_, gates() * width_, false, 1, bottom[2]);
  Add(&h_, gates() * width_, false, 2, &continued_);
}

template <typename Dtype>
void RecurrentLayer<Dtype>::ShapeStates(const Blobs& bottom) {
  const int64_t steps = bottom[0]->shape(0);
  const int64_t streams = bottom[0]->shape(1);
  const Shape state = {1, streams, width_};
  hidden_.Reshape({steps, streams, width_});
  gates_.Reshape({steps, streams, gates() * width_});
  paths_.resize(states());
  for (Blob<Dtype>& path : paths_) path.Reshape({steps + 1, streams, width_});
  diffs_.resize(states());
  for (Blob<Dtype>& diff : diffs_) diff.Reshape(state);
  if (continued_.shape() == state) return;
  continued_.Reshape(state);
  // Other streams have no past.
  states_.clear();
  for (int i = 0; i < states(); ++i) {
    states_.push_back(std::make_shared<Blob<Dtype>>(state));
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Reshape(const Blobs& bottom, const Blobs& top) {
  this->CheckNotInPlace(bottom, top);
  CheckBottoms(bottom);
  ShapeStates(bottom);
  x_.Reshape(bottom[0]);
  if (has_static_) static_.Reshape(bottom[2]);
  h_.Reshape(&continued_);
  top[0]->ReshapeLike(hidden_);
  if (!exposed()) return;
  for (int i = 0; i < states(); ++i) {
    const Blob<Dtype>& first = *bottom[2 + has_static_ + i];
    Check(first.shape() == continued_.shape(), "needs first states of shape ",
          ShapeString(continued_.shape()), ", not ",
          ShapeString(first.shape()));
    top[1 + i]->ReshapeLike(first);
  }
}

template <typename Dtype>
typename RecurrentLayer<Dtype>::States RecurrentLayer<Dtype>::StatesAt(
    int64_t t) {
  States result;
  for (Blob<Dtype>& path : paths_) {
    result.push_back(path.mutable_data(Order::kCaffe, this->side()) +
                     t * state_count());
  }
  return result;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Continue(const Dtype* continues, const Dtype* h,
                                     Dtype* continued) {
  RunOn<Dtype>(this->side(), ContinueStates<Dtype>,
               &cuda::Kernels<Dtype>::ContinueStates, hidden_.shape(1), width_,
               continues, h, continued);
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Sum(const std::vector<const Dtype*>& parts,
                                int64_t count, Dtype* sum) {
  RunOn<Dtype>(this->side(), EltwiseSum<Dtype>,
               &cuda::Kernels<Dtype>::EltwiseSum, parts,
               std::vector<float>(parts.size(), 1.f), count, sum);
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Forward(const Blobs& bottom, const Blobs& top) {
  const Side side = this->side();
  const Order order = Order::kCaffe;
  const int64_t steps = hidden_.shape(0);
  const int64_t streams = hidden_.shape(1);
  const int64_t count = state_count();
  for (int i = 0; i < states(); ++i) {
    const Blob<Dtype>& first =
        exposed() ? *bottom[2 + has_static_ + i] : *states_[i];
    const Dtype* from = first.data(order, side);
    CopyOn(side, from, count, paths_[i].write_data(order, side));
  }
  const Dtype* x = x_.Run(bottom[0], side);
  const Dtype* x_static = has_static_ ? static_.Run(bottom[2], side) : nullptr;
  const Dtype* continues = bottom[1]->data(order, side);
  Dtype* gates = gates_.write_data(order, side);
  const int64_t width = h_.out.count();
  for (int64_t t = 0; t < steps; ++t) {
    const States before = StatesAt(t);
    Continue(continues + t * streams, before[0],
             continued_.write_data(order, side));
    std::vector<const Dtype*> inputs = {h_.Run(&continued_, side),
                                        x + t * width};
    if (x_static) inputs.push_back(x_static);
    Sum(inputs, width, gates + t * width);
    Step(gates + t * width, continues + t * streams, before, StatesAt(t + 1));
  }
  CopyOn<Dtype>(side, StatesAt(1)[0], hidden_.count(),
                hidden_.write_data(order, side));
  Finish(&hidden_, top[0]);
  const States last = StatesAt(steps);
  for (int i = 0; i < states(); ++i) {
    CopyOn<Dtype>(side, last[i], count, states_[i]->write_data(order, side));
    if (!exposed()) continue;
    CopyOn<Dtype>(side, last[i], count, top[1 + i]->write_data(order, side));
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::RunBackward(Transform* transform, bool wanted,
                                        Blob<Dtype>* in) {
  std::vector<bool> learns;
  for (size_t i = 0; i < transform->layer->blobs().size(); ++i) {
    learns.push_back(this->learns(transform->first_blob + i));
  }
  transform->layer->PrepareBackward(true, learns);
  transform->layer->Backward({&transform->out}, {wanted}, {in});
}

template <typename Dtype>
void RecurrentLayer<Dtype>::ContinueBackward(const Dtype* continues,
                                             const Dtype* dgates, Dtype* dh) {
  const Side side = this->side();
  CopyOn(side, dgates, h_.out.count(), h_.out.write_diff(Order::kCaffe, side));
  RunBackward(&h_, true, &continued_);
  Continue(continues, continued_.diff(Order::kCaffe, side), dh);
}

template <typename Dtype>
void RecurrentLayer<Dtype>::SumStaticDiffs(const Dtype* dgates) {
  const Side side = this->side();
  const Broadcast steps = {hidden_.shape(0), static_.out.count(), 1};
  static_.out.diff_storage().SetSource(nullptr);  // so it is 0
  AddScaleShiftGradients<Dtype, Dtype>(
      side, steps, nullptr, dgates, nullptr,
      static_.out.mutable_diff(Order::kCaffe, side));
}

template <typename Dtype>
typename RecurrentLayer<Dtype>::States RecurrentLayer<Dtype>::LastDiffs(
    const Blobs& top) {
  const Side side = this->side();
  States diffs;
  for (int i = 0; i < states(); ++i) {
    Blob<Dtype>& blob = diffs_[i];
    blob.diff_storage().SetSource(nullptr);
    diffs.push_back(blob.mutable_diff(Order::kCaffe, side));
    if (!exposed()) continue;
    CopyOn(side, top[1 + i]->diff(Order::kCaffe, side), blob.count(), diffs[i]);
  }
  return diffs;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Backward(const Blobs& top,
                                     const std::vector<bool>& propagate_down,
                                     const Blobs& bottom) {
  const Side side = this->side();
  const Order order = Order::kCaffe;
  const int64_t streams = hidden_.shape(1);
  const int64_t count = state_count();
  const States diffs = LastDiffs(top);
  FinishBackward(top[0], &hidden_);
  const Dtype* dh = hidden_.diff(order, side);
  const Dtype* continues = bottom[1]->data(order, side);
  const Dtype* gates = gates_.data(order, side);
  Dtype* dgates = x_.out.write_diff(order, side);
  const int64_t width = h_.out.count();
  for (int64_t t = hidden_.shape(0); t-- > 0;) {
    Sum({diffs[0], dh + t * count}, count, diffs[0]);
    const States before = StatesAt(t);
    StepBackward(gates + t * width, continues + t * streams, before,
                 StatesAt(t + 1), diffs, dgates + t * width);
    Continue(continues + t * streams, before[0],
             continued_.write_data(order, side));
    ContinueBackward(continues + t * streams, dgates + t * width, diffs[0]);
  }
  RunBackward(&x_, propagate_down[0], bottom[0]);
  if (has_static_) {
    SumStaticDiffs(dgates);
    RunBackward(&static_, propagate_down[2], bottom[2]);
  }
  for (int i = 0; exposed() && i < states(); ++i) {
    Blob<Dtype>* first = bottom[2 + has_static_ + i];
    if (!propagate_down[2 + has_static_ + i]) continue;
    CopyOn<Dtype>(side, diffs[i], count, first->write_diff(order, side));
  }
}

template class RecurrentLayer<float>;
template class RecurrentLayer<double>;

}  // namespace p3d

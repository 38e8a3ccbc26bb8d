#include "engine/layers/recurrent_layer.hpp"

#include <algorithm>

namespace p3d {

template <typename Dtype>
BlobCounts RecurrentLayer<Dtype>::counts() const {
  const int exposed_states = exposed() ? states() : 0;
  return {2 + exposed_states, 3 + exposed_states, 1 + exposed_states,
          1 + exposed_states, false};
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
  if (continued_.shape() == state) return;
  continued_.Reshape(state);
  // Other streams have no past.
  states_.clear();
  for (int i = 0; i < states(); ++i) states_.emplace_back(state);
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
    result.push_back(path.mutable_data() + t * state_count());
  }
  return result;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Continue(const Dtype* continues, const Dtype* h) {
  Dtype* continued = continued_.write_data();
  for (int64_t i = 0; i < state_count(); ++i) {
    const Dtype goes_on = continues[i / width_];
    // Not multiplied by 0: what a finished sequence left may be infinite.
    continued[i] = goes_on == 0 ? 0 : goes_on * h[i];
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::SumGates(const Dtype* x, const Dtype* x_static,
                                     Dtype* gates) {
  const Dtype* from_h = h_.Run(&continued_);
  const int64_t count = h_.out.count();
  for (int64_t i = 0; i < count; ++i) gates[i] = from_h[i] + x[i];
  if (!x_static) return;
  for (int64_t i = 0; i < count; ++i) gates[i] += x_static[i];
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Forward(const Blobs& bottom, const Blobs& top) {
  const int64_t steps = hidden_.shape(0);
  const int64_t streams = hidden_.shape(1);
  const int64_t count = state_count();
  for (int i = 0; i < states(); ++i) {
    const Blob<Dtype>& first =
        exposed() ? *bottom[2 + has_static_ + i] : states_[i];
    std::copy_n(first.data(), count, paths_[i].write_data());
  }
  const Dtype* x = x_.Run(bottom[0]);
  const Dtype* x_static = has_static_ ? static_.Run(bottom[2]) : nullptr;
  const Dtype* continues = bottom[1]->data();
  Dtype* gates = gates_.write_data();
  const int64_t width = h_.out.count();
  for (int64_t t = 0; t < steps; ++t) {
    const States before = StatesAt(t);
    Continue(continues + t * streams, before[0]);
    SumGates(x + t * width, x_static, gates + t * width);
    Step(gates + t * width, continues + t * streams, before, StatesAt(t + 1));
  }
  std::copy_n(StatesAt(1)[0], hidden_.count(), hidden_.write_data());
  Finish(&hidden_, top[0]);
  const States last = StatesAt(steps);
  for (int i = 0; i < states(); ++i) {
    std::copy_n(last[i], count, states_[i].write_data());
    if (exposed()) std::copy_n(last[i], count, top[1 + i]->write_data());
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
  std::copy_n(dgates, h_.out.count(), h_.out.write_diff());
  RunBackward(&h_, true, &continued_);
  const Dtype* diff = continued_.diff();
  for (int64_t i = 0; i < state_count(); ++i) {
    dh[i] = continues[i / width_] * diff[i];
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::SumStaticDiffs(const Dtype* dgates) {
  const int64_t count = static_.out.count();
  Dtype* sum = static_.out.write_diff();
  std::fill_n(sum, count, Dtype(0));
  for (int64_t i = 0; i < gates_.count(); ++i) sum[i % count] += dgates[i];
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Backward(const Blobs& top,
                                     const std::vector<bool>& propagate_down,
                                     const Blobs& bottom) {
  const int64_t streams = hidden_.shape(1);
  const int64_t count = state_count();
  std::vector<Blob<Dtype>> diff_blobs(states());
  States diffs;
  for (int i = 0; i < states(); ++i) {
    diff_blobs[i].ReshapeLike(continued_);
    diffs.push_back(diff_blobs[i].mutable_data());
    if (exposed()) std::copy_n(top[1 + i]->diff(), count, diffs[i]);
  }
  FinishBackward(top[0], &hidden_);
  const Dtype* dh = hidden_.diff();
  const Dtype* continues = bottom[1]->data();
  const Dtype* gates = gates_.data();
  Dtype* dgates = x_.out.write_diff();
  const int64_t width = h_.out.count();
  for (int64_t t = hidden_.shape(0); t-- > 0;) {
    for (int64_t i = 0; i < count; ++i) diffs[0][i] += dh[t * count + i];
    const States before = StatesAt(t);
    StepBackward(gates + t * width, continues + t * streams, before,
                 StatesAt(t + 1), diffs, dgates + t * width);
    Continue(continues + t * streams, before[0]);
    ContinueBackward(continues + t * streams, dgates + t * width, diffs[0]);
  }
  RunBackward(&x_, propagate_down[0], bottom[0]);
  if (has_static_) {
    SumStaticDiffs(dgates);
    RunBackward(&static_, propagate_down[2], bottom[2]);
  }
  for (int i = 0; exposed() && i < states(); ++i) {
    if (!propagate_down[2 + has_static_ + i]) continue;
    std::copy_n(diffs[i], count, bottom[2 + has_static_ + i]->write_diff());
  }
}

template class RecurrentLayer<float>;
template class RecurrentLayer<double>;

}  // namespace p3d

#include "engine/updater.hpp"

namespace p3d {

template <typename Dtype>
Updater<Dtype>::Updater(std::shared_ptr<Net<Dtype>> net, UpdateRule rule)
    : net_(std::move(net)), rule_(rule) {
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const Layer<Dtype>& layer = *net_->layers()[i];
    for (size_t j = 0; j < layer.blobs().size(); ++j) {
      LearnableParam param;
      param.layer = static_cast<int>(i);
      param.blob = static_cast<int>(j);
      if (!net_->owns_param(param.layer, param.blob)) continue;
      const ParamSpec spec = net_->param_spec(param.layer, param.blob);
      param.lr_mult = spec.lr_mult.value;
      param.decay_mult = spec.decay_mult.value;
      params_.push_back(param);
      blobs_.push_back(layer.blobs()[j]);
    }
  }
  const int moments = HasSecondMoment(rule) ? 2 : 1;
  for (int moment = 0; moment < moments; ++moment) {
    for (const auto& blob : blobs_) {
      history_.push_back(std::make_shared<Blob<Dtype>>(blob->shape()));
    }
  }
}

template <typename Dtype>
std::vector<double> Updater<Dtype>::GradientSquares() {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  std::vector<double> squares;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    blobs_[i]->diff_storage().Touch();
    const bool fixed = params_[i].lr_mult == 0;
    squares.push_back(
        fixed ? 0 : SumOfSquares(blobs_[i]->count(), blobs_[i]->diff()));
  }
  return squares;
}

template <typename Dtype>
int Updater<Dtype>::Apply(UpdateStep step) {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const UpdateStep whole = step;
  int broken = -1;
  step.rule = rule_;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    const LearnableParam& param = params_[i];
    Blob<Dtype>& blob = *blobs_[i];
    if (param.lr_mult == 0) continue;
    step.gain = whole.gain * param.lr_mult;
    step.decay = whole.decay * param.decay_mult;
    step.shrink = whole.shrink * param.lr_mult * param.decay_mult;
    const size_t second = i + blobs_.size();
    for (Storage<Dtype>* storage :
         {&blob.storage(), &blob.diff_storage(), &history_[i]->storage()}) {
      storage->Touch();
    }
    const bool finite = Update(
        step, blob.count(), blob.mutable_data(), blob.mutable_diff(),
        history_[i]->mutable_data(),
        second < history_.size() ? history_[second]->mutable_data() : nullptr);
    if (!finite && broken < 0) broken = static_cast<int>(i);
  }
  return broken;
}

template class Updater<float>;
template class Updater<double>;

}  // namespace p3d

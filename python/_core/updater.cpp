#include "engine/updater.hpp"

#include <pybind11/stl.h>

#include "_core/bind.hpp"
#include "_core/blob.hpp"

namespace py = pybind11;

namespace {

using Updater = p3d::Updater<float>;

p3d::UpdateRule ParseRule(const std::string& name) {
  static const std::map<std::string, p3d::UpdateRule> rules = {
      {"SGD", p3d::UpdateRule::kSgd},
      {"Nesterov", p3d::UpdateRule::kNesterov},
      {"AdaGrad", p3d::UpdateRule::kAdaGrad},
      {"RMSProp", p3d::UpdateRule::kRmsProp},
      {"AdaDelta", p3d::UpdateRule::kAdaDelta},
      {"Adam", p3d::UpdateRule::kAdam}};
  const auto found = rules.find(name);
  p3d::Check(found != rules.end(), "there is no update rule '", name, "'");
  return found->second;
}

std::vector<std::tuple<int, int, float, float>> Params(const Updater& updater) {
  std::vector<std::tuple<int, int, float, float>> params;
  for (const p3d::LearnableParam& p : updater.params()) {
    params.emplace_back(p.layer, p.blob, p.lr_mult, p.decay_mult);
  }
  return params;
}

std::vector<BlobHandle<float>> History(const Updater& updater) {
  std::vector<BlobHandle<float>> blobs;
  for (const auto& blob : updater.history()) {
    blobs.push_back({nullptr, blob, -1});
  }
  return blobs;
}

int Apply(Updater& updater, double gain, double gradient_scale, double decay,
          bool l1, double shrink, double momentum, double decay2,
          double delta) {
  p3d::UpdateStep step;
  step.gain = gain;
  step.gradient_scale = gradient_scale;
  step.decay = decay;
  step.l1 = l1;
  step.shrink = shrink;
  step.momentum = momentum;
  step.decay2 = decay2;
  step.delta = delta;
  py::gil_scoped_release release;
  return updater.Apply(step);
}

}  // namespace

void BindUpdater(py::module_& m) {
  py::class_<Updater>(m, "Updater",
                      "The arithmetic of a solver on a net's parameters.")
      .def(py::init([](std::shared_ptr<p3d::Net<float>> net,
                       const std::string& rule) {
             return new Updater(std::move(net), ParseRule(rule));
           }),
           py::arg("net"), py::arg("rule"))
      .def_property_readonly("params", &Params,
                             "(layer, blob, lr_mult, decay_mult) of each.")
      .def_property_readonly("history", &History)
      .def("average_over_ranks", &Updater::AverageOverRanks,
           py::call_guard<py::gil_scoped_release>(),
           "Gradients become their mean over all ranks.")
      .def("copy_from_rank0", &Updater::CopyFromRank0,
           py::call_guard<py::gil_scoped_release>(),
           "Weights become those of rank 0.")
      .def("gradient_squares", &Updater::GradientSquares,
           py::call_guard<py::gil_scoped_release>(),
           "By parameter, the sum of the squares of its gradient.")
      .def("apply", &Apply, py::kw_only(), py::arg("gain"),
           py::arg("gradient_scale") = 1, py::arg("decay") = 0,
           py::arg("l1") = false, py::arg("shrink") = 0,
           py::arg("momentum") = 0, py::arg("decay2") = 0, py::arg("delta") = 0,
           "One update; the index of a parameter that is no longer finite, "
           "else -1.");
}

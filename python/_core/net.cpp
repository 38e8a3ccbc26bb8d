#include "engine/net.hpp"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <chrono>

#include "_core/bind.hpp"
#include "_core/blob.hpp"
#include "_core/layer.hpp"
#include "engine/plan_run.hpp"

namespace py = pybind11;

namespace {

using p3d::Net;

// Lets Ctrl-C through, but asks for the interpreter's lock only ten times a
// second: other Python threads may hold it for long.
class Interrupt {
 public:
  void operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point last_ =
      std::chrono::steady_clock::now();
};

template <typename Dtype>
py::list Profile(Net<Dtype>& net) {
  std::vector<p3d::StepTime> steps;
  {
    py::gil_scoped_release release;
    steps = net.TellingNeeds([&] { return net.Profile(); });
  }
  py::list list;
  for (const p3d::StepTime& step : steps) {
    py::dict row;
    row["layers"] = step.layers;
    row["type"] = step.type;
    row["kernel"] = step.kernel;
    row["macs"] = step.macs;
    row["values"] = step.values;
    row["ms"] = step.milliseconds;
    list.append(row);
  }
  return list;
}

template <typename Dtype>
Dtype Forward(Net<Dtype>& net, int from, int to) {
  py::gil_scoped_release release;
  return net.TellingNeeds([&] { return net.Forward(from, to, Interrupt()); });
}

template <typename Dtype>
void Backward(Net<Dtype>& net, int from, int to) {
  py::gil_scoped_release release;
  net.TellingNeeds([&] { net.Backward(from, to, Interrupt()); });
}

template <typename Dtype>
Dtype ForwardBackward(Net<Dtype>& net) {
  py::gil_scoped_release release;
  return net.TellingNeeds([&] { return net.ForwardBackward(Interrupt()); });
}

// Hooks run with the interpreter's lock; their exceptions end the run.
template <typename Argument>
std::function<void(Argument)> ToHook(const py::function& function) {
  const auto shared = std::shared_ptr<py::function>(
      new py::function(function), [](py::function* pointer) {
        py::gil_scoped_acquire acquire;
        delete pointer;
      });
  return [shared](Argument argument) {
    py::gil_scoped_acquire acquire;
    (*shared)(argument);
  };
}

// A property that is read while no run changes the net.
template <typename Dtype, typename Read>
auto Locked(Read read) {
  return [read](const Net<Dtype>& net) {
    const auto lock = Lock(&net);
    return read(net);
  };
}

template <typename Dtype>
std::vector<std::string> LayerNames(const Net<Dtype>& net) {
  std::vector<std::string> names;
  for (const auto& layer : net.layers()) names.push_back(layer->name());
  return names;
}

template <typename Dtype>
std::vector<BlobHandle<Dtype>> Blobs(const std::shared_ptr<Net<Dtype>>& net) {
  std::vector<BlobHandle<Dtype>> blobs;
  for (size_t i = 0; i < net->blobs().size(); ++i) {
    blobs.push_back({net, net->blobs()[i], static_cast<int>(i)});
  }
  return blobs;
}

template <typename Dtype>
std::vector<LayerHandle<Dtype>> Layers(const std::shared_ptr<Net<Dtype>>& net) {
  std::vector<LayerHandle<Dtype>> layers;
  for (size_t i = 0; i < net->layers().size(); ++i) {
    layers.push_back({net, static_cast<int>(i)});
  }
  return layers;
}

template <typename Dtype>
py::tuple GpuNeeds(Net<Dtype>& net) {
  const p3d::GpuNeeds needs = [&] {
    py::gil_scoped_release release;
    return net.gpu_needs();
  }();
  return py::make_tuple(needs.fixed, needs.per_item);
}

template <typename Dtype>
using NetClass = py::class_<Net<Dtype>, std::shared_ptr<Net<Dtype>>>;

template <typename Dtype>
void BindStructure(NetClass<Dtype>* bound) {
  using N = Net<Dtype>;
  bound
      ->def(py::init([](const std::string& name, const py::list& layers,
                        const py::dict& defaults, int phase,
                        bool force_backward) {
              const auto specs = ToLayerSpecs(layers, defaults);
              return std::make_shared<N>(
                  name, specs, static_cast<p3d::Phase>(phase), force_backward);
            }),
            py::arg("name"), py::arg("layers"), py::arg("defaults"),
            py::arg("phase"), py::arg("force_backward") = false)
      .def_property_readonly("name", &N::name)
      .def(
          "set_origin",
          [](N& net, const std::string& origin) {
            const auto lock = Lock(&net);
            net.origin = origin;
          },
          py::arg("origin"),
          "Errors that come of blobs' values begin with it; bytes, where it is "
          "no UTF-8.")
      .def_property_readonly(
          "phase", [](const N& net) { return static_cast<int>(net.phase()); })
      .def_property_readonly("blob_names", &N::blob_names)
      .def_property_readonly("layer_names", &LayerNames<Dtype>)
      .def_property_readonly("blobs", &Blobs<Dtype>)
      .def_property_readonly("layers", &Layers<Dtype>)
      .def_property_readonly("inputs", &N::inputs)
      .def_property_readonly("outputs", &N::outputs)
      .def_property_readonly("loss_weights", &N::loss_weights)
      .def("bottom_ids", &N::bottom_ids, py::arg("layer"))
      .def("top_ids", &N::top_ids, py::arg("layer"))
      .def_property_readonly("held_params", Locked<Dtype>([](const N& net) {
                               return net.held_params();
                             }))
      .def("reshape", &N::Reshape, py::call_guard<py::gil_scoped_release>())
      .def("share_with", &N::ShareTrainedLayersWith, py::arg("other"),
           py::call_guard<py::gil_scoped_release>());
}

template <typename Dtype>
void BindRuns(NetClass<Dtype>* bound) {
  using N = Net<Dtype>;
  bound
      ->def("forward", &Forward<Dtype>, py::arg("from_layer"),
            py::arg("to_layer"),
            "Runs these layers, both included; returns the weighted loss.")
      .def("backward", &Backward<Dtype>, py::arg("from_layer"),
           py::arg("to_layer"),
           "Runs these layers backwards, from_layer >= to_layer.")
      .def(
          "forward_backward", &ForwardBackward<Dtype>,
          "All layers forward and, where the loss is finite, backward; returns "
          "the loss. Blobs in the middle and their diffs may have no values "
          "until they are asked for.")
      .def_property_readonly(
          "lean", Locked<Dtype>([](const N& net) { return net.Lean(); }),
          "Whether the next forward_backward may leave blobs so.")
      .def("clear_param_diffs", &N::ClearParamDiffs,
           py::call_guard<py::gil_scoped_release>())
      .def("scale_loss", &N::ScaleLoss, py::arg("scale"),
           py::call_guard<py::gil_scoped_release>(),
           "From now on all gradients are so many times what they are.")
      .def_property_readonly("loss_scale", &N::loss_scale)
      .def("profile", &Profile<Dtype>,
           "One whole forward; a dict per step with its milliseconds.");
}

template <typename Dtype>
void BindPlan(NetClass<Dtype>* bound) {
  using N = Net<Dtype>;
  bound
      ->def("keep", &N::Keep, py::arg("blob"),
            py::call_guard<py::gil_scoped_release>(),
            "This blob keeps its values after every forward from now on.")
      .def("set_planning", &N::set_planning, py::arg("on"),
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly(
          "planned", Locked<Dtype>([](const N& net) { return net.planned(); }))
      .def_property_readonly(
          "graph", Locked<Dtype>([](const N& net) {
            return net.plan_run() && net.plan_run()->one_graph();
          }),
          "Whether the next forward can be one launch on the GPU.")
      .def_property_readonly(
          "graphs", Locked<Dtype>([](const N& net) {
            return net.plan_run() ? net.plan_run()->graphs() : 0;
          }),
          "How many graphs it has there, with steps between them.")
      .def_property_readonly(
          "graph_refusal", Locked<Dtype>([](const N& net) {
            return net.plan_run() ? net.plan_run()->refusal() : std::string();
          }),
          "Why forwards on the GPU have no graphs, '' where they can.")
      .def("gpu_needs", &GpuNeeds<Dtype>,
           "Bytes on the GPU with the inputs' present shapes, about: (for "
           "weights, for each item).")
      .def("gpu_batch", &N::GpuBatch, py::call_guard<py::gil_scoped_release>(),
           "The largest batch for which the GPU in use has room, about; 0: "
           "none.");
}

template <typename Dtype>
using Hooks = std::vector<typename Net<Dtype>::Hook> Net<Dtype>::*;

template <typename Dtype>
void BindHook(NetClass<Dtype>* bound, const char* name, Hooks<Dtype> hooks) {
  bound->def(name, [hooks](Net<Dtype>& net, const py::function& hook) {
    const auto lock = Lock(&net);
    (net.*hooks).push_back(ToHook<int>(hook));
  });
}

template <typename Dtype>
void BindHooks(NetClass<Dtype>* bound) {
  using N = Net<Dtype>;
  bound->def(
      "set_debug_log",
      [](N& net, const py::function& log) {
        const auto lock = Lock(&net);
        net.debug_log = ToHook<const std::string&>(log);
      },
      py::arg("log"), "Calls log(line) as debug_info asks for.");
  BindHook<Dtype>(bound, "before_forward", &N::before_forward);
  BindHook<Dtype>(bound, "after_forward", &N::after_forward);
  BindHook<Dtype>(bound, "before_backward", &N::before_backward);
  BindHook<Dtype>(bound, "after_backward", &N::after_backward);
}

template <typename Dtype>
void BindNetClass(py::module_& m, const std::string& suffix) {
  NetClass<Dtype> bound(m, ("Net" + suffix).c_str(),
                        "A net made of layer descriptions; "
                        "p3d.caffe.Net makes them from a prototxt.");
  BindStructure<Dtype>(&bound);
  BindRuns<Dtype>(&bound);
  BindPlan<Dtype>(&bound);
  BindHooks<Dtype>(&bound);
}

}  // namespace

void BindNet(py::module_& m) {
  BindNetClass<float>(m, "");
  BindNetClass<double>(m, "64");
  m.def("layer_types", &p3d::LayerRegistry<float>::Types,
        "The layer types that nets may name, in alphabetical order.");
}

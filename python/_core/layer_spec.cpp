#include <pybind11/stl.h>

#include "_core/bind.hpp"

namespace py = pybind11;

namespace {

p3d::Fields ToFields(const py::dict& message);

void Append(const py::handle& item, p3d::Fields::Value* value) {
  if (py::isinstance<py::str>(item)) {
    value->strings.push_back(item.cast<std::string>());
  } else if (py::isinstance<py::bytes>(item)) {
    value->strings.push_back(item.cast<std::string>());
  } else if (py::isinstance<py::dict>(item)) {
    value->messages.push_back(ToFields(item.cast<py::dict>()));
  } else {
    value->numbers.push_back(item.cast<double>());
  }
}

p3d::Fields ToFields(const py::dict& message) {
  p3d::Fields fields;
  for (const auto& entry : message) {
    const std::string name = entry.first.cast<std::string>();
    if (name == "has") continue;
    p3d::Fields::Value& value = fields[name];
    if (py::isinstance<py::list>(entry.second)) {
      for (const py::handle& item : entry.second.cast<py::list>()) {
        Append(item, &value);
      }
    } else {
      Append(entry.second, &value);
    }
  }
  for (const py::handle& name : message["has"]) {
    fields[name.cast<std::string>()].is_set = true;
  }
  return fields;
}

std::map<std::string, p3d::Fields> ToMessages(const py::dict& messages) {
  std::map<std::string, p3d::Fields> fields;
  for (const auto& entry : messages) {
    fields[entry.first.cast<std::string>()] =
        ToFields(entry.second.cast<py::dict>());
  }
  return fields;
}

p3d::Multiplier ToMultiplier(const py::handle& number) {
  if (number.is_none()) return {1.f, false};
  return {number.cast<float>(), true};
}

p3d::ParamSpec ToParamSpec(const py::handle& param) {
  p3d::ParamSpec spec;
  spec.name = param["name"].cast<std::string>();
  spec.permissive = param["share_mode"].cast<std::string>() == "PERMISSIVE";
  spec.lr_mult = ToMultiplier(param["lr_mult"]);
  spec.decay_mult = ToMultiplier(param["decay_mult"]);
  return spec;
}

}  // namespace

std::vector<p3d::LayerSpec> ToLayerSpecs(const py::list& layers,
                                         const py::dict& defaults) {
  const auto shared =
      std::make_shared<const std::map<std::string, p3d::Fields>>(
          ToMessages(defaults));
  std::vector<p3d::LayerSpec> specs;
  for (const py::handle& layer : layers) {
    p3d::LayerSpec spec;
    spec.name = layer["name"].cast<std::string>();
    spec.type = layer["type"].cast<std::string>();
    spec.bottom = layer["bottom"].cast<std::vector<std::string>>();
    spec.top = layer["top"].cast<std::vector<std::string>>();
    spec.phase = static_cast<p3d::Phase>(layer["phase"].cast<int>());
    spec.loss_weight = layer["loss_weight"].cast<std::vector<float>>();
    spec.propagate_down = layer["propagate_down"].cast<std::vector<bool>>();
    for (const py::handle& param : layer["param"]) {
      spec.param.push_back(ToParamSpec(param));
    }
    spec.fields = ToMessages(layer["fields"].cast<py::dict>());
    spec.defaults = shared;
    specs.push_back(spec);
  }
  return specs;
}

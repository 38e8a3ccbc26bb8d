#ifndef P3D_CORE_BIND_HPP_
#define P3D_CORE_BIND_HPP_

#include <pybind11/pybind11.h>

#include "engine/layer.hpp"

// One function per file of the binding; each adds its classes to the module.
void BindGpu(pybind11::module_& m);
void BindRanks(pybind11::module_& m);
void BindCaffemodel(pybind11::module_& m);
void BindBlobs(pybind11::module_& m);
void BindLayers(pybind11::module_& m);
void BindNet(pybind11::module_& m);
void BindUpdater(pybind11::module_& m);
void BindTvl1(pybind11::module_& m);

// Makes type: "Python" known to nets, and the types that are written in Python.
void RegisterPythonLayers();

// The object behind a layer that is written in Python, None for others.
pybind11::object PythonObjectOf(const p3d::Layer<float>& layer);

// The dictionaries of p3d.caffe.prototxt.describe() as the engine takes them.
std::vector<p3d::LayerSpec> ToLayerSpecs(const pybind11::list& layers,
                                         const pybind11::dict& defaults);

#endif  // P3D_CORE_BIND_HPP_

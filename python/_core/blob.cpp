#include "_core/blob.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "_core/bind.hpp"
#include "engine/caffemodel.hpp"

namespace py = pybind11;

namespace {

using p3d::Blob;

// Runs body(), which holds the blob's values: where there is no memory for them
// the error names the blob.
template <typename Dtype, typename Body>
auto Naming(const BlobHandle<Dtype>& handle, const Body& body)
    -> decltype(body()) {
  try {
    return body();
  } catch (const p3d::NoMemory& error) {
    std::string name = handle.blob->fixed();
    if (handle.net && handle.index >= 0) {
      name = "blob '" + handle.net->blob_names()[handle.index] + "'";
    }
    throw p3d::NoMemory((name.empty() ? "a blob" : name) + " of shape " +
                        p3d::ShapeString(handle.blob->shape()) + ": " +
                        error.what());
  }
}

// Runs body(), which may make the blob's values: errors begin with the net that
// they are of.
template <typename Dtype, typename Body>
auto OfItsNet(const BlobHandle<Dtype>& handle, const Body& body)
    -> decltype(body()) {
  if (!handle.net || handle.net->origin.empty()) return body();
  const auto text = [&](const p3d::Error& error) {
    return handle.net->origin + ": " + error.what();
  };
  try {
    return body();
  } catch (const p3d::cuda::OutOfMemory& error) {
    throw p3d::cuda::OutOfMemory(text(error));
  } catch (const p3d::NoMemory& error) {
    throw p3d::NoMemory(text(error));
  } catch (const p3d::Error& error) {
    throw p3d::Error(text(error));
  }
}

// The memory of a view, and the blob's shape.
template <typename Dtype>
std::shared_ptr<p3d::Buffer> Lend(const BlobHandle<Dtype>& handle, bool diff,
                                  p3d::Shape* shape) {
  const auto storage = [&]() -> p3d::Storage<Dtype>& {
    *shape = handle.blob->shape();
    return handle.blob->Whole(diff ? handle.blob->diff_storage()
                                   : handle.blob->storage());
  };
  if (handle.calls) {
    const auto call = handle.calls->Hold();
    auto memory = call ? storage().LendIfThere() : nullptr;
    if (memory) return memory;
  }
  // Before the storage's: what makes the values takes it, too.
  const auto lock = LockNet(handle);
  if (!diff && handle.net && handle.index >= 0) handle.net->Keep(handle.index);
  return storage().Lend();
}

// A writable array in Caffe's order. The base of the array owns the memory, and
// its being alive is how the engine knows that somebody may write.
template <typename Dtype>
py::array View(const BlobHandle<Dtype>& handle, bool diff) {
  std::shared_ptr<p3d::Buffer> memory;
  p3d::Shape shape;
  {
    py::gil_scoped_release release;
    memory = OfItsNet(handle, [&] {
      return Naming(handle, [&] { return Lend(handle, diff, &shape); });
    });
  }
  Dtype* data = static_cast<Dtype*>(memory->data());
  auto* owner = new std::shared_ptr<p3d::Buffer>(std::move(memory));
  py::capsule base(owner, [](void* pointer) {
    delete static_cast<std::shared_ptr<p3d::Buffer>*>(pointer);
  });
  return py::array(py::dtype::of<Dtype>(),
                   std::vector<py::ssize_t>(shape.begin(), shape.end()), data,
                   base);
}

// Caffe's num, channels, height, width: 1 where a blob has fewer axes.
template <typename Dtype>
int64_t LegacyAxis(const BlobHandle<Dtype>& handle, int axis) {
  const p3d::Shape& shape = handle.blob->shape();
  p3d::Check(shape.size() <= 4,
             "num, channels, height and width are for blobs of up to 4 axes; "
             "this one has the shape ",
             p3d::ShapeString(shape), ": use .shape");
  return axis < static_cast<int>(shape.size()) ? shape[axis] : 1;
}

template <typename Dtype>
void ReshapeBlob(const BlobHandle<Dtype>& handle, const py::args& dims) {
  p3d::Shape shape;
  for (const py::handle& dim : dims) {
    if (!PyIndex_Check(dim.ptr())) {
      throw py::type_error("reshape takes whole numbers, reshape(*dims), not " +
                           py::repr(dim).cast<std::string>());
    }
    const py::object size =
        py::reinterpret_steal<py::object>(PyNumber_Index(dim.ptr()));
    if (!size) throw py::error_already_set();
    shape.push_back(PyLong_AsLongLong(size.ptr()));
    if (PyErr_Occurred()) throw py::error_already_set();
  }
  py::gil_scoped_release release;
  const auto lock = LockOf(handle);
  if (handle.net) handle.net->ForgetPlan();
  handle.blob->Reshape(shape);
}

// Straight into the blob's memory: no filler runs and no view comes into being.
template <typename Dtype>
void Assign(const BlobHandle<Dtype>& handle,
            const py::array_t<Dtype, py::array::c_style | py::array::forcecast>&
                values) {
  const py::ssize_t count = values.size();
  const Dtype* from = values.data();
  py::gil_scoped_release release;
  const auto lock = LockOf(handle);
  p3d::Check(count == handle.blob->count(), count, " values for a blob of ",
             handle.blob->count());
  Naming(handle, [&] {
    std::copy(from, from + count, handle.blob->write_data(p3d::Order::kCaffe));
  });
}

// The same from a file.
template <typename Dtype>
void ReadFrom(const BlobHandle<Dtype>& handle,
              const p3d::CaffemodelReader& reader, size_t layer, size_t blob) {
  reader.CheckBlob(layer, blob);
  const int64_t count = reader.layers()[layer].blobs[blob].count;
  py::gil_scoped_release release;
  const auto lock = LockOf(handle);
  p3d::Check(count == handle.blob->count(), "the file's blob has ", count,
             " values, the net's ", handle.blob->count());
  Naming(handle, [&] {
    reader.Read(layer, blob, handle.blob->write_data(p3d::Order::kCaffe));
  });
}

template <typename Dtype>
void BindBlob(py::module_& m, const std::string& suffix) {
  using Handle = BlobHandle<Dtype>;
  py::class_<Handle>(m, ("Blob" + suffix).c_str(),
                     "Values and gradients of one shape, in Caffe's order.")
      .def(py::init([](const p3d::Shape& shape) {
             return Handle{nullptr, std::make_shared<Blob<Dtype>>(shape), -1};
           }),
           py::arg("shape"))
      .def("__repr__",
           [](const Handle& h) {
             return "<Blob " + p3d::ShapeString(h.blob->shape()) + ">";
           })
      .def_property_readonly("data",
                             [](const Handle& h) { return View(h, false); })
      .def_property_readonly("diff",
                             [](const Handle& h) { return View(h, true); })
      .def_property_readonly(
          "shape",
          [](const Handle& h) { return py::tuple(py::cast(h.blob->shape())); })
      .def_property_readonly("count",
                             [](const Handle& h) { return h.blob->count(); })
      .def_property_readonly("num",
                             [](const Handle& h) { return LegacyAxis(h, 0); })
      .def_property_readonly("channels",
                             [](const Handle& h) { return LegacyAxis(h, 1); })
      .def_property_readonly("height",
                             [](const Handle& h) { return LegacyAxis(h, 2); })
      .def_property_readonly("width",
                             [](const Handle& h) { return LegacyAxis(h, 3); })
      .def("reshape", &ReshapeBlob<Dtype>, "Changes the shape: reshape(*dims).")
      .def("assign", &Assign<Dtype>, py::arg("values"),
           "Takes the values of an array of as many, in Caffe's order.")
      .def("read_from", &ReadFrom<Dtype>, py::arg("reader"), py::arg("layer"),
           py::arg("blob"),
           "Takes the values of a blob of a CaffemodelReader.");
}

}  // namespace

void BindBlobs(py::module_& m) {
  BindBlob<float>(m, "");
  BindBlob<double>(m, "64");
}

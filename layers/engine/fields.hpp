#ifndef P3D_ENGINE_FIELDS_HPP_
#define P3D_ENGINE_FIELDS_HPP_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace p3d {

// One parameter message of a layer (`convolution_param { ... }`) as plain data:
// every field by name with its value or its default, and which were written.
// Reading a field that the message does not have throws Error.
class Fields {
 public:
  // Whether the prototxt sets the field.
  bool Has(const std::string& name) const;

  double Float(const std::string& name) const;
  int64_t Int(const std::string& name) const;
  bool Bool(const std::string& name) const;
  // Strings, and enums by the name of their value ("MAX").
  const std::string& Str(const std::string& name) const;
  // A message inside this one (`weight_filler`).
  const Fields& Sub(const std::string& name) const;

  // Repeated fields; empty where nothing is written.
  std::vector<double> Floats(const std::string& name) const;
  std::vector<int64_t> Ints(const std::string& name) const;
  const std::vector<std::string>& Strs(const std::string& name) const;
  const std::vector<Fields>& Subs(const std::string& name) const;

  // How the binding fills it: a field is any of the three lists, a scalar a
  // list of one.
  struct Value {
    std::vector<double> numbers;
    std::vector<std::string> strings;
    std::vector<Fields> messages;
    bool is_set = false;
  };
  Value& operator[](const std::string& name) { return values_[name]; }

 private:
  const Value& At(const std::string& name) const;

  std::map<std::string, Value> values_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_FIELDS_HPP_

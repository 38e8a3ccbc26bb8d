#include "engine/fields.hpp"

#include <cmath>

#include "kernels/error.hpp"

namespace p3d {
namespace {

template <typename T>
const T& Single(const std::string& name, const std::vector<T>& list) {
  Check(list.size() == 1, "field '", name, "' is not a single value");
  return list[0];
}

int64_t ToInt(const std::string& name, double number) {
  Check(std::fabs(number) < 9e18, name, ": ", number, " is out of range");
  return static_cast<int64_t>(number);
}

}  // namespace

const Fields::Value& Fields::At(const std::string& name) const {
  const auto found = values_.find(name);
  Check(found != values_.end(), "there is no field '", name, "'");
  return found->second;
}

bool Fields::Has(const std::string& name) const { return At(name).is_set; }

double Fields::Float(const std::string& name) const {
  return Single(name, At(name).numbers);
}

int64_t Fields::Int(const std::string& name) const {
  return ToInt(name, Float(name));
}

bool Fields::Bool(const std::string& name) const { return Float(name) != 0; }

const std::string& Fields::Str(const std::string& name) const {
  return Single(name, At(name).strings);
}

const Fields& Fields::Sub(const std::string& name) const {
  return Single(name, At(name).messages);
}

std::vector<double> Fields::Floats(const std::string& name) const {
  return At(name).numbers;
}

std::vector<int64_t> Fields::Ints(const std::string& name) const {
  std::vector<int64_t> ints;
  for (double number : At(name).numbers) ints.push_back(ToInt(name, number));
  return ints;
}

const std::vector<std::string>& Fields::Strs(const std::string& name) const {
  return At(name).strings;
}

const std::vector<Fields>& Fields::Subs(const std::string& name) const {
  return At(name).messages;
}

}  // namespace p3d

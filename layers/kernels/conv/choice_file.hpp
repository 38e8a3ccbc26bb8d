#ifndef P3D_KERNELS_CHOICE_FILE_HPP_
#define P3D_KERNELS_CHOICE_FILE_HPP_

#include <map>
#include <string>

namespace p3d {

// Choices that were made once, by what they are for, in a text file:
//
//   the system they were made on
//   choice<TAB>what for
//
// and in a folder beside it things that were made for them, a file each:
//
//   what it is
//   a hash of the rest
//   the thing itself
//
// A file of another system, or one that is damaged, counts as an empty one.
// What cannot be written is not kept: nothing here throws.
class ChoiceFile {
 public:
  // An empty folder keeps nothing. `system` has no line breaks.
  ChoiceFile(const std::string& folder, const std::string& system);

  const std::string& path() const { return path_; }
  std::map<std::string, std::string> Read() const;
  // Adds one to those that are there by now, also from other processes. At
  // every moment the file is the old one or the new one.
  void Add(const std::string& what, const std::string& choice) const;

  // Keeps a thing; `what` has no line breaks.
  void Keep(const std::string& what, const std::string& thing) const;
  // That thing; "" where there is none.
  std::string Kept(const std::string& what) const;

 private:
  std::string PathOf(const std::string& what) const;

  std::string folder_, system_, things_, path_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CHOICE_FILE_HPP_

#include "kernels/conv/choice_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

namespace p3d {
namespace {

// FNV-1a, in hexadecimal digits.
std::string Hash(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  std::ostringstream out;
  out << std::hex << hash;
  return out.str();
}

void MakeFolders(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0777);
    if (end == std::string::npos) return;
  }
}

// At every moment the file is the old one or the new one.
void Replace(const std::string& path, const std::string& text) {
  const std::string made = path + "." + std::to_string(getpid());
  bool whole = false;
  {
    std::ofstream file(made, std::ios::binary);
    file << text;
    file.close();
    whole = !file.fail();
  }
  if (!whole || std::rename(made.c_str(), path.c_str()) != 0) {
    std::remove(made.c_str());
  }
}

}  // namespace

ChoiceFile::ChoiceFile(const std::string& folder, const std::string& system)
    : folder_(folder),
      system_(system),
      things_(folder.empty() ? "" : folder + "/convolutions-" + Hash(system)),
      path_(folder.empty() ? "" : things_ + ".txt") {}

std::map<std::string, std::string> ChoiceFile::Read() const {
  std::map<std::string, std::string> choices;
  std::ifstream file(path_);
  std::string line;
  if (!std::getline(file, line) || line != system_) return {};
  while (std::getline(file, line)) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0) return {};
    choices[line.substr(tab + 1)] = line.substr(0, tab);
  }
  return choices;
}

void ChoiceFile::Add(const std::string& what, const std::string& choice) const {
  if (path_.empty()) return;
  auto choices = Read();
  choices[what] = choice;
  std::string text = system_ + "\n";
  for (const auto& entry : choices) {
    text += entry.second + "\t" + entry.first + "\n";
  }
  MakeFolders(folder_);
  Replace(path_, text);
}

void ChoiceFile::Keep(const std::string& what, const std::string& thing) const {
  if (path_.empty()) return;
  MakeFolders(things_);
  Replace(PathOf(what), what + "\n" + Hash(thing) + "\n" + thing);
}

std::string ChoiceFile::Kept(const std::string& what) const {
  if (path_.empty()) return "";
  std::ifstream file(PathOf(what), std::ios::binary);
  std::string name, hash;
  if (!std::getline(file, name) || name != what) return "";
  std::getline(file, hash);
  const std::string thing{std::istreambuf_iterator<char>(file), {}};
  return Hash(thing) == hash ? thing : "";
}

std::string ChoiceFile::PathOf(const std::string& what) const {
  return things_ + "/" + Hash(what);
}

}  // namespace p3d

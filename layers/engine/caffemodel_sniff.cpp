// What people hand over instead of a caffemodel.

#include <algorithm>
#include <cctype>
#include <cstring>

#include "engine/caffemodel_index.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

struct Magic {
  const char* bytes;
  size_t size;
  const char* what;
};

const Magic kMagics[] = {
    {"\x89HDF\r\n\x1a\n", 8,
     "is an HDF5 file: load it through p3d.caffe (pip install "
     "caffe-p3d[hdf5])"},
    {"\x1f\x8b", 2, "is compressed with gzip: unpack it first"},
    {"PK\x03\x04", 4,
     "is a zip archive: unpack it first (or is it a PyTorch checkpoint? Those "
     "must be converted)"},
    {"\xfd"
     "7zXZ",
     5, "is compressed with xz: unpack it first"},
    {"BZh", 3, "is compressed with bzip2: unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "is compressed with zstd: unpack it first"},
    {"7z\xbc\xaf", 4, "is a 7z archive: unpack it first"},
    {"Rar!", 4, "is a rar archive: unpack it first"},
    {"\x80", 1,
     "is a Python pickle (a PyTorch checkpoint?): it must be converted first"},
    {"\x93NUMPY", 6, "is a NumPy array, not the weights of a net"},
    {"version https://git-lfs", 23,
     "is a git-lfs pointer that stands for the real file: run `git lfs pull` "
     "where it came from"},
};

bool StartsWith(const std::string& head, const char* bytes, size_t size) {
  return head.size() >= size && std::memcmp(head.data(), bytes, size) == 0;
}

bool IsText(const std::string& head) {
  return std::all_of(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' ||
           c == '\t' || c == '\f';
  });
}

std::string DescribeText(const std::string& head) {
  std::string start = head.substr(0, 512);
  std::transform(start.begin(), start.end(), start.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* mark : {"<!doctype", "<html", "<head", "<?xml", "<script"}) {
    if (start.find(mark) != std::string::npos) {
      return "is a web page: the download led to a page instead of the file; "
             "open the link in a browser and save the file itself";
    }
  }
  bool prototxt = false;
  for (const char* mark :
       {"layer {", "layer{", "layers {", "layers{", "name: \"", "input: \""}) {
    prototxt = prototxt || start.find(mark) != std::string::npos;
  }
  const std::string what =
      "is text that begins \"" + Printable(head.substr(0, 40));
  return what + (prototxt ? "\", a prototxt by its look: give the binary "
                            ".caffemodel that belongs to it"
                          : "\": give the binary .caffemodel");
}

// A NetParameter cannot begin with these fields: there 1 is a string, 5 and 7
// are numbers.
const char* DescribeProtobuf(const std::string& head) {
  const unsigned char first = static_cast<unsigned char>(head[0]);
  const char* blob =
      "is a single blob (a mean image, .binaryproto), not the weights of a net";
  if (first == 0x2a || first == 0x3a) return blob;
  if (first != 0x08) return nullptr;
  size_t next = 1;
  while (next < head.size() && (head[next] & 0x80) != 0) ++next;
  const char second = next + 1 < head.size() ? head[next + 1] : '\0';
  if (second == 0x10) return blob;
  const bool names_weights =
      second == 0x12 && head.find("caffemodel") != std::string::npos;
  if (second == 0x1a || names_weights) {
    return "is a solverstate (the momentum of a training run): give the "
           ".caffemodel that lies beside it";
  }
  return "is another protobuf message (an ONNX model?), not a caffemodel";
}

}  // namespace

void RefuseOtherFormats(const ByteSource& source) {
  Check(source.size() > 0, "file ", source.name(),
        " is empty: a download or a copy failed, fetch it again");
  std::string head(static_cast<size_t>(std::min<uint64_t>(source.size(), 4096)),
                   '\0');
  source.Read(0, head.size(), &head[0]);
  for (const Magic& magic : kMagics) {
    Check(!StartsWith(head, magic.bytes, magic.size), "file ", source.name(),
          " ", magic.what);
  }
  Check(!IsText(head), "file ", source.name(), " ", DescribeText(head));
  const bool zeros =
      std::all_of(head.begin(), head.end(), [](char c) { return c == '\0'; });
  Check(!zeros, "file ", source.name(),
        " begins with zeros: the download was cut short, fetch it again");
  const char* other = DescribeProtobuf(head);
  if (other != nullptr) Fail("file ", source.name(), " ", other);
}

std::string Printable(const std::string& bytes) {
  std::string text = bytes.substr(0, 80);
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return bytes.size() > text.size() ? text + "..." : text;
}

std::string WithCommas(int64_t value) {
  std::string text = std::to_string(value);
  const size_t sign = value < 0 ? 1 : 0;
  for (size_t at = text.size(); at > sign + 3;) text.insert(at -= 3, ",");
  return text;
}

}  // namespace p3d

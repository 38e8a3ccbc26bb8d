// Reads damaged caffemodels.
//
//   fuzz_caffemodel FIRST COUNT FILE...
//
// Case number k damages one of the files in a way that follows from k alone,
// indexes the result and reads every blob. Both must succeed or throw
// p3d::Error; anything else ends the program with the case's number on stderr.
// `fuzz_caffemodel k 1 FILE...` repeats it. Prints how many cases were read and
// how many were refused.
//
// FIRST = "overrun" reads one float too many, to show that the sanitizers are
// awake.

#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/caffemodel.hpp"
#include "kernels/error.hpp"

namespace {

using Bytes = std::vector<uint8_t>;
using Random = std::mt19937_64;

uint64_t current_case = 0;

void PrintCase() {
  std::fprintf(stderr, "\nfailed in case %llu\n",
               static_cast<unsigned long long>(current_case));
}

struct Seed {
  Bytes bytes;
  // Where tags and lengths are: few places, but the ones that matter.
  std::vector<size_t> structure;
};

bool ReadVarint(const Bytes& b, size_t* at, size_t end, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && *at < end; shift += 7) {
    const uint8_t byte = b[(*at)++];
    *value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Appends the places of tags and lengths if [begin, end) reads as a message.
bool FindStructure(const Bytes& b, size_t begin, size_t end, int depth,
                   std::vector<size_t>* places) {
  std::vector<size_t> found;
  for (size_t at = begin; at < end;) {
    uint64_t tag = 0, value = 0;
    found.push_back(at);
    if (!ReadVarint(b, &at, end, &tag)) return false;
    const int wire = static_cast<int>(tag & 7);
    found.push_back(at);
    if (wire == 0) {
      if (!ReadVarint(b, &at, end, &value)) return false;
    } else if (wire == 2) {
      if (!ReadVarint(b, &at, end, &value) || value > end - at) return false;
      if (depth > 0 && value < 100000)
        FindStructure(b, at, at + value, depth - 1, &found);
      at += value;
    } else if (wire == 1 || wire == 5) {
      const size_t width = wire == 1 ? 8 : 4;
      if (width > end - at) return false;
      at += width;
    } else {
      return false;
    }
  }
  places->insert(places->end(), found.begin(), found.end());
  return true;
}

Seed Load(const char* path) {
  std::ifstream file(path, std::ios::binary);
  Seed seed;
  seed.bytes.assign(std::istreambuf_iterator<char>(file), {});
  if (!FindStructure(seed.bytes, 0, seed.bytes.size(), 4, &seed.structure)) {
    std::fprintf(stderr, "%s is no caffemodel to begin with\n", path);
    std::exit(2);
  }
  return seed;
}

// Below `end`, or 0 when that is 0.
size_t Below(Random* random, size_t end) {
  return end == 0 ? 0 : static_cast<size_t>((*random)() % end);
}

size_t Place(const Seed& seed, const Bytes& b, Random* random) {
  const bool anywhere = Below(random, 3) == 0;
  const size_t place =
      anywhere ? Below(random, b.size())
               : seed.structure[Below(random, seed.structure.size())];
  return place < b.size() ? place : Below(random, b.size());
}

// A number that a reader may stumble over, as a varint.
Bytes NastyVarint(Random* random) {
  static const uint64_t kNasty[] = {0,
                                    1,
                                    2,
                                    0x7f,
                                    0x80,
                                    100,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0xffffffffffffffff};
  uint64_t value = kNasty[Below(random, sizeof(kNasty) / sizeof(*kNasty))];
  if (Below(random, 4) == 0) value = (*random)() >> Below(random, 64);
  Bytes out;
  for (; value > 0x7f; value >>= 7)
    out.push_back(static_cast<uint8_t>(value | 0x80));
  out.push_back(static_cast<uint8_t>(value));
  return out;
}

void Mutate(const Seed& seed, Bytes* b, Random* random) {
  const size_t at = Place(seed, *b, random);
  const size_t rest = b->size() - at;
  const size_t few = Below(random, 9) == 0 ? Below(random, rest)
                                           : Below(random, rest < 9 ? rest : 9);
  const auto where = b->begin() + at;
  switch (Below(random, 8)) {
    case 0:  // cut
      b->resize(at);
      break;
    case 1:  // flip a bit
      if (rest > 0) *where ^= 1u << Below(random, 8);
      break;
    case 2:  // any byte
      if (rest > 0) *where = static_cast<uint8_t>((*random)());
      break;
    case 3:  // zero
      std::fill(where, where + few, 0);
      break;
    case 4:  // leave out
      b->erase(where, where + few);
      break;
    case 5: {  // repeat
      const Bytes again(where, where + few);
      b->insert(where, again.begin(), again.end());
      break;
    }
    case 6: {  // insert anything
      Bytes more(few);
      for (uint8_t& byte : more) byte = static_cast<uint8_t>((*random)());
      b->insert(where, more.begin(), more.end());
      break;
    }
    default: {  // another length, another number
      const Bytes number = NastyVarint(random);
      size_t end = at;
      uint64_t old;
      ReadVarint(*b, &end, b->size(), &old);
      b->erase(where, b->begin() + end);
      b->insert(b->begin() + at, number.begin(), number.end());
    }
  }
}

bool ReadAll(const Bytes& bytes, size_t too_many) {
  // The exact size on the heap, so that one byte too far is seen.
  std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), exact.get());
  try {
    const p3d::CaffemodelReader reader(exact.get(), bytes.size(), "fuzz");
    for (size_t i = 0; i < reader.layers().size(); ++i) {
      for (size_t j = 0; j < reader.layers()[i].blobs.size(); ++j) {
        reader.CheckBlob(i, j);
        const size_t count =
            static_cast<size_t>(reader.layers()[i].blobs[j].count);
        std::unique_ptr<float[]> out(new float[count - too_many]);
        reader.Read(i, j, out.get());
      }
    }
    return true;
  } catch (const p3d::Error& error) {
    const std::string text = error.what();
    for (char c : text) {
      if (c >= 0x20 && c <= 0x7e) continue;
      std::fprintf(stderr, "unprintable message: %s\n", text.c_str());
      std::abort();
    }
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: fuzz_caffemodel FIRST COUNT FILE...\n");
    return 2;
  }
  __sanitizer_set_death_callback(PrintCase);
  std::vector<Seed> seeds;
  for (int i = 3; i < argc; ++i) seeds.push_back(Load(argv[i]));
  if (std::strcmp(argv[1], "overrun") == 0) return !ReadAll(seeds[0].bytes, 1);
  const uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const uint64_t count = std::strtoull(argv[2], nullptr, 10);
  uint64_t read = 0, refused = 0;
  for (current_case = first; current_case < first + count; ++current_case) {
    Random random(current_case);
    const Seed& seed = seeds[Below(&random, seeds.size())];
    Bytes bytes = seed.bytes;
    for (size_t i = 1 + Below(&random, 3); i > 0; --i)
      Mutate(seed, &bytes, &random);
    try {
      ++(ReadAll(bytes, 0) ? read : refused);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "not a p3d::Error: %s\n", error.what());
      PrintCase();
      return 1;
    }
  }
  std::printf("%llu read, %llu refused\n",
              static_cast<unsigned long long>(read),
              static_cast<unsigned long long>(refused));
  return 0;
}

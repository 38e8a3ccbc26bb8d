#ifndef P3D_ENGINE_CAFFEMODEL_INDEX_HPP_
#define P3D_ENGINE_CAFFEMODEL_INDEX_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/caffemodel.hpp"

// The parts of CaffemodelReader's constructor.
namespace p3d {

// Throws Error with the likely nature of the file and a cure if its first
// bytes show that it is something else than a caffemodel: HDF5, text, a web
// page, an archive, a git-lfs pointer, a solverstate, a mean image, ...
void RefuseOtherFormats(const ByteSource& source);

// Walks the file and fills the name of the net and its layers; see
// CaffemodelReader for what is followed and when it throws.
void IndexCaffemodel(const ByteSource& source, std::string* net_name,
                     std::vector<WeightLayer>* layers);

// "Convolution" for 4: today's name of the enum V1LayerParameter.LayerType, or
// "" for a value that upstream does not define.
std::string TypeOfV1(uint64_t type);

// "Convolution" for "conv": today's name of V0LayerParameter.type; words that
// upstream does not know stay as they are.
std::string TypeOfV0(const std::string& type);

// 1234567 -> "1,234,567".
std::string WithCommas(int64_t value);

// Bytes of a file made fit for a message: at most 80 characters, '?' for what
// is not printable ASCII.
std::string Printable(const std::string& bytes);

}  // namespace p3d

#endif  // P3D_ENGINE_CAFFEMODEL_INDEX_HPP_

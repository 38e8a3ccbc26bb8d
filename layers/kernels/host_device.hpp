#ifndef P3D_KERNELS_HOST_DEVICE_HPP_
#define P3D_KERNELS_HOST_DEVICE_HPP_

// Marks a function that a GPU runs as well when nvcc compiles it.
#ifdef __CUDACC__
#define P3D_HOST_DEVICE __host__ __device__
#else
#define P3D_HOST_DEVICE
#endif

#endif  // P3D_KERNELS_HOST_DEVICE_HPP_

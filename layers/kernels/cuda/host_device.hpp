#ifndef P3D_KERNELS_HOST_DEVICE_HPP_
#define P3D_KERNELS_HOST_DEVICE_HPP_

// Marks a function that a GPU runs as well when nvcc compiles it.
#ifdef __CUDACC__
#define P3D_HOST_DEVICE __host__ __device__
#else
#define P3D_HOST_DEVICE
#endif

// Before a loop on a GPU whose counter picks registers: all of its rounds...
// before one that only reads memory, so that a thread has several reads under
// way at once, and before one whose rounds wait for each other anyway.
#ifdef __CUDA_ARCH__
#define P3D_UNROLL _Pragma("unroll")
#define P3D_UNROLL_4 _Pragma("unroll 4")
#define P3D_UNROLL_1 _Pragma("unroll 1")
#else
#define P3D_UNROLL
#define P3D_UNROLL_4
#define P3D_UNROLL_1
#endif

#endif  // P3D_KERNELS_HOST_DEVICE_HPP_

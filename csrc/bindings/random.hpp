// numpy's random numbers without Python.
#pragma once

#include <pybind11/pybind11.h>

#include "infgram/sampler.hpp"

namespace infgram::bindings {

// The uniform numbers of a numpy BitGenerator, which must outlive their use: its capsule does not
// keep it alive.
inline Uniform uniform_of(const pybind11::object& bit_generator) {
    // numpy's bitgen_t: state, next_uint64, next_uint32, next_double, next_raw.
    struct BitGenerator {
        void* state;
        void* next_uint64;
        void* next_uint32;
        double (*next_double)(void*);
    };
    const pybind11::object capsule = bit_generator.attr("capsule");
    const auto* generator =
        static_cast<const BitGenerator*>(PyCapsule_GetPointer(capsule.ptr(), "BitGenerator"));
    if (generator == nullptr) throw pybind11::error_already_set();
    return {generator->next_double, generator->state};
}

}  // namespace infgram::bindings

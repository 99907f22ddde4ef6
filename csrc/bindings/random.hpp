// numpy's random numbers without Python.
//
// Threads that share a BitGenerator hold its lock while they draw.
#pragma once

#include <pybind11/pybind11.h>

#include "infgram/models/sampler.hpp"

namespace pybind11::detail {

// The uniform numbers of a numpy BitGenerator, which must outlive their use: its capsule does not
// keep it alive.
template <>
struct type_caster<infgram::Uniform> {
    PYBIND11_TYPE_CASTER(infgram::Uniform, const_name("numpy.random.BitGenerator"));
    bool load(handle source, bool) {
        // numpy's bitgen_t: state, next_uint64, next_uint32, next_double, next_raw.
        struct BitGenerator {
            void* state;
            void* next_uint64;
            void* next_uint32;
            double (*next_double)(void*);
        };
        if (!hasattr(source, "capsule")) return false;
        const object capsule = source.attr("capsule");
        const auto* generator =
            static_cast<const BitGenerator*>(PyCapsule_GetPointer(capsule.ptr(), "BitGenerator"));
        if (generator == nullptr) throw error_already_set();
        value = {generator->next_double, generator->state};
        return true;
    }
};

}  // namespace pybind11::detail

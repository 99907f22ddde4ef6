// The only place where numpy arrays become spans and results become numpy arrays.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infgram/types.hpp"

namespace infgram::bindings {

namespace py = pybind11;

// Arrays are taken as they are: bind them with py::arg().noconvert(), so that a wrong type is an
// error instead of a silent copy.
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
std::span<const T> view(const Array<T>& array) {
    if (array.ndim() != 1)
        throw InvalidParameter("expected a 1-D array, got " + std::to_string(array.ndim()) +
                               " dimensions");
    if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
        throw InvalidParameter("expected an aligned array; pass array.copy()");
    return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class T>
std::span<T> writable(Array<T>& array) {
    const auto span = view(array);
    return {array.mutable_data(), span.size()};
}

template <class T>
Array<T> to_array(const std::vector<T>& values) {
    return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

}  // namespace infgram::bindings

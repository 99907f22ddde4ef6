// How numpy arrays and texts become spans, and results become numpy arrays: the casters that all
// bindings use. Whoever takes a span borrows it for the call alone, or keeps its owner.
//
// Threads: casters run with the GIL, and what is called with `Released` without.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::bindings {

namespace py = pybind11;

// Without the GIL: for everything that reads an index, or waits for a turn.
using Released = py::call_guard<py::gil_scoped_release>;

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

// A new array, to be filled.
template <class T>
Array<T> empty(std::size_t n) {
    return Array<T>(static_cast<py::ssize_t>(n));
}

// One that is filled, and is to stay as it is.
template <class T>
Array<T> read_only(Array<T> array) {
    py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    return array;
}

// Keeps Python objects for as long as C++ borrows their memory.
inline std::shared_ptr<const void> kept(py::object object) {
    return {new py::object(std::move(object)), [](const py::object* kept) {
                const py::gil_scoped_acquire gil;
                delete kept;
            }};
}

}  // namespace infgram::bindings

namespace pybind11::detail {

template <class T>
inline constexpr auto array_name =
    const_name("numpy.typing.NDArray[") + npy_format_descriptor<T>::name + const_name("]");

// An array is taken as it is: a wrong type is an error and not a silent copy.
template <class T>
struct type_caster<std::span<const T>> {
    PYBIND11_TYPE_CASTER(std::span<const T>, array_name<T>);
    bool load(handle source, bool) {
        if (!infgram::bindings::Array<T>::check_(source)) return false;
        value = infgram::bindings::view(reinterpret_borrow<infgram::bindings::Array<T>>(source));
        return true;
    }
};

// One that is written into.
template <class T>
    requires(!std::is_const_v<T>)
struct type_caster<std::span<T>> {
    PYBIND11_TYPE_CASTER(std::span<T>, array_name<T>);
    bool load(handle source, bool) {
        if (!infgram::bindings::Array<T>::check_(source)) return false;
        auto array = reinterpret_borrow<infgram::bindings::Array<T>>(source);
        value = infgram::bindings::writable(array);
        return true;
    }
};

template <class T>
    requires(std::is_arithmetic_v<T>)
struct type_caster<std::vector<T>> {
    static constexpr auto name = array_name<T>;
    static handle cast(const std::vector<T>& values, return_value_policy, handle) {
        return infgram::bindings::Array<T>(static_cast<ssize_t>(values.size()), values.data())
            .release();
    }
};

// Text is the bytes of its UTF-8.
template <>
struct type_caster<infgram::Tokens> {
    PYBIND11_TYPE_CASTER(infgram::Tokens, const_name("str | bytes | ") + array_name<std::uint8_t> +
                                              const_name(" | ") + array_name<std::uint32_t>);
    bool load(handle source, bool) {
        using infgram::bindings::Array;
        const char* data = nullptr;
        Py_ssize_t size = 0;
        if (PyUnicode_Check(source.ptr())) {
            data = PyUnicode_AsUTF8AndSize(source.ptr(), &size);
            if (data == nullptr) throw error_already_set();
        } else if (PyBytes_Check(source.ptr())) {
            data = PyBytes_AS_STRING(source.ptr());
            size = PyBytes_GET_SIZE(source.ptr());
        } else if (Array<std::uint32_t>::check_(source)) {
            value = infgram::bindings::view(reinterpret_borrow<Array<std::uint32_t>>(source));
            return true;
        } else if (Array<std::uint8_t>::check_(source)) {
            value = infgram::bindings::view(reinterpret_borrow<Array<std::uint8_t>>(source));
            return true;
        } else {
            return false;
        }
        value =
            std::span(reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size));
        return true;
    }
};

}  // namespace pybind11::detail

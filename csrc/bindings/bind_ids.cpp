// The fast half of checking token ids: what is plainly right, everything else is for Python to
// name.
#include <algorithm>

#include "arrays.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// A list or tuple of Python integers below vocab_size, or None.
py::object from_sequence(py::handle ids, std::uint64_t vocab_size) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(ids.ptr());
    PyObject** items = PySequence_Fast_ITEMS(ids.ptr());
    Array<std::uint32_t> array(n);
    std::uint32_t* out = array.mutable_data();
    for (Py_ssize_t i = 0; i < n; ++i) {
        if (!PyLong_CheckExact(items[i])) return py::none();
        int overflow = 0;
        const long long id = PyLong_AsLongLongAndOverflow(items[i], &overflow);
        if (overflow != 0 || id < 0 || static_cast<std::uint64_t>(id) >= vocab_size)
            return py::none();
        out[i] = static_cast<std::uint32_t>(id);
    }
    return array;
}

// The array itself, or as uint32 if it is of another type; None where an id is out of range.
template <class T>
py::object from_array(const Array<T>& array, std::uint64_t vocab_size) {
    const auto ids = view(array);
    if (!std::ranges::all_of(ids, [vocab_size](T id) {
            if constexpr (std::is_signed_v<T>)
                if (id < 0) return false;
            return static_cast<std::uint64_t>(id) < vocab_size;
        }))
        return py::none();
    if (sizeof(T) == 1 ? vocab_size <= 256 : std::is_same_v<T, std::uint32_t>) return array;
    Array<std::uint32_t> wide(array.size());
    std::ranges::transform(ids, wide.mutable_data(),
                           [](T id) { return static_cast<std::uint32_t>(id); });
    return wide;
}

py::object plain_ids(py::handle ids, std::uint64_t vocab_size) {
    if (PyList_CheckExact(ids.ptr()) || PyTuple_CheckExact(ids.ptr()))
        return from_sequence(ids, vocab_size);
    py::object found = py::none();
    const auto attempt = [&]<class T>(T) {
        if (!found.is_none() || !Array<T>::check_(ids)) return;
        const auto array = py::reinterpret_borrow<Array<T>>(ids);
        if (array.ndim() == 1 && reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) == 0)
            found = from_array<T>(array, vocab_size);
    };
    attempt(std::uint32_t{});
    attempt(std::uint8_t{});
    attempt(std::int64_t{});
    attempt(std::uint16_t{});
    attempt(std::int32_t{});
    return found;
}

}  // namespace

void bind_ids(py::module_& m) {
    m.def("plain_ids", &plain_ids, py::arg("ids"), py::arg("vocab_size"));
}

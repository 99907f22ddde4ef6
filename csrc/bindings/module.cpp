// The extension module infgram._core. Its errors are the classes of infgram.errors.
#include <pybind11/pybind11.h>

#include "infgram/rows/types.hpp"

namespace py = pybind11;

void bind_columns(py::module_& m);
void bind_draft(py::module_& m);
void bind_ids(py::module_& m);
void bind_index(py::module_& m);
void bind_model(py::module_& m);
void bind_mix(py::module_& m);
void bind_refine(py::module_& m);
void bind_tracing(py::module_& m);

PYBIND11_MODULE(_core, m) {
    m.doc() =
        "infgram's native core: columns of an index, queries and sampling over borrowed arrays.";
    py::register_exception_translator([](std::exception_ptr error) {
        const auto raise = [](const char* name, const char* what) {
            py::set_error(py::module_::import("infgram.errors").attr(name), what);
        };
        try {
            if (error) std::rethrow_exception(error);
        } catch (const infgram::CorruptIndex& e) {
            raise("CorruptIndex", e.what());
        } catch (const infgram::NeedsFastLayout& e) {
            raise("NeedsFastLayout", e.what());
        } catch (const infgram::NeedsMerge& e) {
            raise("NeedsMerge", e.what());
        } catch (const infgram::InvalidParameter& e) {
            raise("InvalidParameter", e.what());
        }
    });
    m.def("version", [] { return INFGRAM_VERSION; });  // to look it up costs Python 30 ms
    bind_index(m);                                     // first: the others take indexes and cursors
    bind_model(m);
    bind_mix(m);
    bind_draft(m);
    bind_refine(m);
    bind_tracing(m);
    bind_columns(m);
    bind_ids(m);
}

// What Python has of csrc/infgram/tracing.
#include <memory>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "infgram/tracing/ngrams.hpp"
#include "infgram/tracing/repeats.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// Takes an array's memory over.
template <class T>
Array<T> moved(std::vector<T> values) {
    auto* const kept = new std::vector<T>(std::move(values));
    const py::capsule owner(kept,
                            [](void* pointer) { delete static_cast<std::vector<T>*>(pointer); });
    return Array<T>(static_cast<py::ssize_t>(kept->size()), kept->data(), owner);
}

template <class Ask>
py::tuple read(Ask&& ask) {
    Ngrams found;
    {
        const py::gil_scoped_release release;
        found = ask();
    }
    return py::make_tuple(moved(std::move(found.token_ids)), moved(std::move(found.counts)),
                          moved(std::move(found.documents)));
}

// A walk, and the columns that it borrows beside the index.
struct Reader {
    Reader(const AnyIndex& index, std::uint32_t n, std::uint64_t min_count,
           std::vector<Array<std::uint32_t>> columns)
        : documents(std::move(columns)) {
        std::vector<Boundaries> boundaries;
        for (const auto& each : documents) boundaries.push_back(view(each));
        walk = index.visit([&]<class Code>(const Owner<Code>& of) -> std::unique_ptr<NgramReader> {
            return std::make_unique<NgramReaderOf<Code>>(of, n, min_count, std::move(boundaries));
        });
    }

    std::vector<Array<std::uint32_t>> documents;
    std::unique_ptr<NgramReader> walk;
};

}  // namespace

void bind_tracing(py::module_& m) {
    py::class_<Reader>(m, "NgramReader")
        .def(py::init<const AnyIndex&, std::uint32_t, std::uint64_t,
                      std::vector<Array<std::uint32_t>>>(),
             py::arg("index"), py::arg("n"), py::arg("min_count"), py::arg("documents"))
        .def(
            "read",
            [](Reader& self, std::size_t most) {
                return read([&] { return self.walk->read(most); });
            },
            py::arg("most"))
        .def(
            "most_frequent",
            [](Reader& self, std::size_t most) {
                return read([&] { return self.walk->most_frequent(most); });
            },
            py::arg("most"));
    m.def(
        "repeats",
        [](const AnyIndex& index, std::size_t shard, std::uint32_t length) {
            std::vector<std::uint32_t> flat;
            {
                const py::gil_scoped_release release;
                index.visit([&](const auto& of) {
                    for (const auto& [begin, end] : repeats(of->index, shard, length)) {
                        flat.push_back(begin);
                        flat.push_back(end);
                    }
                });
            }
            return moved(std::move(flat));
        },
        py::arg("index"), py::arg("shard"), py::arg("length"));
}

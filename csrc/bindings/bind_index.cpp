// Index and Cursor for codes of 8, 16 and 32 bits.
#include <memory>
#include <mutex>
#include <optional>

#include "arrays.hpp"
#include "infgram/index.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// A list of str or bytes as one flat run of UTF-8 bytes with offsets.
struct FlatTexts {
    std::vector<std::uint8_t> bytes;
    std::vector<std::int64_t> offsets{0};
};

std::span<const std::uint8_t> text_view(py::handle text) {
    const char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyUnicode_Check(text.ptr())) {
        data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
        if (data == nullptr) throw py::error_already_set();
    } else if (PyBytes_Check(text.ptr())) {
        data = PyBytes_AS_STRING(text.ptr());
        size = PyBytes_GET_SIZE(text.ptr());
    } else {
        throw py::type_error("expected str or bytes");
    }
    return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

FlatTexts flatten(const py::list& texts) {
    FlatTexts flat;
    flat.offsets.reserve(texts.size() + 1);
    for (const py::handle text : texts) {
        const auto bytes = text_view(text);
        flat.bytes.insert(flat.bytes.end(), bytes.begin(), bytes.end());
        flat.offsets.push_back(static_cast<std::int64_t>(flat.bytes.size()));
    }
    return flat;
}

template <class Code>
Columns<Code> columns_of(const py::dict& shard, py::list& arrays) {
    const auto borrow = [&]<class T>(const char* name, std::span<const T>& to) {
        if (!shard.contains(name)) return;
        const py::object value = shard[name];
        if (!Array<T>::check_(value))
            throw InvalidParameter(std::string("column '") + name + "' has another element type");
        const auto array = py::reinterpret_borrow<Array<T>>(value);
        to = view(array);
        arrays.append(array);
    };
    Columns<Code> columns;
    borrow("codes", columns.codes);
    borrow("sa", columns.sa);
    borrow("next", columns.next);
    borrow("same", columns.same);
    borrow("buckets", columns.buckets);
    borrow("rank_blocks", columns.rank_blocks);
    borrow("rank_supers", columns.rank_supers);
    borrow("psi", columns.psi);
    columns.block_rows = shard["block_rows"].cast<std::uint32_t>();
    columns.n_rows = shard["n_rows"].cast<std::uint32_t>();
    columns.end_row = shard["end_row"].cast<std::uint32_t>();
    return columns;
}

template <class Code>
std::shared_ptr<OwnedIndex<Code>> make_index(const Array<std::uint32_t>& token_ids,
                                             std::uint32_t end_of_text, const py::list& shards) {
    py::list arrays;
    arrays.append(token_ids);
    std::vector<Shard<Code>> native;
    for (const py::handle shard : shards)
        native.emplace_back(columns_of<Code>(py::cast<py::dict>(shard), arrays));
    return std::make_shared<OwnedIndex<Code>>(
        arrays, Index<Code>(Alphabet(view(token_ids), end_of_text), std::move(native)));
}

template <class Token, class Code>
void bind_queries(py::class_<OwnedIndex<Code>, std::shared_ptr<OwnedIndex<Code>>>& index,
                  py::class_<Cursor<Code>>& cursor) {
    using Owned = OwnedIndex<Code>;
    index.def(
        "count",
        [](const Owned& self, const Array<Token>& ngram) {
            const auto tokens = view(ngram);
            py::gil_scoped_release release;
            return self.index.count(tokens);
        },
        py::arg("ngram").noconvert());
    index.def(
        "count_batch",
        [](const Owned& self, const Array<Token>& flat, const Array<std::int64_t>& offsets) {
            const auto tokens = view(flat);
            const auto at = view(offsets);
            Array<std::int64_t> counts(std::max<py::ssize_t>(offsets.size() - 1, 0));
            const auto out = writable(counts);
            {
                py::gil_scoped_release release;
                self.index.count_batch(tokens, at, out);
            }
            return counts;
        },
        py::arg("flat").noconvert(), py::arg("offsets").noconvert());
    index.def(
        "next_tokens",
        [](const Owned& self, const Array<Token>& context) {
            const auto tokens = view(context);
            std::optional<Histogram> histogram;
            {
                py::gil_scoped_release release;
                histogram = self.index.next_tokens(self.index.find(tokens));
            }
            return to_tuple(self.index.alphabet(), *histogram);
        },
        py::arg("context").noconvert());
    index.def(
        "find",
        [](const Owned& self, const Array<Token>& ngram) {
            const auto tokens = view(ngram);
            std::vector<Range> ranges;
            {
                py::gil_scoped_release release;
                ranges = self.index.find(tokens);
            }
            py::list pairs;
            for (const Range range : ranges) pairs.append(py::make_tuple(range.begin, range.end));
            return pairs;
        },
        py::arg("ngram").noconvert());
    index.def(
        "match_lengths",
        [](const Owned& self, const Array<Token>& tokens, std::uint32_t window) {
            const auto in = view(tokens);
            std::vector<std::uint32_t> lengths;
            {
                py::gil_scoped_release release;
                lengths = self.index.match_lengths(in, window);
            }
            return to_array(lengths);
        },
        py::arg("tokens").noconvert(), py::arg("window"));
    index.def(
        "cursor",
        [](const Owner<Code>& self, const Array<Token>& context, std::uint32_t window) {
            const auto tokens = view(context);
            py::gil_scoped_release release;
            return std::make_unique<Cursor<Code>>(self, self->index.chains(tokens), window);
        },
        py::arg("context").noconvert(), py::arg("window"));
    cursor.def(
        "read", [](Cursor<Code>& self, const Array<Token>& tokens) { self.read(view(tokens)); },
        py::arg("tokens").noconvert());
}

template <class Code>
void bind_width(py::module_& m, const std::string& bits) {
    using Owned = OwnedIndex<Code>;
    py::class_<Owned, std::shared_ptr<Owned>> index(m, ("Index" + bits).c_str());
    py::class_<Cursor<Code>> cursor(m, ("Cursor" + bits).c_str());

    index.def(py::init(&make_index<Code>), py::arg("token_ids").noconvert(), py::arg("end_of_text"),
              py::arg("shards"));
    bind_queries<std::uint8_t>(index, cursor);
    bind_queries<std::uint32_t>(index, cursor);
    index.def(
        "count_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            const py::gil_scoped_release release;
            return self.index.count(tokens);
        },
        py::arg("text"));
    index.def(
        "next_tokens_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            std::optional<Histogram> histogram;
            {
                const py::gil_scoped_release release;
                histogram = self.index.next_tokens(self.index.find(tokens));
            }
            return to_tuple(self.index.alphabet(), *histogram);
        },
        py::arg("text"));
    index.def(
        "levels_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            std::vector<IndexLevel> levels;
            {
                const py::gil_scoped_release release;
                levels = self.index.levels(self.index.chains(tokens));
            }
            return to_list(levels);
        },
        py::arg("text"));
    index.def(
        "count_texts",
        [](const Owned& self, const py::list& texts) {
            const FlatTexts flat = flatten(texts);
            Array<std::int64_t> counts(static_cast<py::ssize_t>(texts.size()));
            const auto out = writable(counts);
            {
                py::gil_scoped_release release;
                self.index.count_batch(std::span<const std::uint8_t>(flat.bytes),
                                       std::span<const std::int64_t>(flat.offsets), out);
            }
            return counts;
        },
        py::arg("texts"));
    index.def(
        "positions",
        [](const Owned& self, std::size_t shard, const Array<std::uint32_t>& rows) {
            const auto& of = self.index.shard(shard);
            std::vector<Position> positions;
            for (const Row row : view(rows)) {
                if (row >= of.n_rows()) throw InvalidParameter("row outside the shard");
                positions.push_back(of.position(row));
            }
            return to_array(positions);
        },
        py::arg("shard"), py::arg("rows").noconvert());
    index.def(
        "tokens",
        [](const Owned& self, std::size_t shard, std::size_t begin, std::size_t end) {
            const auto text = self.index.shard(shard).text();
            if (begin > end || end > text.size())
                throw InvalidParameter("positions outside the shard");
            std::vector<std::uint32_t> token_ids;
            token_ids.reserve(end - begin);
            for (const Code code : text.subspan(begin, end - begin))
                token_ids.push_back(self.index.alphabet().token_id(code));
            return to_array(token_ids);
        },
        py::arg("shard"), py::arg("begin"), py::arg("end"));
    index.def(
        "start_of_document",
        [](const Owner<Code>& self, std::uint32_t window) {
            return std::make_unique<Cursor<Code>>(self, self->index.start_of_document(), window);
        },
        py::arg("window"));

    index.def(
        "restore_cursor",
        [](const Owner<Code>& self, const Array<std::int64_t>& state, std::uint32_t window) {
            return Cursor<Code>::restore(self, view(state), window);
        },
        py::arg("state").noconvert(), py::arg("window"));

    cursor.def("state", &Cursor<Code>::state);
    cursor.def_property_readonly("window", &Cursor<Code>::window);
    cursor.def("start_document", &Cursor<Code>::start_document);
    cursor.def("levels", &Cursor<Code>::levels);
    cursor.def("next_tokens", &Cursor<Code>::next_tokens, py::arg("level"));
    cursor.def("continuations", &Cursor<Code>::continuations, py::arg("level"),
               py::arg("exponent"));
    cursor.def("copy",
               [](const Cursor<Code>& self) { return std::make_unique<Cursor<Code>>(self); });
}

}  // namespace

void bind_index(py::module_& m) {
    bind_width<std::uint8_t>(m, "8");
    bind_width<std::uint16_t>(m, "16");
    bind_width<std::uint32_t>(m, "32");
}

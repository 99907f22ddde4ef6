// Index and Cursor.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "arrays.hpp"
#include "infgram/contexts/any.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

template <class Code>
Columns<Code> columns_of(const py::dict& shard) {
    const auto borrow = [&]<class T>(const char* name, std::span<const T>& to) {
        if (!shard.contains(name)) return;
        const py::object value = shard[name];
        if (!Array<T>::check_(value))
            throw InvalidParameter(std::string("column '") + name + "' has another element type");
        to = view(py::reinterpret_borrow<Array<T>>(value));
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
    if (shard.contains("next_blocks")) {
        CompactColumns& compact = columns.compact.emplace();
        borrow("next_supers", compact.next.supers);
        borrow("next_starts", compact.next.starts);
        borrow("next_entries", compact.next.entries);
        borrow("next_blocks", compact.next.blocks);
        borrow("sa_starts", compact.sa_starts);
        borrow("sa_marks", compact.sa_marks);
        borrow("sa_samples", compact.sa_samples);
        borrow("text_rows", compact.text_rows);
    }
    columns.block_rows = shard["block_rows"].cast<std::uint32_t>();
    columns.n_rows = shard["n_rows"].cast<std::uint32_t>();
    columns.end_row = shard["end_row"].cast<std::uint32_t>();
    if (shard.contains("is_followed")) columns.is_followed = shard["is_followed"].cast<bool>();
    if (shard.contains("is_removed")) columns.is_removed = shard["is_removed"].cast<bool>();
    if (shard.contains("stop")) columns.stop = shard["stop"].cast<Row>();
    return columns;
}

template <class Code>
std::unique_ptr<AnyIndex> make_index(const Array<std::uint32_t>& token_ids,
                                     std::uint32_t end_of_text, const py::list& shards,
                                     bool has_grown) {
    std::vector<Shard<Code>> native;
    for (const py::handle shard : shards)
        native.emplace_back(columns_of<Code>(py::cast<py::dict>(shard)));
    Index<Code> index(Alphabet(view(token_ids), end_of_text, has_grown), std::move(native));
    return std::make_unique<AnyIndex>(std::move(index), kept(py::make_tuple(token_ids, shards)));
}

// (token_ids, counts, their sum), read-only: the end of text, and then by rising token ids
py::tuple to_tuple(const Alphabet& alphabet, Histogram& histogram) {
    std::span<const std::uint32_t> codes = histogram.codes();
    std::vector<std::uint32_t> by_id;
    if (!alphabet.rises()) {
        by_id.assign(codes.begin(), codes.end());
        const auto id = [&](std::uint32_t code) {
            return code == boundary ? 0 : std::uint64_t{alphabet.token_id(code)} + 1;
        };
        std::ranges::sort(by_id, {}, id);
        codes = by_id;
    }
    auto token_ids = empty<std::uint32_t>(codes.size());
    auto counts = empty<std::int64_t>(codes.size());
    std::uint32_t* token_id = token_ids.mutable_data();
    std::int64_t* count = counts.mutable_data();
    std::int64_t total = 0;
    for (const std::uint32_t code : codes) {
        *token_id++ = alphabet.token_id(code);
        total += * count++ = static_cast<std::int64_t>(histogram[code]);
    }
    return py::make_tuple(read_only(std::move(token_ids)), read_only(std::move(counts)), total);
}

// [(n, m), ...]
py::list to_list(const std::vector<IndexLevel>& levels) {
    py::list list(levels.size());
    for (std::size_t i = 0; i < levels.size(); ++i)
        list[i] = py::make_tuple(levels[i].n, levels[i].m);
    return list;
}

std::vector<std::pair<Row, Row>> pairs(const std::vector<Range>& ranges) {
    std::vector<std::pair<Row, Row>> pairs;
    for (const Range range : ranges) pairs.emplace_back(range.begin, range.end);
    return pairs;
}

template <class Ask>
auto released(Ask&& ask) {
    const py::gil_scoped_release release;
    return ask();
}

Array<std::int64_t> count_batch(const AnyIndex& index, const Tokens& flat,
                                std::span<const std::int64_t> offsets) {
    auto counts = empty<std::int64_t>(offsets.empty() ? 0 : offsets.size() - 1);
    const auto out = writable(counts);
    const py::gil_scoped_release release;
    index.count_batch(flat, offsets, out);
    return counts;
}

// What next_tokens gives, after each of many contexts.
py::list next_tokens_batch(const AnyIndex& index, const Tokens& flat,
                           std::span<const std::int64_t> offsets) {
    py::list found;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        auto histogram =
            released([&] { return index.next_tokens(flat, offsets[i], offsets[i + 1]); });
        found.append(to_tuple(index.alphabet(), histogram));
    }
    return found;
}

// Of contexts, how often anything follows, and how often one token each.
py::tuple continuations(const AnyIndex& index, const Tokens& flat,
                        std::span<const std::int64_t> offsets,
                        std::span<const std::uint32_t> token_ids) {
    if (offsets.size() != token_ids.size() + 1)
        throw InvalidParameter("expected a token for each context");
    auto all = empty<std::int64_t>(token_ids.size());
    auto own = empty<std::int64_t>(token_ids.size());
    const auto all_out = writable(all);
    const auto own_out = writable(own);
    released([&] {
        index.continuations(flat, offsets, token_ids, all_out, own_out);
        return 0;
    });
    return py::make_tuple(std::move(all), std::move(own));
}

// Of a list of str or bytes: they become one run of bytes.
Array<std::int64_t> count_texts(const AnyIndex& index, const py::list& texts) {
    std::vector<std::uint8_t> flat;
    std::vector<std::int64_t> offsets{0};
    offsets.reserve(texts.size() + 1);
    for (const py::handle text : texts) {
        if (!PyUnicode_Check(text.ptr()) && !PyBytes_Check(text.ptr()))
            throw py::type_error("expected str or bytes");
        const auto bytes = std::get<std::span<const std::uint8_t>>(py::cast<Tokens>(text));
        flat.insert(flat.end(), bytes.begin(), bytes.end());
        offsets.push_back(static_cast<std::int64_t>(flat.size()));
    }
    return count_batch(index, std::span<const std::uint8_t>(flat), offsets);
}

// (counts, positions of the last line ends) of stretches of a shard's text.
py::tuple line_ends(const AnyIndex& index, std::size_t shard,
                    std::span<const std::uint32_t> n_line_ends, std::span<const Position> begins,
                    std::span<const Position> ends) {
    const auto found = released([&] { return index.line_ends(shard, n_line_ends, begins, ends); });
    auto counts = empty<std::int64_t>(found.size());
    auto lasts = empty<std::int64_t>(found.size());
    std::ranges::transform(found, counts.mutable_data(), &LineEnds::Found::n);
    std::ranges::transform(found, lasts.mutable_data(), &LineEnds::Found::last);
    return py::make_tuple(std::move(counts), std::move(lasts));
}

void bind_cursor(py::module_& m) {
    py::class_<AnyCursor>(m, "Cursor")
        .def_property_readonly("window", &AnyCursor::window)
        .def("read", &AnyCursor::read, py::arg("tokens"), Released())
        .def("start_document", &AnyCursor::start_document, Released())
        .def(
            "copy", [](const AnyCursor& self) { return std::make_unique<AnyCursor>(self); },
            Released())
        .def("levels",
             [](const AnyCursor& self) { return to_list(released([&] { return self.levels(); })); })
        .def(
            "next_tokens",
            [](const AnyCursor& self, std::size_t level) {
                auto found = released([&] { return self.next_tokens(level); });
                return py::make_tuple(found.first, to_tuple(self.alphabet(), found.second));
            },
            py::arg("level"))
        .def("following", &AnyCursor::following, py::arg("level"), Released())
        .def(
            "read_levels",
            [](const AnyCursor& self, double exponent) {
                py::list levels;
                for (const LevelReading& level :
                     released([&] { return self.read_levels(exponent); }))
                    levels.append(py::make_tuple(level.n, level.m, level.token_ids, level.counts,
                                                 level.contexts, level.passed));
                return levels;
            },
            py::arg("exponent"))
        .def("state", &AnyCursor::state, Released());
}

}  // namespace

void bind_index(py::module_& m) {
    bind_cursor(m);
    py::class_<AnyIndex>(m, "Index")
        .def(py::init([](int code_bits, const Array<std::uint32_t>& token_ids,
                         std::uint32_t end_of_text, const py::list& shards, bool has_grown) {
                 if (code_bits == 8)
                     return make_index<std::uint8_t>(token_ids, end_of_text, shards, has_grown);
                 if (code_bits == 16)
                     return make_index<std::uint16_t>(token_ids, end_of_text, shards, has_grown);
                 if (code_bits == 32)
                     return make_index<std::uint32_t>(token_ids, end_of_text, shards, has_grown);
                 throw InvalidParameter("code_bits is " + std::to_string(code_bits) +
                                        ", expected 8, 16 or 32");
             }),
             py::arg("code_bits"), py::arg("token_ids").noconvert(), py::arg("end_of_text"),
             py::arg("shards"), py::arg("has_grown") = false)
        .def("count", &AnyIndex::count, py::arg("ngram"), Released())
        .def("count_batch", &count_batch, py::arg("flat"), py::arg("offsets"))
        .def("count_texts", &count_texts, py::arg("texts"))
        .def(
            "next_tokens",
            [](const AnyIndex& self, const Tokens& context) {
                auto found = released([&] { return self.next_tokens(context); });
                return to_tuple(self.alphabet(), found);
            },
            py::arg("context"))
        .def("continuations", &continuations, py::arg("flat"), py::arg("offsets"),
             py::arg("token_ids"))
        .def("next_tokens_batch", &next_tokens_batch, py::arg("flat"), py::arg("offsets"))
        .def(
            "levels",
            [](const AnyIndex& self, const Tokens& context) {
                return to_list(released([&] { return self.levels(context); }));
            },
            py::arg("context"))
        .def(
            "find",
            [](const AnyIndex& self, const Tokens& ngram) { return pairs(self.find(ngram)); },
            py::arg("ngram"), Released())
        .def(
            "find_parts",
            [](const AnyIndex& self, const Tokens& ngram) { return pairs(self.find_parts(ngram)); },
            py::arg("ngram"), Released())
        .def("match_lengths", &AnyIndex::match_lengths, py::arg("tokens"), py::arg("window"),
             Released())
        .def(
            "maximal_spans",
            [](const AnyIndex& self, const Tokens& tokens, std::span<const std::uint32_t> begins,
               std::span<const std::uint32_t> earliest) {
                auto found =
                    released([&] { return self.maximal_spans(tokens, {begins, earliest}); });
                return std::make_pair(std::move(found.bounds), std::move(found.rows));
            },
            py::arg("tokens"), py::arg("begins"), py::arg("earliest"))
        .def("line_ends", &line_ends, py::arg("shard"), py::arg("n_line_ends"), py::arg("begins"),
             py::arg("ends"))
        .def("end_of_document", &AnyIndex::end_of_document, py::arg("shard"), py::arg("begin"),
             py::arg("end"), Released())
        .def("positions", &AnyIndex::positions, py::arg("shard"), py::arg("rows"), Released())
        .def("tokens", &AnyIndex::tokens, py::arg("shard"), py::arg("begin"), py::arg("end"),
             Released())
        .def("cursor", &AnyIndex::cursor, py::arg("context"), py::arg("window"), Released())
        .def("start_of_document", &AnyIndex::start_of_document, py::arg("window"), Released())
        .def("restore_cursor", &AnyIndex::restore_cursor, py::arg("state"), py::arg("window"),
             Released());
}

// Building columns: numpy allocates, the core fills.
#include "arrays.hpp"
#include "infgram/rows/columns.hpp"
#include "infgram/rows/compact_columns.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// The part [begin, end) of n.
void check_part(std::size_t begin, std::size_t end, std::size_t n) {
    if (begin > end || end > n) throw InvalidParameter("a part lies outside the rows");
}

// A suffix array must hold positions of the text before anything is looked up with it: those of the
// part, and the one before it.
void check_positions(std::span<const Position> sa, std::size_t begin, std::size_t end,
                     std::size_t n) {
    check_part(begin, end, n);
    if (sa.size() != n) throw InvalidParameter("sa and codes differ in length");
    if (begin != 0) --begin;
    if (!std::ranges::all_of(sa.subspan(begin, end - begin),
                             [n](Position p) { return 0 < p && p <= n; }))
        throw InvalidParameter("sa holds a position outside the text");
}

void check_buckets(std::span<const Row> buckets, std::size_t n) {
    if (buckets.size() < 2 || buckets.back() != n || !std::ranges::is_sorted(buckets))
        throw InvalidParameter("buckets must rise to the number of rows");
}

template <class Token, class Code>
void bind_assemble(py::module_& m) {
    m.def(
        "assemble",
        [](std::span<const Token> tokens, std::span<const std::uint32_t> document_lengths,
           std::span<const std::uint32_t> token_ids, std::span<Code> codes) {
            assemble<Token, Code>(tokens, document_lengths,
                                  Alphabet(token_ids, Alphabet::unknown, true), codes);
        },
        py::arg("tokens"), py::arg("document_lengths"), py::arg("token_ids"), py::arg("codes"),
        Released());
}

template <class Code>
void bind_width(py::module_& m) {
    using Codes = std::span<const Code>;
    using Numbers = std::span<const std::uint32_t>;
    bind_assemble<std::uint8_t, Code>(m);
    bind_assemble<std::uint32_t, Code>(m);
    m.def(
        "count_buckets",
        [](Codes codes, std::uint32_t n_codes) {
            for (const Code code : codes)
                if (code >= n_codes) throw InvalidParameter("code outside the alphabet");
            return count_buckets<Code>(codes, n_codes);
        },
        py::arg("codes"), py::arg("n_codes"));
    m.def(
        "link_rows",
        [](Codes codes, Numbers sa, std::span<Code> next, std::span<std::uint32_t> before,
           std::size_t begin, std::size_t end) {
            check_positions(sa, begin, end, codes.size());
            if (next.size() != codes.size() || before.size() != codes.size())
                throw InvalidParameter("columns differ in length");
            return link_rows<Code>(codes, sa, next, before, begin, end);
        },
        py::arg("codes"), py::arg("sa"), py::arg("next"), py::arg("before"), py::arg("begin"),
        py::arg("end"), Released());
    m.def(
        "shared_contexts",
        [](Codes codes, Numbers before, std::span<std::uint8_t> shared, std::size_t begin,
           std::size_t end) {
            if (before.size() != codes.size() || shared.size() != before.size() + 1)
                throw InvalidParameter("columns differ in length");
            check_part(begin, end, shared.size());
            const std::size_t first = std::max<std::size_t>(begin, 1);
            if (end > first &&
                !std::ranges::all_of(before.subspan(first - 1, end - first),
                                     [&](Position p) { return (p & ~same_next) <= codes.size(); }))
                throw InvalidParameter("a row before holds a position outside the text");
            shared_contexts<Code>(codes, before, shared, begin, end);
        },
        py::arg("codes"), py::arg("before"), py::arg("shared"), py::arg("begin"), py::arg("end"),
        Released());
    m.def(
        "is_sorted",
        [](Codes codes, Numbers sa, Codes next, Numbers buckets) {
            if (sa.size() != codes.size() || next.size() < codes.size() || buckets.size() < 2)
                throw InvalidParameter("columns differ in length");
            check_buckets(buckets, codes.size());
            return is_sorted<Code>(codes, sa, next, buckets);
        },
        py::arg("codes"), py::arg("sa"), py::arg("next"), py::arg("buckets"), Released());
}

template <class T>
Array<T> to_array(std::span<const T> values) {
    return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// The compact layout.
template <class Code>
void bind_compact(py::module_& m) {
    using Codes = std::span<const Code>;
    using Numbers = std::span<const std::uint32_t>;
    using Bytes = std::span<const std::uint8_t>;
    // (supers, starts, entries, blocks)
    m.def(
        "compact_next",
        [](Codes next, Numbers buckets) {
            check_buckets(buckets, next.size());
            const HuffmanColumns made = [&] {
                const py::gil_scoped_release release;
                return compact_next<Code>(next, buckets);
            }();
            return py::make_tuple(to_array(made.supers()), to_array(made.starts()),
                                  to_array(made.entries()), to_array(made.blocks()));
        },
        py::arg("next"), py::arg("buckets"));
    m.def(
        "expand_next",
        [](Numbers supers, Numbers starts, Bytes entries, Bytes blocks, Numbers buckets,
           std::span<Code> next) {
            check_buckets(buckets, next.size());
            const auto n_codes = static_cast<std::uint32_t>(buckets.size() - 1);
            const auto n_rows = static_cast<Row>(next.size());
            if (supers.size() < CompactRank::n_supers(n_rows, n_codes) ||
                starts.size() < CompactRank::n_starts(n_rows, n_codes))
                throw InvalidParameter("columns differ in length");
            expand_next<Code>({supers, starts, entries, blocks}, buckets, next);
        },
        py::arg("supers"), py::arg("starts"), py::arg("entries"), py::arg("blocks"),
        py::arg("buckets"), py::arg("next"), Released());
    m.def(
        "expand_sa",
        [](Codes next, Numbers buckets, Row end_row) {
            check_buckets(buckets, next.size());
            auto sa = empty<Position>(next.size());
            const auto out = writable(sa);
            {
                const py::gil_scoped_release release;
                expand_sa<Code>(next, buckets, end_row, out);
            }
            return sa;
        },
        py::arg("next"), py::arg("buckets"), py::arg("end_row"));
}

// (starts, marks, samples, text_rows)
py::tuple samples(std::span<const std::uint32_t> sa) {
    check_positions(sa, 0, sa.size(), sa.size());
    if (sa.empty()) throw InvalidParameter("a shard has at least one row");
    const auto n_rows = static_cast<Row>(sa.size());
    auto starts = empty<std::uint32_t>(CompactText::n_starts(n_rows));
    auto marks = empty<std::uint8_t>(CompactText::n_samples(n_rows));
    auto samples = empty<std::uint32_t>(CompactText::n_samples(n_rows));
    auto text_rows = empty<std::uint32_t>(CompactText::n_text_rows(n_rows));
    const auto out_starts = writable(starts);
    const auto out_marks = writable(marks);
    const auto out_samples = writable(samples);
    const auto out_rows = writable(text_rows);
    {
        const py::gil_scoped_release release;
        fill_samples(sa, out_starts, out_marks, out_samples, out_rows);
    }
    return py::make_tuple(starts, marks, samples, text_rows);
}

template <class Code>
void bind_psi(py::module_& m) {
    m.def(
        "psi",
        [](std::span<const Code> next, std::span<const std::uint32_t> buckets) {
            check_buckets(buckets, next.size());
            auto psi = empty<Row>(next.size());
            const auto out = writable(psi);
            {
                py::gil_scoped_release release;
                fill_psi<Code>(next, buckets, out);
            }
            return psi;
        },
        py::arg("next"), py::arg("buckets"));
}

}  // namespace

void bind_columns(py::module_& m) {
    bind_width<std::uint8_t>(m);
    bind_width<std::uint16_t>(m);
    bind_width<std::uint32_t>(m);
    bind_compact<std::uint8_t>(m);
    bind_compact<std::uint16_t>(m);
    bind_compact<std::uint32_t>(m);
    m.def("samples", &samples, py::arg("sa"));
    bind_psi<std::uint16_t>(m);
    bind_psi<std::uint32_t>(m);
    m.def(
        "fill_same",
        [](std::span<const std::uint32_t> sa, std::span<const std::uint8_t> shared,
           std::span<std::uint8_t> same, std::size_t begin, std::size_t end) {
            check_positions(sa, begin, end, sa.size());
            if (same.size() != sa.size() || shared.size() != sa.size() + 1)
                throw InvalidParameter("columns differ in length");
            fill_same(sa, shared, same, begin, end);
        },
        py::arg("sa"), py::arg("shared"), py::arg("same"), py::arg("begin"), py::arg("end"),
        Released());
    m.def(
        "block_ranks",
        [](std::span<const std::uint8_t> next, std::span<const std::uint32_t> buckets,
           std::uint32_t block_rows) {
            check_buckets(buckets, next.size());
            BlockRank::check_block_rows(block_rows);
            if (!std::ranges::all_of(next, [&](std::uint8_t c) { return c + 1u < buckets.size(); }))
                throw InvalidParameter("code outside the buckets");
            const auto n_rows = static_cast<Row>(next.size());
            const auto n_codes = static_cast<std::uint32_t>(buckets.size() - 1);
            auto blocks =
                empty<std::uint16_t>(BlockRank::n_block_counts(n_rows, block_rows, n_codes));
            auto supers = empty<std::uint32_t>(BlockRank::n_super_counts(n_rows, n_codes));
            const auto out_blocks = writable(blocks);
            const auto out_supers = writable(supers);
            {
                py::gil_scoped_release release;
                fill_block_ranks(next, buckets, block_rows, out_blocks, out_supers);
            }
            return py::make_tuple(blocks, supers);
        },
        py::arg("next"), py::arg("buckets"), py::arg("block_rows"));
}

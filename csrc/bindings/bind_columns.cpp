// Building columns: numpy allocates, the core fills.
#include "arrays.hpp"
#include "infgram/rows/columns.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// A suffix array must hold positions of the text before anything is looked up with it.
void check_positions(std::span<const Position> sa, std::size_t n) {
    if (sa.size() != n) throw InvalidParameter("sa and codes differ in length");
    if (n == 0) throw InvalidParameter("a shard has at least one row");
    if (!std::ranges::all_of(sa, [n](Position p) { return 0 < p && p <= n; }))
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
            assemble<Token, Code>(tokens, document_lengths, Alphabet(token_ids, Alphabet::unknown),
                                  codes);
        },
        py::arg("tokens"), py::arg("document_lengths"), py::arg("token_ids"), py::arg("codes"),
        Released());
}

template <class Code>
void bind_width(py::module_& m) {
    using Codes = std::span<const Code>;
    using Numbers = std::span<const std::uint32_t>;
    using Bytes = std::span<const std::uint8_t>;
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
        "shared_contexts",
        [](Codes codes, Numbers sa) {
            check_positions(sa, codes.size());
            // numpy's memory, because numpy asks the system for large pages and the access is
            // random
            auto row_before = empty<Position>(codes.size() + 1);
            auto shared = empty<std::uint8_t>(codes.size() + 1);
            const auto scratch = writable(row_before);
            const auto out = writable(shared);
            {
                py::gil_scoped_release release;
                shared_contexts<Code>(codes, sa, scratch, out);
            }
            return shared;
        },
        py::arg("codes"), py::arg("sa"));
    m.def(
        "fill_next_and_same",
        [](Codes codes, Numbers sa, Bytes shared, std::span<Code> next,
           std::span<std::uint8_t> same) {
            check_positions(sa, codes.size());
            if (next.size() != codes.size() || same.size() != codes.size() ||
                shared.size() != codes.size() + 1)
                throw InvalidParameter("columns differ in length");
            return fill_next_and_same<Code>(codes, sa, shared, next, same);
        },
        py::arg("codes"), py::arg("sa"), py::arg("shared"), py::arg("next"), py::arg("same"),
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
    bind_psi<std::uint16_t>(m);
    bind_psi<std::uint32_t>(m);
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

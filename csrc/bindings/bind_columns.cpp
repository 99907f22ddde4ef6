// Building columns: numpy allocates, the core fills.
#include "arrays.hpp"
#include "infgram/columns.hpp"

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
        [](const Array<Token>& tokens, const Array<std::uint32_t>& document_lengths,
           const Array<std::uint32_t>& token_ids, Array<Code>& codes) {
            const auto in = view(tokens);
            const auto lengths = view(document_lengths);
            const auto ids = view(token_ids);
            const auto out = writable(codes);
            py::gil_scoped_release release;
            assemble<Token, Code>(in, lengths, Alphabet(ids, Alphabet::unknown), out);
        },
        py::arg("tokens").noconvert(), py::arg("document_lengths").noconvert(),
        py::arg("token_ids").noconvert(), py::arg("codes").noconvert());
}

template <class Code>
void bind_width(py::module_& m) {
    bind_assemble<std::uint8_t, Code>(m);
    bind_assemble<std::uint32_t, Code>(m);
    m.def(
        "count_buckets",
        [](const Array<Code>& codes, std::uint32_t n_codes) {
            const auto in = view(codes);
            for (const Code code : in)
                if (code >= n_codes) throw InvalidParameter("code outside the alphabet");
            return to_array(count_buckets<Code>(in, n_codes));
        },
        py::arg("codes").noconvert(), py::arg("n_codes"));
    m.def(
        "shared_contexts",
        [](const Array<Code>& codes, const Array<std::uint32_t>& sa) {
            const auto in = view(codes);
            const auto order = view(sa);
            check_positions(order, in.size());
            // numpy's memory, because numpy asks the system for large pages and the access is
            // random
            Array<Position> row_before(static_cast<py::ssize_t>(in.size()) + 1);
            Array<std::uint8_t> shared(static_cast<py::ssize_t>(in.size()) + 1);
            const auto scratch = writable(row_before);
            const auto out = writable(shared);
            {
                py::gil_scoped_release release;
                shared_contexts<Code>(in, order, scratch, out);
            }
            return shared;
        },
        py::arg("codes").noconvert(), py::arg("sa").noconvert());
    m.def(
        "fill_next_and_same",
        [](const Array<Code>& codes, const Array<std::uint32_t>& sa,
           const Array<std::uint8_t>& shared, Array<Code>& next, Array<std::uint8_t>& same) {
            const auto in = view(codes);
            const auto order = view(sa);
            const auto common = view(shared);
            const auto out_next = writable(next);
            const auto out_same = writable(same);
            check_positions(order, in.size());
            if (out_next.size() != in.size() || out_same.size() != in.size() ||
                common.size() != in.size() + 1)
                throw InvalidParameter("columns differ in length");
            py::gil_scoped_release release;
            return fill_next_and_same<Code>(in, order, common, out_next, out_same);
        },
        py::arg("codes").noconvert(), py::arg("sa").noconvert(), py::arg("shared").noconvert(),
        py::arg("next").noconvert(), py::arg("same").noconvert());
    m.def(
        "is_sorted",
        [](const Array<Code>& codes, const Array<std::uint32_t>& sa, const Array<Code>& next,
           const Array<std::uint32_t>& buckets) {
            const auto in = view(codes);
            const auto order = view(sa);
            const auto tokens = view(next);
            const auto starts = view(buckets);
            if (order.size() != in.size() || tokens.size() < in.size() || starts.size() < 2)
                throw InvalidParameter("columns differ in length");
            check_buckets(starts, in.size());
            py::gil_scoped_release release;
            return is_sorted<Code>(in, order, tokens, starts);
        },
        py::arg("codes").noconvert(), py::arg("sa").noconvert(), py::arg("next").noconvert(),
        py::arg("buckets").noconvert());
}

template <class Code>
void bind_psi(py::module_& m) {
    m.def(
        "psi",
        [](const Array<Code>& next, const Array<std::uint32_t>& buckets) {
            const auto in = view(next);
            const auto starts = view(buckets);
            check_buckets(starts, in.size());
            Array<Row> psi(static_cast<py::ssize_t>(in.size()));
            const auto out = writable(psi);
            {
                py::gil_scoped_release release;
                fill_psi<Code>(in, starts, out);
            }
            return psi;
        },
        py::arg("next").noconvert(), py::arg("buckets").noconvert());
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
        [](const Array<std::uint8_t>& next, const Array<std::uint32_t>& buckets,
           std::uint32_t block_rows) {
            const auto in = view(next);
            const auto starts = view(buckets);
            check_buckets(starts, in.size());
            BlockRank::check_block_rows(block_rows);
            if (!std::ranges::all_of(in, [&](std::uint8_t c) { return c + 1u < starts.size(); }))
                throw InvalidParameter("code outside the buckets");
            const auto n_rows = static_cast<Row>(in.size());
            const auto n_codes = static_cast<std::uint32_t>(starts.size() - 1);
            Array<std::uint16_t> blocks(
                static_cast<py::ssize_t>(BlockRank::n_block_counts(n_rows, block_rows, n_codes)));
            Array<std::uint32_t> supers(
                static_cast<py::ssize_t>(BlockRank::n_super_counts(n_rows, n_codes)));
            const auto out_blocks = writable(blocks);
            const auto out_supers = writable(supers);
            {
                py::gil_scoped_release release;
                fill_block_ranks(in, starts, block_rows, out_blocks, out_supers);
            }
            return py::make_tuple(blocks, supers);
        },
        py::arg("next").noconvert(), py::arg("buckets").noconvert(), py::arg("block_rows"));
}

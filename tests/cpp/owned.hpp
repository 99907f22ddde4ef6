// What the C++ tests share: a check that ends them, random numbers, and shards built the slow way.
//
// Not for threads.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "infgram/rows/columns.hpp"
#include "infgram/rows/compact_columns.hpp"
#include "infgram/rows/shard.hpp"

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                                  \
        }                                                                                  \
    } while (false)

namespace infgram::testing {

template <class Error, class Call>
bool throws(Call&& call) {
    try {
        call();
    } catch (const Error&) {
        return true;
    }
    return false;
}

inline std::mt19937 rng(0);

inline std::uint32_t below(std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(rng);
}

// A shard built the slow way, owning its columns.
template <class Code>
struct Owned {
    std::vector<Code> codes;
    std::vector<Position> sa;
    std::vector<Code> next;
    std::vector<std::uint8_t> same;
    std::vector<Row> buckets;
    std::vector<std::uint16_t> blocks;
    std::vector<std::uint32_t> supers;
    std::vector<Row> psi;
    Row end_row = 0;
    std::uint32_t block_rows = 64;

    explicit Owned(std::vector<Code> text, std::uint32_t n_codes, std::uint32_t block = 64)
        : codes(std::move(text)), block_rows(block) {
        const std::size_t n = codes.size();
        sa.resize(n);
        std::iota(sa.begin(), sa.end(), Position{1});
        std::ranges::sort(sa, [&](Position a, Position b) {
            while (a > 0 && b > 0) {
                --a, --b;
                if (codes[a] != codes[b]) return codes[a] < codes[b];
            }
            return a < b;
        });
        std::vector<std::uint8_t> shared(n + 1);
        std::vector<Position> before(n);
        next.resize(n + padding_bytes);
        same.resize(n);
        end_row = link_rows<Code>(codes, sa, std::span(next).first(n), before, 0, n);
        shared_contexts<Code>(codes, before, shared, 0, n + 1);
        fill_same(sa, shared, same, 0, n);
        buckets = count_buckets<Code>(codes, n_codes);
        const std::span<const Code> rows = std::span(next).first(n);
        if constexpr (sizeof(Code) == 1) {
            blocks.resize(BlockRank::n_block_counts(static_cast<Row>(n), block_rows, n_codes));
            supers.resize(BlockRank::n_super_counts(static_cast<Row>(n), n_codes));
            fill_block_ranks(rows, buckets, block_rows, blocks, supers);
        } else {
            psi.resize(n);
            fill_psi<Code>(rows, buckets, psi);
        }
    }

    [[nodiscard]] Columns<Code> columns() const {
        Columns<Code> c;
        c.codes = codes;
        c.sa = sa;
        c.next = next;
        c.same = same;
        c.buckets = buckets;
        c.rank_blocks = blocks;
        c.rank_supers = supers;
        c.psi = psi;
        c.block_rows = block_rows;
        c.n_rows = static_cast<Row>(codes.size());
        c.end_row = end_row;
        return c;
    }
};

// The same shard in the compact layout, owning its columns.
template <class Code>
struct OwnedCompact {
    std::vector<Row> buckets;
    HuffmanColumns next;
    std::vector<std::uint8_t> blocks;
    std::vector<std::uint32_t> starts;
    std::vector<std::uint8_t> marks;
    std::vector<std::uint32_t> samples;
    std::vector<std::uint32_t> text_rows;
    Row n_rows;
    Row end_row;

    explicit OwnedCompact(const Owned<Code>& fast)
        : buckets(fast.buckets),
          next(compact_next<Code>(std::span(fast.next).first(fast.codes.size()), fast.buckets)),
          blocks(next.blocks().begin(), next.blocks().end()),
          n_rows(static_cast<Row>(fast.codes.size())),
          end_row(fast.end_row) {
        blocks.resize(blocks.size() + padding_bytes);
        starts.resize(CompactText::n_starts(n_rows));
        marks.resize(CompactText::n_samples(n_rows));
        samples.resize(CompactText::n_samples(n_rows));
        text_rows.resize(CompactText::n_text_rows(n_rows));
        fill_samples(fast.sa, starts, marks, samples, text_rows);
    }

    [[nodiscard]] BlockColumns next_columns() const {
        return {next.supers(), next.starts(), next.entries(), blocks};
    }
    [[nodiscard]] Columns<Code> columns() const {
        Columns<Code> c;
        c.buckets = buckets;
        c.compact = CompactColumns{next_columns(), starts, marks, samples, text_rows};
        c.n_rows = n_rows;
        c.end_row = end_row;
        return c;
    }
};

template <class Code>
std::vector<Code> random_text(std::size_t n, std::uint32_t n_codes) {
    std::vector<Code> text{static_cast<Code>(boundary)};
    while (text.size() < n)
        text.push_back(static_cast<Code>(below(20) == 0 ? boundary : 1 + below(n_codes - 1)));
    if (n > 1 && text.back() == boundary) text.back() = 1;
    return text;
}

}  // namespace infgram::testing

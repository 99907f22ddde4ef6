// A text as an index of its bytes: one document in one shard, whose columns are made here and kept.
//
// Thread-safety: const methods may run in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/index.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/rows/columns.hpp"
#include "infgram/rows/match64.hpp"
#include "infgram/rows/shard.hpp"
#include "playground/suffixes.hpp"

namespace infgram::playground {

using Code = std::uint8_t;

inline constexpr std::uint32_t end_of_text = 256;    // the id behind those of bytes
inline constexpr std::uint32_t n_vocabulary = 257;   // bytes, and the end of a text
inline constexpr std::size_t max_bytes = 32u << 20;  // of which each takes some 32 of memory
inline constexpr std::size_t max_different = 255;    // codes are bytes, and one is the boundary

class Text {
public:
    // bytes: 1 to max_bytes, at most max_different of them different. O(n).
    explicit Text(std::span<const std::uint8_t> bytes) : token_ids_(occurring(bytes)) {
        const Alphabet alphabet(token_ids_, end_of_text);
        const auto n_bytes = static_cast<std::uint32_t>(bytes.size());
        columns_.codes.resize(bytes.size() + 1);
        assemble(bytes, std::span(&n_bytes, 1), alphabet, std::span(columns_.codes));
        sort();
        derive(alphabet.n_codes());
        index_.emplace(alphabet, std::vector{Shard<Code>(columns())});
    }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;

    [[nodiscard]] const Index<Code>& index() const noexcept { return *index_; }
    [[nodiscard]] LazyNeighbours& neighbours() const noexcept { return neighbours_; }

    // The bytes that occur, rising.
    static std::vector<std::uint32_t> occurring(std::span<const std::uint8_t> bytes) {
        std::vector<bool> seen(256);
        for (const std::uint8_t byte : bytes) seen[byte] = true;
        std::vector<std::uint32_t> found;
        for (std::uint32_t byte = 0; byte < seen.size(); ++byte)
            if (seen[byte]) found.push_back(byte);
        return found;
    }

private:
    // Rows are sorted by their contexts read backwards: these are suffixes of the text reversed.
    void sort() {
        const auto n = static_cast<Position>(columns_.codes.size());
        const std::vector<Code> reversed(columns_.codes.rbegin(), columns_.codes.rend());
        columns_.sa.resize(n);
        sort_suffixes(reversed, columns_.sa);
        for (Position& each : columns_.sa) each = n - each;
    }

    void derive(std::uint32_t n_codes) {
        const std::span<const Code> codes = columns_.codes;
        const std::size_t n = codes.size();
        std::vector<Position> before(n);
        std::vector<std::uint8_t> shared(n + 1);
        columns_.next.resize(n + padding_bytes);
        columns_.same.resize(n);
        const auto next = std::span(columns_.next).first(n);
        columns_.end_row = link_rows<Code>(codes, columns_.sa, next, before, 0, n);
        shared_contexts<Code>(codes, before, shared, 0, n + 1);
        fill_same(columns_.sa, shared, columns_.same, 0, n);
        columns_.buckets = count_buckets(codes, n_codes);
        const auto n_rows = static_cast<Row>(n);
        columns_.blocks.resize(BlockRank::n_block_counts(n_rows, block_rows, n_codes));
        columns_.supers.resize(BlockRank::n_super_counts(n_rows, n_codes));
        fill_block_ranks(next, columns_.buckets, block_rows, columns_.blocks, columns_.supers);
    }

    [[nodiscard]] Columns<Code> columns() const {
        Columns<Code> borrowed;
        borrowed.codes = columns_.codes;
        borrowed.sa = columns_.sa;
        borrowed.next = columns_.next;
        borrowed.same = columns_.same;
        borrowed.buckets = columns_.buckets;
        borrowed.rank_blocks = columns_.blocks;
        borrowed.rank_supers = columns_.supers;
        borrowed.block_rows = block_rows;
        borrowed.n_rows = static_cast<Row>(columns_.codes.size());
        borrowed.end_row = columns_.end_row;
        return borrowed;
    }

    static constexpr std::uint32_t block_rows = 256;

    struct Owned {
        std::vector<Code> codes;
        std::vector<Position> sa;
        std::vector<Code> next;
        std::vector<std::uint8_t> same;
        std::vector<Row> buckets;
        std::vector<std::uint16_t> blocks;
        std::vector<std::uint32_t> supers;
        Row end_row = 0;
    };

    std::vector<std::uint32_t> token_ids_;
    Owned columns_;
    std::optional<Index<Code>> index_;
    mutable LazyNeighbours neighbours_;  // made with use
};

}  // namespace infgram::playground

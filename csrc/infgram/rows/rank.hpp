// Two structures that answer one question: rank(code, row), how many rows before `row` have `code`
// as their next token. Both return it with the code's bucket start already added, because that sum
// is the row which the LF mapping wants.
//
// BlockRank   for byte-wide codes: a count per code every block of rows, and a vector loop inside
//             the block. O(1): two cache lines of counts and at most `block` bytes.
// BucketRank  for wider codes: psi, the rows of each next token in rising order. O(log bucket).
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/match64.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

class BlockRank {
public:
    static constexpr std::uint32_t super_rows = 1u << 16;  // counts inside fit 16 bits

    // blocks: one row of `n_codes` 16-bit counts for each `block_rows` rows, counted from the last
    // multiple of super_rows. supers: one row of 32-bit counts for each super_rows rows, counted
    // from the start and with the bucket start added. Both have a last row for rank(code, n_rows).
    BlockRank(std::span<const std::uint8_t> next, std::span<const std::uint16_t> blocks,
              std::span<const std::uint32_t> supers, std::uint32_t n_codes,
              std::uint32_t block_rows, Row n_rows)
        : next_(next.data()),
          blocks_(blocks.data()),
          supers_(supers.data()),
          n_codes_(n_codes),
          shift_(static_cast<std::uint32_t>(std::countr_zero(block_rows))),
          half_(block_rows / 2),
          n_rows_(n_rows) {
        check_block_rows(block_rows);
        if (next.size() < std::size_t{n_rows} + padding_bytes) throw_corrupt("next");
        if (blocks.size() < n_block_counts(n_rows, block_rows, n_codes))
            throw_corrupt("rank_blocks");
        if (supers.size() < n_super_counts(n_rows, n_codes)) throw_corrupt("rank_supers");
    }

    static void check_block_rows(std::uint32_t block_rows) {
        if (!std::has_single_bit(block_rows) || block_rows < 32 || block_rows > 2048)
            throw InvalidParameter("a rank block must be a power of two from 32 to 2048 rows");
    }
    static std::size_t n_block_counts(Row n_rows, std::uint32_t block_rows, std::uint32_t n_codes) {
        return (std::size_t{n_rows} / block_rows + 1) * n_codes;
    }
    static std::size_t n_super_counts(Row n_rows, std::uint32_t n_codes) {
        return (std::size_t{n_rows} / super_rows + 1) * n_codes;
    }

    // Counts from the nearest checkpoint, forwards or backwards. Which way is as good as random, so
    // the sign is arithmetic and not a branch.
    [[nodiscard]] Row operator()(std::uint32_t code, Row row) const noexcept {
        const auto byte = static_cast<std::uint8_t>(code);
        const std::uint32_t block = (row + half_) >> shift_;
        const Row start = block << shift_;
        if (start + half_ > n_rows_) [[unlikely]] {  // no checkpoint behind the last rows
            const std::uint32_t last = row >> shift_;
            const std::uint32_t n = row - (last << shift_);
            return at_block(code, last) + count_equal(next_ + (last << shift_), n, n, byte);
        }
        const std::uint32_t backwards = row < start ? ~0u : 0u;
        const std::uint32_t n = ((row - start) ^ backwards) - backwards;
        const std::uint32_t count = count_equal(next_ + start - (n & backwards), n, half_, byte);
        return at_block(code, block) + ((count ^ backwards) - backwards);
    }

    // Asks for the memory that ranks of both ends of a range will read.
    void prefetch(std::uint32_t code, Range range) const noexcept {
        prefetch(code, range.begin);
        prefetch(code, range.end);
    }
    void prefetch(std::uint32_t code, Row row) const noexcept {
        const std::uint32_t block = (row + half_) >> shift_;
        infgram::prefetch(&blocks_[std::size_t{block} * n_codes_ + code]);
        infgram::prefetch(&next_[row]);
    }

    // Images of ranges that hold one another, narrowest first: the levels of a context. Around the
    // narrowest lie most of the others, so the rows of the code among 64 rows are found once; ranks
    // there cost a few instructions.
    class Nested {
    public:
        Nested(const BlockRank& rank, std::uint32_t code, Range narrowest) noexcept
            : rank_(&rank),
              code_(code),
              first_(narrowest.begin < 28 ? 0 : narrowest.begin - 28),
              found_(match64(rank.next_ + first_, static_cast<std::uint8_t>(code))),
              rank_of_first_(rank(code, first_)) {}

        [[nodiscard]] Range operator()(Range range) const noexcept {
            if (range.begin >= first_ && range.end - first_ <= 64)
                return {rank_of_first_ + count_bits(found_ & low_bits(range.begin - first_)),
                        rank_of_first_ + count_bits(found_ & low_bits(range.end - first_))};
            return {(*rank_)(code_, range.begin), (*rank_)(code_, range.end)};
        }

    private:
        const BlockRank* rank_;
        std::uint32_t code_;
        Row first_;
        std::uint64_t found_;
        Row rank_of_first_;
    };

    // A block has 2^log_block_rows() rows.
    [[nodiscard]] std::uint32_t log_block_rows() const noexcept { return shift_; }

    // rank at the first row of a block, for whoever wants every code at once.
    [[nodiscard]] Row at_block(std::uint32_t code, std::uint32_t block) const noexcept {
        return supers_[std::size_t{block >> (16 - shift_)} * n_codes_ + code] +
               blocks_[std::size_t{block} * n_codes_ + code];
    }

private:
    const std::uint8_t* next_;
    const std::uint16_t* blocks_;
    const std::uint32_t* supers_;
    std::uint32_t n_codes_;
    std::uint32_t shift_;
    std::uint32_t half_;
    Row n_rows_;
};

class BucketRank {
public:
    // psi[buckets[c]..buckets[c + 1]): the rows whose next token is c, rising.
    BucketRank(std::span<const Row> psi, std::span<const Row> buckets, Row n_rows)
        : psi_(psi.data()), buckets_(buckets.data()) {
        if (psi.size() < n_rows) throw_corrupt("psi");
    }

    [[nodiscard]] Row operator()(std::uint32_t code, Row row) const noexcept {
        const Row* first = psi_ + buckets_[code];
        const Row* last = psi_ + buckets_[code + 1];
        return static_cast<Row>(std::lower_bound(first, last, row) - psi_);
    }

    // A search has no first step to ask for.
    static constexpr void prefetch(std::uint32_t, Range) noexcept {}

    // Images of ranges that hold one another, narrowest first: the ends of each are searched for
    // beyond those of the last.
    class Nested {
    public:
        Nested(const BucketRank& rank, std::uint32_t code, Range) noexcept
            : psi_(rank.psi_),
              first_(rank.buckets_[code]),
              last_(rank.buckets_[code + 1]),
              begin_(last_),
              end_(first_) {}

        [[nodiscard]] Range operator()(Range range) noexcept {
            begin_ = search(first_, begin_, range.begin);
            end_ = search(std::max(begin_, end_), last_, range.end);
            return {begin_, end_};
        }

    private:
        [[nodiscard]] Row search(Row low, Row high, Row row) const noexcept {
            return static_cast<Row>(std::lower_bound(psi_ + low, psi_ + high, row) - psi_);
        }

        const Row* psi_;
        Row first_;
        Row last_;
        Row begin_;
        Row end_;
    };

private:
    const Row* psi_;
    const Row* buckets_;
};

}  // namespace infgram

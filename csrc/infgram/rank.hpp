// Two structures that answer one question: rank(code, row), how many rows before `row` have `code`
// as their next token. Both return it with the code's bucket start already added, because that sum
// is the row which the LF mapping wants.
//
// BlockRank   for byte-wide codes: a count per code every block of rows, and a vector loop inside
//             the block. O(1): two cache lines of counts and at most `block` bytes.
// BucketRank  for wider codes: psi, the rows of each next token in rising order. O(log bucket).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/count_equal.hpp"
#include "infgram/types.hpp"

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
          last_block_(n_rows >> shift_) {
        if (!std::has_single_bit(block_rows) || block_rows < 32 || block_rows > 2048)
            throw InvalidParameter("a rank block must be a power of two from 32 to 2048 rows");
        if (next.size() < std::size_t{n_rows} + 32) throw_corrupt("next");
        if (blocks.size() < n_block_counts(n_rows, block_rows, n_codes))
            throw_corrupt("rank_blocks");
        if (supers.size() < n_super_counts(n_rows, n_codes)) throw_corrupt("rank_supers");
    }

    static std::size_t n_block_counts(Row n_rows, std::uint32_t block_rows, std::uint32_t n_codes) {
        return (std::size_t{n_rows} / block_rows + 1) * n_codes;
    }
    static std::size_t n_super_counts(Row n_rows, std::uint32_t n_codes) {
        return (std::size_t{n_rows} / super_rows + 1) * n_codes;
    }

    // Counts from the nearest checkpoint, forwards or backwards.
    [[nodiscard]] Row operator()(std::uint32_t code, Row row) const noexcept {
        const std::uint32_t block = std::min((row + half_) >> shift_, last_block_);
        const Row start = block << shift_;
        const Row from = std::min(start, row);
        const std::uint32_t n =
            count_equal(next_ + from, std::max(start, row) - from, static_cast<std::uint8_t>(code));
        return at_block(code, block) + (start <= row ? n : 0 - n);
    }

    // The same, given that `known_rank` is the rank of `known_row`: nearby rows are counted
    // directly.
    [[nodiscard]] Row near(std::uint32_t code, Row row, Row known_row,
                           Row known_rank) const noexcept {
        const auto byte = static_cast<std::uint8_t>(code);
        if (row <= known_row) {
            if (known_row - row > near_rows) return (*this)(code, row);
            return known_rank - count_equal(next_ + row, known_row - row, byte);
        }
        if (row - known_row > near_rows) return (*this)(code, row);
        return known_rank + count_equal(next_ + known_row, row - known_row, byte);
    }

    // Ranks of both ends of a range. A narrow range that lacks the code costs one short count.
    [[nodiscard]] Range image(std::uint32_t code, Range range) const noexcept {
        if (range.size() > near_rows) return {(*this)(code, range.begin), (*this)(code, range.end)};
        const std::uint32_t n =
            count_equal(next_ + range.begin, range.size(), static_cast<std::uint8_t>(code));
        if (n == 0) return {};
        const Row begin = (*this)(code, range.begin);
        return {begin, begin + n};
    }

    [[nodiscard]] std::uint32_t block_rows() const noexcept { return 1u << shift_; }

    // rank at the first row of a block, for whoever wants every code at once.
    [[nodiscard]] Row at_block(std::uint32_t code, std::uint32_t block) const noexcept {
        return supers_[std::size_t{block >> (16 - shift_)} * n_codes_ + code] +
               blocks_[std::size_t{block} * n_codes_ + code];
    }

private:
    static constexpr std::uint32_t near_rows = 64;

    const std::uint8_t* next_;
    const std::uint16_t* blocks_;
    const std::uint32_t* supers_;
    std::uint32_t n_codes_;
    std::uint32_t shift_;
    std::uint32_t half_;
    std::uint32_t last_block_;
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

    // The same, given the rank of another row: a search in what lies on `row`'s side of it.
    [[nodiscard]] Row near(std::uint32_t code, Row row, Row known_row,
                           Row known_rank) const noexcept {
        if (row == known_row) return known_rank;
        const Row* first = psi_ + (row < known_row ? buckets_[code] : known_rank);
        const Row* last = psi_ + (row < known_row ? known_rank : buckets_[code + 1]);
        return static_cast<Row>(std::lower_bound(first, last, row) - psi_);
    }

    // Ranks of both ends of a range.
    [[nodiscard]] Range image(std::uint32_t code, Range range) const noexcept {
        const Row begin = (*this)(code, range.begin);
        return {begin, near(code, range.end, range.begin, begin)};
    }

private:
    const Row* psi_;
    const Row* buckets_;
};

}  // namespace infgram

// How much a level of Kneser-Ney keeps back of each count, to give to shorter contexts.
//
// A next token that followed 1, 2, or 3 and more contexts loses D1 <= 1, D2 <= 2, D3 <= 3: never
// more than it has. Chen and Goodman (1999) choose the three by depth; here they depend on what the
// level looks like, D_k = k * sigmoid(sum of one number from each table), and the tables are fitted
// on the index's own text (calibration.hpp).
//
// Thread-safety: nothing changes, so all may be called in parallel.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

using Discount = std::array<double, 3>;

// What a level's discounts depend on. The shorter level is the next one of its kind: for n = 0, a
// level without tokens.
struct LevelShape {
    std::uint32_t n = 0;
    std::uint32_t n_shorter = 0;  // tokens of the next shorter level
    std::uint32_t n_types = 0;
    std::uint32_t n_types_shorter = 0;
    std::uint64_t m = 0;
    std::uint32_t n_corpus = 0;  // tokens of the corpus's longest level
    std::uint32_t n_live = 0;    // tokens of the live text's longest level
    bool single = false;         // each next token followed one context
};

inline constexpr std::size_t n_discount_tables = 5;

namespace detail {
inline constexpr std::uint32_t depth_buckets = 16;
inline constexpr std::uint32_t gap_buckets = 8;
inline constexpr std::uint32_t type_buckets = 12;
inline constexpr std::uint32_t match_buckets = 14;
inline constexpr std::uint32_t corpus_buckets = 8;
inline constexpr std::uint32_t live_buckets = 9;
inline constexpr std::uint32_t low_depths = 8;

// 0, 1, 2, 3, 4, and then two for each power of two
inline std::uint32_t type_bucket(std::uint32_t n_types) noexcept {
    if (n_types <= 4) return n_types;
    const auto log = static_cast<std::uint32_t>(std::bit_width(n_types)) - 1;  // 2 and more
    const std::uint32_t half =
        std::uint64_t{n_types} * n_types >= (std::uint64_t{1} << (2 * log + 1)) ? 1 : 0;
    return std::min(4 + 2 * (log - 2) + half, type_buckets - 1);
}
inline std::uint32_t match_bucket(std::uint64_t m) noexcept {
    return std::min(static_cast<std::uint32_t>(std::bit_width(m | 1)) - 1, match_buckets - 1);
}
// a - b, from -below up, the rest at the ends
inline std::uint32_t difference_bucket(std::uint32_t a, std::uint32_t b, std::uint32_t below,
                                       std::uint32_t n_buckets) noexcept {
    if (a + below <= b) return 0;
    return std::min(a + below - b, n_buckets - 1);
}
}  // namespace detail

// Rows of the tables, one after another.
inline constexpr std::array<std::uint32_t, n_discount_tables> discount_table_sizes = {
    detail::depth_buckets, detail::gap_buckets * 2 * detail::type_buckets,
    detail::type_buckets * 2 * detail::type_buckets,
    detail::match_buckets * 2 * detail::type_buckets,
    detail::corpus_buckets * detail::live_buckets * detail::low_depths};
inline constexpr std::uint32_t n_discount_rows =
    std::accumulate(discount_table_sizes.begin(), discount_table_sizes.end(), std::uint32_t{0});

// Tables of the same discounts for every level, D_k = k * sigmoid(log_odds[k - 1]).
inline std::vector<double> same_discounts(const std::array<double, 3>& log_odds) {
    std::vector<double> tables(std::size_t{3} * n_discount_rows, 0.0);
    for (std::size_t row = 0; row < discount_table_sizes[0]; ++row)
        std::ranges::copy(log_odds, tables.begin() + static_cast<std::ptrdiff_t>(3 * row));
    return tables;
}
// 0.6, 0.55 * 2, 0.5 * 3.
inline constexpr std::array<double, 3> textbook_log_odds = {0.4, 0.2, 0.0};

// The row of each table that a level reads.
using DiscountRows = std::array<std::uint32_t, n_discount_tables>;

inline DiscountRows discount_rows(const LevelShape& level) noexcept {
    using namespace detail;
    const std::uint32_t types = type_bucket(level.n_types);
    const std::uint32_t single = level.single ? 1 : 0;
    const std::uint32_t gap = std::min(level.n - level.n_shorter, gap_buckets - 1);
    std::uint32_t first = 0;
    DiscountRows rows{};
    rows[0] = std::min(level.n, depth_buckets - 1);
    first += discount_table_sizes[0];
    rows[1] = first + (gap * 2 + single) * type_buckets + types;
    first += discount_table_sizes[1];
    rows[2] = first + (type_bucket(level.n_types_shorter) * 2 + single) * type_buckets + types;
    first += discount_table_sizes[2];
    rows[3] = first + (match_bucket(level.m) * 2 + single) * type_buckets + types;
    first += discount_table_sizes[3];
    const std::uint32_t corpus = difference_bucket(level.n_corpus, level.n, 3, corpus_buckets);
    const std::uint32_t live = difference_bucket(level.n_live, level.n, 4, live_buckets);
    rows[4] =
        first + (corpus * live_buckets + live) * low_depths + std::min(level.n, low_depths - 1);
    return rows;
}

// The tables: n_discount_rows rows of three numbers. What the sigmoid makes of a sum, 1 / (1 +
// e^-x), is had from a product of what was raised to e once.
class Discounts {
public:
    explicit Discounts(std::span<const double> tables) : odds_(n_discount_rows) {
        if (tables.size() != std::size_t{3} * n_discount_rows)
            throw InvalidParameter("discounts: expected " + std::to_string(3 * n_discount_rows) +
                                   " numbers, found " + std::to_string(tables.size()));
        if (!std::ranges::all_of(tables, [](double x) { return std::isfinite(x); }))
            throw InvalidParameter("discounts: expected finite numbers");
        for (std::size_t i = 0; i < tables.size(); ++i)
            odds_[i / 3][i % 3] = std::exp(-std::clamp(tables[i], -furthest, furthest));
    }

    [[nodiscard]] Discount operator()(const LevelShape& level) const noexcept {
        Row odds{1.0, 1.0, 1.0, 1.0};
        for (const std::uint32_t row : discount_rows(level))
            for (std::size_t k = 0; k < odds.size(); ++k) odds[k] *= odds_[row][k];
        return {1.0 / (1.0 + odds[0]), 2.0 / (1.0 + odds[1]), 3.0 / (1.0 + odds[2])};
    }

private:
    static constexpr double furthest = 140.0;  // a product of five is still a number
    using Row = std::array<double, 4>;         // the last for registers' sake
    std::vector<Row> odds_;
};

}  // namespace infgram

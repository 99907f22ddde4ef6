// Ranks whatever the layout of a shard: the fast one of its width, or the compact one.
//
// Immutable: threads may share it.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>

#include "infgram/rows/compact.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

template <class Fast>
class RankOfLayout {
public:
    explicit RankOfLayout(Fast fast) : of_(std::move(fast)) {}
    explicit RankOfLayout(CompactRank compact) : of_(std::move(compact)) {}

    // How many rows before `row` have the code next, behind the start of the code's bucket.
    [[nodiscard]] Row operator()(std::uint32_t code, Row row) const {
        if (const Fast* rank = std::get_if<Fast>(&of_)) [[likely]]
            return (*rank)(code, row);
        return compact()(code, row);
    }

    // The image of a range, as far as ranks tell.
    [[nodiscard]] Range operator()(std::uint32_t code, Range range) const {
        if (const Fast* rank = std::get_if<Fast>(&of_)) [[likely]]
            return {(*rank)(code, range.begin), (*rank)(code, range.end)};
        return CompactRank::Nested(compact(), code, range)(range);
    }

    void prefetch(std::uint32_t code, Range range) const noexcept {
        if (const Fast* rank = std::get_if<Fast>(&of_)) [[likely]]
            return rank->prefetch(code, range);
        std::get_if<CompactRank>(&of_)->prefetch(code, range);
    }

    // Images of ranges that hold one another, narrowest first.
    class Nested {
    public:
        Nested(const RankOfLayout& rank, std::uint32_t code, Range narrowest)
            : of_(made(rank, code, narrowest)) {}

        [[nodiscard]] Range operator()(Range range) {
            if (auto* nested = std::get_if<OfFast>(&of_)) [[likely]]
                return (*nested)(range);
            return (*std::get_if<CompactRank::Nested>(&of_))(range);
        }

    private:
        using OfFast = typename Fast::Nested;
        using Of = std::variant<OfFast, CompactRank::Nested>;

        static Of made(const RankOfLayout& rank, std::uint32_t code, Range narrowest) {
            if (const Fast* fast = std::get_if<Fast>(&rank.of_)) [[likely]]
                return Of(std::in_place_type<OfFast>, *fast, code, narrowest);
            return Of(std::in_place_type<CompactRank::Nested>, rank.compact(), code, narrowest);
        }

        Of of_;
    };

    // The one of these that there is.
    [[nodiscard]] const Fast& fast() const { return std::get<Fast>(of_); }
    [[nodiscard]] const CompactRank& compact() const { return std::get<CompactRank>(of_); }

private:
    std::variant<Fast, CompactRank> of_;
};

}  // namespace infgram
